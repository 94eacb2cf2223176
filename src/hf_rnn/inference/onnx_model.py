# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Exported models in place of models of torch: the backend `onnx` of a predictor."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..hub.fetch import find_exported
from ..models.decisions import labels_of
from ..models.label_checks import IGNORED
from ..runtime.record import LANGUAGE_MODEL, TRANSLATOR, check_file
from ..text.tokenization import load_tokenizer
from ..utils.errors import ConfigError, HfRnnError
from .saved_task import saved_task

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

    from ..models.configuration_rnn import RNNConfig
    from ..runtime.generation import State
    from ..runtime.graphs import Graphs
    from ..tasks import Task

BACKENDS = ("torch", "onnx")


class OnnxModel:
    """Model of a predictor that computes logits with onnxruntime.

    It has none of the other members of a model of torch. Their use is an error that says so.

    Args:
        graphs: Graphs of the exported model.
        config: Configuration of the model.
        path: Folder or Hub id of the model, for errors.
    """

    device = torch.device("cpu")

    def __init__(self, graphs: Graphs, config: RNNConfig, path: str):
        self.graphs, self.config, self.path = graphs, config, path

    def logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> np.ndarray:
        """Return the logits of rows of token ids, `[N, C]`, in the order of the rows.

        Args:
            ids: Token ids of N rows.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """
        return self.graphs.logits(ids, batch_tokens)

    def token_logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> list[np.ndarray]:
        """Return the logits `[T, C]` of each row of token ids, in the order of the rows.

        Args:
            ids: Token ids of each row.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """
        return self.graphs.token_logits(ids, batch_tokens)

    def fingerprint(self) -> str:
        """Return the facts on which answers depend: the hashes of the opened ONNX files, and their record."""
        return self.graphs.fingerprint()

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


class OnnxLanguageModel(OnnxModel):
    """Language model whose logits are computed by onnxruntime. It reads from left to right only.

    Args:
        graphs: Graphs of the exported model.
        config: Configuration of the model.
        path: Folder or Hub id of the model, for errors.
    """

    def __init__(self, graphs: Graphs, config: RNNConfig, path: str):
        # The graph holds the left-to-right direction alone.
        config = copy.copy(config)
        config.independent_directions = config.bidirectional = False
        super().__init__(graphs, config, path)
        self.steps = graphs.language_model()

    def eval(self) -> OnnxLanguageModel:
        """Return the model."""
        return self

    def __call__(
        self, input_ids: Tensor, shift_labels: Tensor, past_key_values: State | None = None, **_: Any
    ) -> SimpleNamespace:
        """Return the loss of a window of text and the state after it, as `RNNForCausalLM` does.

        Args:
            input_ids: Token ids, `[B, T]`.
            shift_labels: Next token of each position, `[B, T]`; -100 to leave a position out.
            past_key_values: State after the window before.
            **_: Further arguments of the model.
        """
        ids = input_ids.numpy()
        logits, state = self.steps.run(ids, np.ones_like(ids), past_key_values)
        loss = F.cross_entropy(torch.from_numpy(logits).flatten(0, 1), shift_labels.flatten(), ignore_index=IGNORED)
        return SimpleNamespace(loss=loss, past_key_values=state)

    def continue_text(self, tokenizer: Tokenizer, text: str, max_new_tokens: int, temperature: float) -> str:
        """Return a text with its continuation.

        Args:
            tokenizer: Tokenizer of the model, without padding and truncation.
            text: Prompt; an empty one starts a new document.
            max_new_tokens: Maximum number of generated tokens.
            temperature: Divisor of the logits before sampling; 0 for greedy decoding.
        """
        from ..runtime.writers import continue_text

        return continue_text(self.steps, tokenizer, self.graphs.record, text, max_new_tokens, temperature=temperature)


class OnnxTranslator(OnnxModel):
    """Translator whose logits are computed by onnxruntime.

    Args:
        graphs: Graphs of the exported model.
        config: Configuration of the model.
        path: Folder or Hub id of the model, for errors.
    """

    def __init__(self, graphs: Graphs, config: RNNConfig, path: str):
        super().__init__(graphs, config, path)
        self.steps = graphs.translator()
        generation: Any = graphs.record.generation
        self.generation_config = SimpleNamespace(
            num_beams=generation["num_beams"], max_new_tokens=generation["max_new_tokens"], max_length=None
        )

    def generate(self, input_ids: Tensor, attention_mask: Tensor, **_: Any) -> Tensor:
        """Return generated target tokens, `[B, T]`, with the settings of the export record.

        Args:
            input_ids: Token ids of the source texts, `[B, S]`.
            attention_mask: Mask, `[B, S]`.
            **_: Lengths for transformers. The same ones follow from the mask.
        """
        from ..runtime.writers import targets_of

        generation: Any = self.graphs.record.generation
        rows = targets_of(self.steps, generation, input_ids.numpy(), attention_mask.numpy())
        return torch.nn.utils.rnn.pad_sequence(list(map(torch.tensor, rows)), batch_first=True, padding_value=IGNORED)


def model_on(graphs: Graphs, config: RNNConfig, path: str) -> OnnxModel:
    """Return the model of a predictor for the graphs of an exported model.

    Args:
        graphs: Graphs of the exported model.
        config: Configuration of the model.
        path: Folder or Hub id of the model, for errors.
    """
    of_task = {LANGUAGE_MODEL: OnnxLanguageModel, TRANSLATOR: OnnxTranslator}
    return of_task.get(graphs.record.task, OnnxModel)(graphs, config, path)


def open_exported(
    path: str,
    device: str | None = None,
    *,
    quantized: bool | None = None,
    threads: int = 1,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    **others: Any,
) -> tuple[OnnxModel, PreTrainedTokenizerBase, Task]:
    """Open an exported model, with its tokenizer and its task.

    Args:
        path: Folder or Hub id of the model.
        device: Device for the model; only the CPU.
        quantized: Same as in [`~hf_rnn.runtime.model.Model.from_pretrained`].
        threads: Same as in [`~hf_rnn.runtime.model.Model.from_pretrained`].
        revision: Same as in [`~hf_rnn.runtime.model.Model.from_pretrained`].
        token: Same as in [`~hf_rnn.runtime.model.Model.from_pretrained`].
        cache_dir: Same as in [`~hf_rnn.runtime.model.Model.from_pretrained`].
        local_files_only: Same as in [`~hf_rnn.runtime.model.Model.from_pretrained`].
        others: Other options, which are refused.

    Raises:
        HfRnnError: onnxruntime is not installed; the model was not exported, or its files do not match each other; or
            an option is for models of torch.
    """
    if device not in (None, "cpu"):
        raise ConfigError(f"device={device!r} is for backend='torch', because backend='onnx' runs on the CPU.")
    if others:
        name, value = next(iter(others.items()))
        raise ConfigError(
            f"{name}={value!r} is no option of backend='onnx', which has quantized, threads, revision, token, "
            "cache_dir and local_files_only: leave it out."
        )
    try:
        from ..runtime.graphs import Graphs
        from ..runtime.model import check_no_revision
    except ImportError as error:
        raise ConfigError(f"backend='onnx' needs {error.name}: pip install \"hf-rnn[onnx]\".") from error
    if Path(path).is_dir():
        check_no_revision(path, revision)
    where = {"revision": revision, "token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
    folder, config, record = find_exported(path, **where)
    file = record.tokenizer["file"]
    check_file(folder / file, record.tokenizer["sha256"], file, path)
    if record.label_names and (record.label_names, record.thresholds) != (labels_of(config), config.thresholds):
        raise HfRnnError(
            f"the files in {path!r}/onnx have other labels than its config.json, or other thresholds: put back the "
            "files of one export, or export the model again, hf-rnn export MODEL --output FOLDER."
        )
    graphs = Graphs(folder, record, path, quantized, threads)
    return model_on(graphs, config, path), load_tokenizer(str(folder)), saved_task(folder, config, path)


__all__ = ["BACKENDS", "OnnxModel", "model_on", "open_exported"]
