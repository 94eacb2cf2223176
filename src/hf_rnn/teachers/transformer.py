# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Teachers that are text classifiers of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import ModelCard
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
)
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME

from ..hub.folder import CARD_FILE, WEIGHT_FILES
from ..models.weight_files import is_intact
from ..text.batching import by_tokens
from ..text.tokenization import TOKENIZER_FILES
from ..utils.errors import ConfigError, did_you_mean, first_line, is_mistyped, looks_local
from ..utils.hub_download import snapshot
from ..utils.machine import default_device, emulates_bf16, keep_freed_memory, on_device, runs_bf16
from .base import LOGITS
from .files import fingerprint_of

HEAD = "ForSequenceClassification"
# Number of tokens in a batch, padding included, and number of texts that are answered and saved together.
BATCH_TOKENS, GROUP = 8192, 2048
_FILES = (CONFIG_NAME, *WEIGHT_FILES, SAFE_WEIGHTS_INDEX_NAME, *TOKENIZER_FILES, CARD_FILE)


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


def check_classifier(path: str, config: PreTrainedConfig) -> None:
    """Raise [`ConfigError`] if a model has no classification head.

    Args:
        path: Path of the model as the user wrote it.
        config: Configuration of the model.
    """
    names = config.architectures or ["model without a head"]
    if not any(name.endswith(HEAD) for name in names):
        raise ConfigError(
            f"teacher.path={path!r} is a {names[0]} and has no classification head: write teacher.finetune=True to "
            "train one on the labelled rows first, or name a model that classifies texts."
        )


class TransformerTeacher:
    """Text classifier of transformers.

    A longer text is truncated as its tokenizer does. The model computes in bf16 where the processor has instructions
    for it.

    Args:
        path: Path of the model as the user wrote it.
        folder: Folder of the model.
        config: Configuration of the model.
        max_length: Maximum number of tokens of a text, special tokens included.
    """

    outputs: str | None = LOGITS
    group = GROUP

    def __init__(self, path: str, folder: Path, config: PreTrainedConfig, max_length: int):
        check_classifier(path, config)
        self.name, self.folder, self.license = path, folder, license_of(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(folder).eval().to(default_device())
        self.labels: list[str] | None = list(dict(sorted((config.id2label or {}).items())).values())
        self.mask: str | None = self.tokenizer.mask_token
        self.max_length = length_of(config, self.tokenizer, max_length)
        self.dtype = "bf16" if self._in_bf16 else "fp32"
        told = f"{fingerprint_of(folder)} {self.max_length} {self.dtype}"
        self.key = sha256(told.encode()).hexdigest()

    @property
    def _in_bf16(self) -> bool:
        device = self.model.device.type
        if device == "cuda":
            return torch.cuda.is_bf16_supported()
        return device == "cpu" and runs_bf16() and not emulates_bf16()

    @torch.inference_mode()
    def answers(self, texts: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Return the logits of texts, `[N, K]`.

        Args:
            texts: N texts as `(text,)`, or pairs of texts as `(text, second text)`.
        """
        keep_freed_memory()
        columns = [list(column) for column in zip(*texts, strict=True)]
        encoded = self.tokenizer(*columns, truncation=True, max_length=self.max_length, verbose=False)
        logits = np.empty((len(texts), self.model.config.num_labels), dtype=np.float32)
        device = self.model.device
        precision: Any = torch.autocast(device.type, torch.bfloat16) if self._in_bf16 else nullcontext()
        for places in by_tokens([len(ids) for ids in encoded["input_ids"]], BATCH_TOKENS):
            rows = [{name: encoded[name][place] for name in encoded} for place in places.tolist()]
            batch = on_device(dict(self.tokenizer.pad(rows, return_tensors="pt")), device)
            with precision:
                logits[places] = self.model(**batch).logits.float().cpu().numpy()
        return logits


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


__all__ = ["TransformerTeacher", "check_classifier", "find_transformer", "length_of", "license_of"]
