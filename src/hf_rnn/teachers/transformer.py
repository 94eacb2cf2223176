# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Teachers that are models of transformers: text classifiers, taggers and translators."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import ModelCard
from transformers import (
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedConfig,
)
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME

from ..hub.folder import CARD_FILE
from ..models.weight_files import is_intact
from ..runtime.batching import by_tokens
from ..text.tokenization import TOKENIZER_FILES
from ..utils.errors import ConfigError, did_you_mean, first_line, is_mistyped, looks_local
from ..utils.hub_download import snapshot
from ..utils.machine import default_device, emulates_bf16, keep_freed_memory, on_device, runs_bf16
from .base import LOGITS
from .files import WEIGHTS, fingerprint_of

logger = logging.getLogger(__name__)

# Name and use of each kind of head.
HEADS = {
    "ForSequenceClassification": ("classification head", "classifies texts"),
    "ForTokenClassification": ("token classification head", "tags words"),
}
# Number of tokens in a batch, padding included, and number of texts that are answered and saved together.
BATCH_TOKENS, GROUP = 8192, 2048
# The same for translators, whose beams are as many rows, and their number.
TRANSLATOR_TOKENS, TRANSLATOR_GROUP, BEAMS = 2048, 256, 5
_FILES = (CONFIG_NAME, *WEIGHTS, SAFE_WEIGHTS_INDEX_NAME, "pytorch_model*.bin.index.json", *TOKENIZER_FILES, CARD_FILE)


def find_transformer(path: str, revision: str | None = None) -> tuple[Path, PreTrainedConfig]:
    """Find the folder of a model of transformers, or download the model, and return it with its configuration.

    Args:
        path: Folder or Hub id.
        revision: Branch, tag or commit on the Hub; None for the default branch.

    Raises:
        ConfigError: There is no such folder, or it holds no model.
        HubError: The download failed.
    """
    folder = Path(path)
    if not folder.is_dir():
        if looks_local(path) or is_mistyped(path):
            raise ConfigError(f"teacher.path={path!r}: there is no such folder: name one.{did_you_mean(path)}")
        folder = snapshot(path, _FILES, lambda place: (place / CONFIG_NAME).exists(), revision, is_intact=is_intact)
    try:
        return folder, AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"teacher.path={path!r} holds no model of transformers ({first_line(error)}): name a folder or a Hub id "
            "with a config.json."
        ) from error


def check_head(path: str, config: PreTrainedConfig, head: str) -> None:
    """Raise [`ConfigError`] if a model has not the head of a classifier.

    Args:
        path: Path of the model as the user wrote it.
        config: Configuration of the model.
        head: Key of `HEADS`: the end of the class names of models with the head.
    """
    names, (name, use) = config.architectures or ["model without a head"], HEADS[head]
    if not any(each.endswith(head) for each in names):
        raise ConfigError(
            f"teacher.path={path!r} is a {names[0]} and has no {name}: write teacher.finetune=True to train one on the "
            f"labelled rows first, or name a model that {use}."
        )


class _Transformer:
    """Model of transformers, with its tokenizer, in batches of similar length.

    The model computes in bf16 where the processor has instructions for it.

    Args:
        path: Path of the model as the user wrote it.
        folder: Folder of the model.
        config: Configuration of the model.
        max_length: Maximum number of tokens of a text, special tokens included.
        told: Further settings that the answers depend on.
    """

    auto: Any
    batch_tokens = BATCH_TOKENS
    labels: list[str] | None = None

    def __init__(self, path: str, folder: Path, config: PreTrainedConfig, max_length: int, told: str = ""):
        self.name, self.folder, self.license = path, folder, license_of(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = self.auto.from_pretrained(folder, dtype=torch.float32).eval().to(default_device())
        self.max_length = length_of(config, self.tokenizer, max_length)
        self.dtype = "bf16" if self._in_bf16 else "fp32"
        self.key: str | None = sha256(
            f"{fingerprint_of(folder)} {self.max_length} {self.dtype}{told}".encode()
        ).hexdigest()

    @property
    def _in_bf16(self) -> bool:
        device = self.model.device.type
        if device == "cuda":
            return torch.cuda.is_bf16_supported()
        return device == "cpu" and runs_bf16() and not emulates_bf16()

    @property
    def precision(self) -> Any:
        """The context in which the model computes."""
        return torch.autocast(self.model.device.type, torch.bfloat16) if self._in_bf16 else nullcontext()

    def batches(self, encoded: Any) -> Iterator[tuple[np.ndarray, Any]]:
        """Yield the indices of the texts of each batch, and the batch on the device of the model.

        Args:
            encoded: Texts as the tokenizer returns them.
        """
        keep_freed_memory()
        for places in by_tokens([len(ids) for ids in encoded["input_ids"]], self.batch_tokens):
            rows = [{name: encoded[name][place] for name in encoded} for place in places.tolist()]
            yield places, on_device(dict(self.tokenizer.pad(rows, return_tensors="pt")), self.model.device)


class TransformerTeacher(_Transformer):
    """Text classifier of transformers. A longer text is truncated as its tokenizer does.

    Args:
        path: Path of the model as the user wrote it.
        folder: Folder of the model.
        config: Configuration of the model.
        max_length: Maximum number of tokens of a text, special tokens included.

    Raises:
        ConfigError: The model has no classification head.
    """

    auto: Any = AutoModelForSequenceClassification
    head = "ForSequenceClassification"
    outputs: str | None = LOGITS
    group = GROUP

    def __init__(self, path: str, folder: Path, config: PreTrainedConfig, max_length: int):
        check_head(path, config, self.head)
        super().__init__(path, folder, config, max_length)
        names = list(dict(sorted((self.model.config.id2label or {}).items())).values())
        # The only output of a regression has a name that says nothing.
        self.labels = names if len(names) > 1 else None
        self.mask: str | None = self.tokenizer.mask_token

    @torch.inference_mode()
    def answers(self, texts: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Return the logits of texts, `[N, K]`.

        Args:
            texts: N texts as `(text,)`, or pairs of texts as `(text, second text)`.
        """
        columns = [list(column) for column in zip(*texts, strict=True)]
        encoded = self.tokenizer(*columns, truncation=True, max_length=self.max_length, verbose=False)
        logits = np.empty((len(texts), self.model.config.num_labels), dtype=np.float32)
        for places, batch in self.batches(encoded):
            with self.precision:
                logits[places] = self.model(**batch).logits.float().cpu().numpy()
        return logits


class TransformerTagger(TransformerTeacher):
    """Token classifier of transformers, which answers for each word with the logits of its first token.

    A word without a token, or after the maximum number of tokens, has the same logit for each label.

    Args:
        path: Path of the model as the user wrote it.
        folder: Folder of the model.
        config: Configuration of the model.
        max_length: Maximum number of tokens of a text, special tokens included.

    Raises:
        ConfigError: The model has no token classification head, or its tokenizer does not map tokens to words.
    """

    auto = AutoModelForTokenClassification
    head = "ForTokenClassification"
    truncated = False

    def __init__(self, path: str, folder: Path, config: PreTrainedConfig, max_length: int):
        super().__init__(path, folder, config, max_length)
        check_fast(path, self.tokenizer)

    @torch.inference_mode()
    def answers(self, texts: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Return the logits of all words of some texts, `[P, K]`.

        Args:
            texts: N texts as words.
        """
        encoded = self.tokenizer(
            list(map(list, texts)), is_split_into_words=True, truncation=True, max_length=self.max_length, verbose=False
        )
        found: list[Any] = [None] * len(texts)
        for places, batch in self.batches(encoded):
            with self.precision:
                rows = self.model(**batch).logits.float().cpu().numpy()
            for place, logits in zip(places.tolist(), rows, strict=True):
                found[place] = of_words(logits, encoded.word_ids(place), len(texts[place]))
        if not self.truncated and any(len(ids) == self.max_length for ids in encoded["input_ids"]):
            self.truncated = True
            logger.warning(
                f"the teacher {self.name!r} reads {self.max_length} tokens, and some texts have more: their last words "
                "have an answer without preference. Write a greater teacher.max_length, or give shorter texts."
            )
        return np.concatenate(found)


class TransformerTranslator(_Transformer):
    """Translator of transformers, which writes with beam search.

    Args:
        path: Path of the model as the user wrote it.
        folder: Folder of the model.
        config: Configuration of the model.
        max_length: Maximum number of tokens of a text, special tokens included.

    Raises:
        ConfigError: The model has no decoder.
    """

    auto = AutoModelForSeq2SeqLM
    batch_tokens = TRANSLATOR_TOKENS
    group = TRANSLATOR_GROUP

    def __init__(self, path: str, folder: Path, config: PreTrainedConfig, max_length: int):
        names, known = config.architectures or ["model without a head"], MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
        own: Any = known.get(type(config), None)
        if own is None or names[0] != own.__name__:
            raise ConfigError(
                f"teacher.path={path!r} is a {names[0]}, which writes no text for a text: name a translator, a model "
                "of transformers for AutoModelForSeq2SeqLM."
            )
        super().__init__(path, folder, config, max_length, f" {BEAMS} beams")

    @torch.inference_mode()
    def translations(self, texts: Sequence[tuple[str, ...]]) -> list[str]:
        """Return the translations of texts, the best of 5 beams.

        Args:
            texts: N texts as `(text,)`.
        """
        sources = [text for (text,) in texts]
        encoded = self.tokenizer(sources, truncation=True, max_length=self.max_length, verbose=False)
        written = [""] * len(texts)
        for places, batch in self.batches(encoded):
            batch = {name: batch[name] for name in ("input_ids", "attention_mask")}
            room = 2 * batch["input_ids"].shape[1] + 20
            with self.precision:
                ids = self.model.generate(**batch, num_beams=BEAMS, do_sample=False, max_new_tokens=room)
            found = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
            for place, text in zip(places.tolist(), found, strict=True):
                written[place] = text.strip()
        return written


def check_fast(path: str, tokenizer: Any) -> None:
    """Raise [`ConfigError`] if a tokenizer does not map tokens to words.

    Args:
        path: Path of the model as the user wrote it.
        tokenizer: Tokenizer of the model.
    """
    if not tokenizer.is_fast:
        raise ConfigError(
            f"teacher.path={path!r} has a {type(tokenizer).__name__}, which does not map tokens to words: name a model "
            "with a fast tokenizer (tokenizer.json)."
        )


def of_words(logits: np.ndarray, word_ids: Sequence[int | None], words: int) -> np.ndarray:
    """Return the logits of the first token of each word, `[words, K]`; zeros for a word without a token.

    Args:
        logits: Logits of tokens, `[T, K]`, or more than T rows.
        word_ids: Word of each of T tokens; None for a special token.
        words: Number of words.
    """
    found = np.zeros((words, logits.shape[1]), dtype=np.float32)
    # The first token of a word is written last, over the others.
    for place, word in reversed(list(enumerate(word_ids))):
        if word is not None:
            found[word] = logits[place]
    return found


def license_of(folder: Path) -> str | None:
    """Return the license that the card of a model names; None if there is no card or it names none.

    Args:
        folder: Folder of the model.
    """
    try:
        return ModelCard.load(folder / CARD_FILE).data.license
    except (OSError, ValueError, TypeError):
        return None


def length_of(config: PreTrainedConfig, tokenizer: Any, wanted: int) -> int:
    """Return the maximum number of tokens of a text that a model can read, at most `wanted`.

    Args:
        config: Configuration of the model.
        tokenizer: Tokenizer of the model.
        wanted: Maximum number of tokens that the user wants.
    """
    most = getattr(config, "max_position_embeddings", None)
    # Position ids of some models begin at 2, so `max_position_embeddings` of them is 514.
    return min(wanted, tokenizer.model_max_length, most if most is not None and most > 0 else wanted)


__all__ = [
    "TransformerTagger",
    "TransformerTeacher",
    "TransformerTranslator",
    "check_fast",
    "check_head",
    "find_transformer",
    "length_of",
    "license_of",
    "of_words",
]
