# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Import the state dict of plain torch modules, by a mapping of names."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ..auto import MODELS, model_without_weights
from ..models.configuration_rnn import RNNConfig
from ..text.tokenization import load_tokenizer
from ..utils.errors import HfRnnError, did_you_mean, first_line, nearest
from .imported import Choices, Imported
from .vocabularies import check_vocabulary, read_vocabulary
from .word_tokenizer import BETWEEN_SPACES, CHARACTER, Words

_CHOICES = {"vocabulary", "config", "names", "labels"}
# The option of the command has another name and another form.
_NAMES = "--map our.name=their.name, or in Python names={'our.name': 'their.name'}"
SHOWN = 8


def import_torch(path: Path, tensors: dict[str, Tensor], choices: Choices) -> Imported:
    """Read a state dict of torch modules.

    Args:
        path: File of the state dict.
        tensors: Its tensors by their names.
        choices: Choices of the user; `config` and `vocabulary` are required.

    Raises:
        HfRnnError: There is no configuration or vocabulary, or weights are missing or have other shapes; the message
            names them.
    """
    others = choices.given() - _CHOICES
    if others:
        raise HfRnnError(f"{sorted(others)[0]} has no effect on a torch model such as {str(path)!r}: leave it out.")
    if choices.config is None:
        raise HfRnnError(
            f"{str(path)!r} is the state dict of a torch model, with {_some(tensors)}: describe our model that should "
            "have these weights, config=FILE, a YAML or JSON file with architectures: [RNNForSequenceClassification], "
            f"vocab_size, embedding_size, hidden_size, …, and name its weights, {_NAMES}."
        )
    architecture, config = _config(choices)
    wanted = model_without_weights(architecture, config)
    tied = set(wanted.all_tied_weights_keys)
    shapes = {name: tuple(t.shape) for name, t in wanted.state_dict().items() if name not in tied}
    pairs = _pairs(list(shapes), choices.names, tensors)
    _check(shapes, pairs, tensors, path)
    left = sorted(set(tensors) - set(pairs.values()))
    decisions = [("weights", f"{len(pairs)} tensors, mapped by {len(choices.names)} names")]
    if left:
        decisions.append(("left out", f"{len(left)} tensors of the source: {_some(left)}"))
    tokenizer, told = _tokenizer(choices.vocabulary, config, str(path))
    decisions.append(("words", told))
    weights = {ours: tensors[theirs].float() for ours, theirs in pairs.items()}
    return Imported(architecture, config, weights, tokenizer, "a state dict of torch", decisions)


def _some(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def read_mapping(path: str | Path) -> dict:
    """Return the mapping in a YAML or JSON file.

    Args:
        path: File to read.

    Raises:
        HfRnnError: The file cannot be read, or holds no mapping.
    """
    if not Path(path).exists():
        raise HfRnnError(f"there is no file {str(path)!r}: name a YAML or JSON file.{did_you_mean(str(path))}")
    try:
        text = Path(path).read_text(encoding="utf-8")
        found = json.loads(text) if Path(path).suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else first_line(error)
        raise HfRnnError(f"{str(path)!r} cannot be read ({reason}): name a YAML or JSON file.") from error
    if not isinstance(found, dict):
        raise HfRnnError(f"{str(path)!r} holds no mapping: write one line for each name, such as hidden_size: 128.")
    return found


def names_of(pairs: Sequence[str]) -> dict[str, str]:
    """Return the names of our weights and those in a source.

    Args:
        pairs: Texts of the form `our.name=their.name`, or YAML or JSON files of such pairs.

    Raises:
        HfRnnError: A text has another form, or a file cannot be read.
    """
    names: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if equals:
            names[ours.strip()] = theirs.strip()
        elif Path(pair).exists():
            names |= {str(ours): str(theirs) for ours, theirs in read_mapping(pair).items()}
        else:
            raise HfRnnError(
                f"--map {pair}: the file {pair!r} does not exist. Name a YAML or JSON file, --map FILE, or write a "
                f"pair of names, --map model.embed_tokens=encoder.{did_you_mean(pair)}"
            )
    return names


def _config(choices: Choices) -> tuple[str, RNNConfig]:
    given = choices.config
    fields = dict(given) if isinstance(given, Mapping) else read_mapping(given)
    fields.pop("transformers_version", None)
    kinds = fields.pop("architectures", None)
    kind = kinds[0] if isinstance(kinds, list) and kinds else kinds
    if kind not in MODELS:
        raise HfRnnError(
            f"config has architectures={kinds!r}, expected one of {', '.join(MODELS)}: write architectures: "
            "[RNNForSequenceClassification]."
        )
    if choices.labels is not None:
        fields["id2label"] = dict(enumerate(choices.labels))
        fields["label2id"] = {label: i for i, label in enumerate(choices.labels)}
    if isinstance(fields.get("id2label"), dict):
        fields["id2label"] = {int(number): label for number, label in fields["id2label"].items()}
    try:
        config = RNNConfig.from_dict({"model_type": RNNConfig.model_type, **fields})
        config.validate_together()
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise HfRnnError(f"config: {first_line(error)}.") from error
    return str(kind), config


def _pairs(ours: list[str], names: dict[str, str], tensors: dict[str, Tensor]) -> dict[str, str]:
    """Return the name in the source of each of our weights. A name may be the beginning of several."""
    unused = set(names)
    pairs = {}
    for name in ours:
        fitting = [key for key in names if name == key or name.startswith(f"{key}.")]
        key = max(fitting, key=len, default=None)
        unused.discard(key)  # type: ignore[arg-type]
        pairs[name] = name if key is None else (names[key] + name[len(key) :]).lstrip(".")
    if unused:
        wrong = sorted(unused)[0]
        near = nearest(wrong, [*ours, *{name.rpartition(".")[0] for name in ours}])
        raise HfRnnError(
            f"the names have {wrong!r}, which is no weight of the model"
            f"{f': did you mean {near!r}?' if near else '.'} Its weights are {_some(ours)}."
        )
    return pairs


def _check(shapes: dict[str, tuple[int, ...]], pairs: dict[str, str], tensors: dict[str, Tensor], path: Path) -> None:
    missing = [f"{ours} (from {theirs})" for ours, theirs in pairs.items() if theirs not in tensors]
    if missing:
        left = sorted(set(tensors) - set(pairs.values()))
        raise HfRnnError(
            f"{str(path)!r} has no weights for {_some(missing)}. It has {_some(left) or 'no others'}: name them, "
            f"{_NAMES}."
        )
    wrong = [
        f"{ours} is {list(shapes[ours])} and {theirs} {list(tensors[theirs].shape)}"
        for ours, theirs in pairs.items()
        if shapes[ours] != tuple(tensors[theirs].shape)
    ]
    if wrong:
        raise HfRnnError(f"weights of {str(path)!r} have other shapes than the config says: {_some(wrong)}.")


def _tokenizer(vocabulary: Any, config: RNNConfig, name: str) -> tuple[PreTrainedTokenizerBase, str]:
    """Return a tokenizer that was saved, or one of a list of words or characters."""
    if vocabulary is None:
        raise HfRnnError(
            f"{name!r} has no vocabulary: name a folder with a tokenizer, or a file with the list of its tokens, "
            "vocabulary=PATH."
        )
    V = config.vocab_size + config.num_rare_tokens
    given = isinstance(vocabulary, (list, tuple, dict))
    if not given and (Path(vocabulary).is_dir() or Path(vocabulary).name == "tokenizer.json"):
        place = Path(vocabulary)
        tokenizer = load_tokenizer(str(place if place.is_dir() else place.parent))
        _check_entries(len(tokenizer), V)
        return tokenizer, f"the tokenizer in {place.name}, {len(tokenizer):,} tokens"
    tokens = check_vocabulary(vocabulary, "vocabulary") if given else read_vocabulary(vocabulary)
    if isinstance(tokens, dict):
        raise HfRnnError(
            "the vocabulary of a torch model is a list of tokens in the order of their ids, not a mapping."
        )
    _check_entries(len(tokens), V)
    for field in ("pad_token_id", "unk_token_id"):
        if getattr(config, field) is None or not 0 <= getattr(config, field) < len(tokens):
            raise HfRnnError(
                f"config has {field}={getattr(config, field)}: write the id of this token in the vocabulary, such as "
                f"{field}: 0."
            )
    special = {config.pad_token_id, config.unk_token_id, config.bos_token_id, config.eos_token_id}
    # A vocabulary of characters has the space, and one of words does not.
    letters = " " in tokens and all(len(token) == 1 for number, token in enumerate(tokens) if number not in special)
    roles = {
        f"{role}_token": tokens[number]
        for role in ("bos", "eos")
        if (number := getattr(config, f"{role}_token_id")) is not None
    }
    words = Words(
        tokens,
        unknown=int(config.unk_token_id),  # type: ignore[arg-type]
        padding=int(config.pad_token_id),  # type: ignore[arg-type]
        pattern=CHARACTER if letters else BETWEEN_SPACES,
        special=roles,
    )
    kind = "characters" if letters else "words between spaces, as they are"
    return words.tokenizer(), f"{len(tokens):,} tokens; texts are read as {kind}"


def _check_entries(count: int, V: int) -> None:
    if count > V:
        raise HfRnnError(
            f"the vocabulary has {count:,} tokens, and the config has vocab_size={V:,}: name the vocabulary that the "
            "model was trained with."
        )


__all__ = ["import_torch", "names_of"]
