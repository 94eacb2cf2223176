# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Exported models in place of models of torch: the backend `onnx` of a predictor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub.fetch import find_exported
from ..models.decisions import labels_of
from ..text.tokenization import load_tokenizer
from ..utils.errors import ConfigError, HfRnnError
from .saved_task import saved_task

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

    from ..models.configuration_rnn import RNNConfig
    from ..runtime.model import Model
    from ..tasks import Task

BACKENDS = ("torch", "onnx")


class OnnxModel:
    """Model of a predictor that computes logits with onnxruntime.

    It has none of the other members of a model of torch. Their use is an error that says so.

    Args:
        exported: Exported model.
        config: Configuration of the model.
        path: Folder or Hub id of the model, for errors.
    """

    def __init__(self, exported: Model, config: RNNConfig, path: str):
        self.exported, self.config, self.path = exported, config, path

    def logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> np.ndarray:
        """Return the logits of rows of token ids, `[N, C]`, in the order of the rows.

        Args:
            ids: Token ids of N rows.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """
        return self.exported.logits(ids, batch_tokens)

    def token_logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> list[np.ndarray]:
        """Return the logits `[T, C]` of each row of token ids, in the order of the rows.

        Args:
            ids: Token ids of each row.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """
        return self.exported.token_logits(ids, batch_tokens)

    def fingerprint(self) -> str:
        """Return the hashes of the ONNX files, which hold the weights."""
        return json.dumps(self.exported.record.files, sort_keys=True)

    def __getattr__(self, name: str) -> Any:
        # Python itself looks up such names, to copy an object for example.
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.refusal(f"model.{name}")

    def refusal(self, what: str) -> HfRnnError:
        """Return the error for something that only a model of torch can do.

        Args:
            what: Name of the thing that was asked for.
        """
        return HfRnnError(
            f"{what} needs torch, and this model runs with backend='onnx', which only computes answers: load it with "
            f"Predictor.from_pretrained({self.path!r})."
        )


def open_exported(
    path: str,
    device: str | None = None,
    *,
    quantized: bool | None = None,
    threads: int = 1,
    **where: Any,
) -> tuple[OnnxModel, PreTrainedTokenizerBase, Task]:
    """Open an exported classifier or tagger, with its tokenizer and its task.

    Args:
        path: Folder or Hub id of the model.
        device: Device for the model; only the CPU.
        quantized: Same as in [`~hf_rnn.runtime.model.Model.from_pretrained`].
        threads: Same as in [`~hf_rnn.runtime.model.Model.from_pretrained`].
        where: Options of a download, such as `revision`.

    Raises:
        HfRnnError: onnxruntime is not installed; or the model was not exported, is neither a classifier nor a tagger,
            or its files do not match each other.
    """
    if device not in (None, "cpu"):
        raise ConfigError(f"device={device!r} is for backend='torch', because backend='onnx' runs on the CPU.")
    try:
        from ..runtime.model import Model
    except ImportError as error:
        raise ConfigError(f"backend='onnx' needs {error.name}: pip install \"hf-rnn[onnx]\".") from error
    folder, config = find_exported(path, **where)
    task = saved_task(folder, config, path)
    if not (task.one_answer or task.tagged):
        raise ConfigError(
            f"backend='onnx' answers with classifiers and taggers, and {path!r} is for {task.problem_type}: leave "
            "backend out."
        )
    exported = Model.from_pretrained(Path(folder), quantized=quantized, threads=threads)
    if exported.record.label_names != labels_of(config):
        raise HfRnnError(
            f"the files in {path!r}/onnx have other labels than its config.json: put back the files of one export."
        )
    return OnnxModel(exported, config, path), load_tokenizer(str(folder)), task


__all__ = ["BACKENDS", "OnnxModel", "open_exported"]
