# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Settings of text generation in an export record."""

from typing import Any

from transformers import GenerationConfig

from ..utils.errors import HfRnnError

# Settings that the runtime reads, with the values that transformers uses where none is saved.
READ: dict[str, Any] = {
    "min_length": 0,
    "min_new_tokens": 0,
    "num_beams": 1,
    "length_penalty": 1.0,
    "early_stopping": False,
    "no_repeat_ngram_size": 0,
    "repetition_penalty": 1.0,
    "top_k": 50,
    "top_p": 1.0,
}
# Settings that change no token, or that the record has in another form.
_OTHER_FORM = ("max_length", "max_new_tokens", "do_sample", "temperature")
_NO_EFFECT = (
    "use_cache",
    "cache_implementation",
    "cache_config",
    "max_cache_len",
    "use_mtp",
    "is_assistant",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "assistant_confidence_threshold",
    "assistant_lookbehind",
    "target_lookbehind",
    "compile_config",
    "disable_compile",
    "low_memory",
    "prefill_chunk_size",
    "return_dict_in_generate",
    "transformers_version",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
)
# Values of further settings with which they do nothing.
_OFF = {
    "diversity_penalty": 0.0,
    "encoder_no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "guidance_scale": 1.0,
    "num_beam_groups": 1,
    "num_return_sequences": 1,
    "typical_p": 1.0,
}


def generation_of(model: Any) -> dict[str, Any]:
    """Return the settings with which a model writes, as its export record has them.

    Args:
        model: Language model or translator.

    Raises:
        HfRnnError: Its generation configuration has a setting that the runtime does not know.
    """
    saved: GenerationConfig = model.generation_config
    _check(saved)
    found = {name: getattr(saved, name, None) for name in READ}
    record = {name: READ[name] if value is None else value for name, value in found.items()}
    temperature = 1.0 if saved.temperature is None else saved.temperature
    # The length of a translation includes the start token.
    of_length = max(0, (saved.max_length or 1) - 1)
    ends = saved.eos_token_id
    start = saved.decoder_start_token_id
    return {
        **record,
        "max_new_tokens": saved.max_new_tokens or of_length,
        "temperature": temperature if saved.do_sample else 0.0,
        "eos_token_ids": [] if ends is None else list(ends) if isinstance(ends, (list, tuple)) else [ends],
        "decoder_start_token_id": saved.bos_token_id if start is None else start,
    }


def _check(saved: GenerationConfig) -> None:
    known = {*READ, *_OTHER_FORM, *_NO_EFFECT}
    for name, value in saved.to_dict().items():
        if name.startswith(("_", "output_")) or name in known or value in (None, False, _OFF.get(name)):
            continue
        raise HfRnnError(
            f"the model's generation configuration has {name}={value!r}, which exported models do not support: set "
            f"model.generation_config.{name} = None and save the model again."
        )
    if saved.do_sample and (saved.num_beams or 1) > 1:
        raise HfRnnError(
            f"the model's generation configuration has do_sample=True and num_beams={saved.num_beams}, which exported "
            "models do not support together: set model.generation_config.do_sample = False and save the model again."
        )


__all__ = ["generation_of"]
