# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Prediction, evaluation and text generation with a saved model."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..hub.fetch import find_model
from ..runtime.answers import REGRESSION, abstaining, check_min_score
from ..runtime.batching import TEXTS_AT_ONCE, by_tokens
from ..runtime.generation import check_sampling, check_whole, continued
from ..runtime.texts import as_text, check_options, columns_of, joined_with, rows_of
from ..tasks import Task
from ..text.arguments import IN_MEMORY
from ..text.batching import BATCH_TOKENS
from ..text.columns import text_of
from ..text.python_rows import is_table, splits_in
from ..text.tokenization import load_tokenizer, token_ids
from ..utils.errors import HfRnnError, check_choice
from ..utils.machine import default_device, keep_freed_memory, on_device
from ..utils.output import bars_if_seen
from .columns import own_columns, text_columns
from .ensemble import config_of_ensemble
from .long_text import LONG_TEXT_WINDOW, logits_of
from .onnx_model import BACKENDS, OnnxModel, open_exported
from .saved_task import saved_task
from .text_stream import TextStream

logger = logging.getLogger(__name__)


@dataclass
class Predictor:
    """A trained model with its tokenizer and its task, which answers texts.

    On a CPU, the process keeps freed memory from the first batch on ([`~hf_rnn.utils.machine.keep_freed_memory`]).

    Args:
        model: Trained model, or an [`~hf_rnn.inference.onnx_model.OnnxModel`].
        tokenizer: Tokenizer of the model.
        task: Task of the model; it turns logits into answers.
        others: Further models of an ensemble, with the same tokenizer and labels. Their logits are averaged with
            those of `model`.

    ```python
    >>> predictor = Predictor.from_pretrained("runs/imdb")
    >>> predictor(["What a film!"])
    [{'label': 'pos', 'score': 0.98}]
    ```
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    task: Task
    others: Sequence[PreTrainedModel] = ()

    @classmethod
    @bars_if_seen(of_datasets=False)
    def from_pretrained(
        cls,
        path: str | Path,
        device: str | None = None,
        others: Sequence[str | Path] = (),
        *,
        backend: str = "torch",
        **kwargs: Any,
    ) -> Predictor:
        """Load a model from a folder or from the Hub.

        Args:
            path: Folder or Hub id of the model.
            device: Device for the model, such as `"cuda"`. None selects a GPU if there is one, else the CPU.
            others: Folders or Hub ids of further models with the same tokenizer and labels. The predictor is then an
                ensemble: it averages the logits of all models, and their thresholds.
            backend: `torch`; or `onnx` for a model that `hf-rnn export` wrote, which onnxruntime runs on the CPU.
            kwargs: Further options of `from_pretrained`. `revision` applies to the first model only. With
                `backend="onnx"`, the options of [`~hf_rnn.runtime.model.Model.from_pretrained`].

        Raises:
            HfRnnError: The model does not exist, is not a model of hf_rnn, or its files do not match each other; or
                one of `others` has another tokenizer or other labels.
        """
        path = str(path)
        check_choice("backend", backend, BACKENDS)
        if isinstance(others, (str, Path)):
            raise HfRnnError(f"others is one path: pass a list, [{str(others)!r}].")
        if others:
            predictor = cls.from_pretrained(path, device, backend=backend, **kwargs)
            if not predictor.task.one_answer:
                raise HfRnnError(
                    f"{path!r} is not a text classifier, and only logits of text classifiers can be averaged: "
                    "leave others out."
                )
            kwargs.pop("revision", None)
            members = [cls.from_pretrained(other, device, backend=backend, **kwargs) for other in others]
            predictor.task.config = config_of_ensemble(predictor, members, list(map(str, others)))
            predictor.others = [member.model for member in members]
            return predictor
        if backend == "onnx":
            exported: Any = open_exported(path, device, **kwargs)
            return cls(*exported)
        for name in ("quantized", "threads"):
            if name in kwargs:
                raise HfRnnError(f"{name}={kwargs[name]!r} needs backend='onnx': write that too, or leave {name} out.")
        where = {
            name: kwargs.pop(name) for name in ("revision", "token", "cache_dir", "local_files_only") if name in kwargs
        }
        folder, config = find_model(path, **where)
        task: Any = saved_task(folder, config, path)
        model: Any = task.model_class.from_pretrained(folder, config=config, **kwargs)
        # The model has a copy of the configuration; thresholds that are changed in it count.
        task.config = model.config
        tokenizer = load_tokenizer(str(folder))
        model.eval().to(device or default_device())
        return cls(model, tokenizer, task)

    def __call__(
        self,
        texts: Any,
        pairs: Any = None,
        *,
        top_k: int | None = 1,
        min_score: float = 0.0,
        batch_tokens: int = BATCH_TOKENS,
    ) -> Any:
        """Return one answer for each text, in the order of the texts.

        Args:
            texts: Strings of any length; or a table, such as a DataFrame, a `datasets.Dataset` or a list of dicts. A
                table has the text columns of training, or columns with well-known names. Or one string.
            pairs: Second text of each row, for a model that was trained on pairs of texts; one string for one string.
            top_k: Number of labels in an answer; None or 0 for all.
            min_score: Least score of a label in an answer of a text classifier, from 0 to 1. The model abstains from
                labels with a lower one: `label` is then None, or `labels` has fewer of them.
            batch_tokens: Maximum number of tokens in a batch, padding included. A classifier reads a longer text in
                windows, so that memory does not grow with the text.

        Returns:
            A list of answers, as the `reply` of the task returns them; one answer for one string.
        """
        if isinstance(texts, str):
            texts, pairs = [texts], None if pairs is None else [pairs]
            return self(texts, pairs, top_k=top_k, min_score=min_score, batch_tokens=batch_tokens)[0]
        rows = self._rows(texts, pairs)
        return list(self.stream(rows, top_k=top_k, min_score=min_score, batch_tokens=batch_tokens))

    def scores(self, texts: Any, pairs: Any = None, *, batch_tokens: int = BATCH_TOKENS) -> np.ndarray:
        """Return the probabilities of all labels for each text, `[N, C]`; in regression, the values, `[N, 1]`.

        The columns are in the order of `task.label_names`.

        Args:
            texts: Same as in [`__call__`], but not a single string.
            pairs: Same as in [`__call__`].
            batch_tokens: Same as in [`__call__`].

        Raises:
            HfRnnError: The model is not a text classifier, or an error of [`stream`].
        """
        if not self.task.one_answer:
            raise HfRnnError(
                "only text classifiers have scores of labels: call predictor(texts) for the answers of this model."
            )
        rows = list(self._rows(texts, pairs))
        if not rows:
            return np.empty((0, len(self.task.label_names)), dtype=np.float32)
        task: Any = self.task
        _, ids = task.read_and_cut(self.tokenizer, *self.columns(rows))
        return task.scores(self.logits(ids, batch_tokens))

    @property
    def has_scores(self) -> bool:
        """True if answers have probabilities of labels: those of a text classifier that does not predict a number."""
        return self.task.one_answer and self.task.problem_type != REGRESSION

    def _rows(self, texts: Any, pairs: Any) -> Any:
        """Return the texts, or the pairs of texts, of a list or of a table."""
        return joined_with(self._in_table(texts) if is_table(texts) else texts, pairs)

    def stream(
        self,
        texts: Iterable[str | tuple[str, str]],
        *,
        top_k: int | None = 1,
        min_score: float = 0.0,
        batch_tokens: int = BATCH_TOKENS,
    ) -> Iterator[dict]:
        """Return an iterator over the answers to any number of texts, in order and in bounded memory.

        Texts are read in groups of 4,096. The first answer comes after the first group has been read.

        Args:
            texts: Strings, or pairs of strings. None counts as an empty text.
            top_k: Number of labels in an answer; None or 0 for all.
            min_score: Same as in [`__call__`].
            batch_tokens: Maximum number of tokens in a batch, padding included.

        Raises:
            HfRnnError: `texts` is a single string, mixes texts with pairs, has a row of more than two texts, or has a
                value that is not a text; `batch_tokens` is under 1, or `top_k` under 0; or `min_score` is not from 0 to
                1, or the answers of the model have no scores.
        """
        top_k = check_options(texts, top_k, batch_tokens)
        check_min_score(min_score, self.has_scores)
        answers = self._stream(iter(texts), top_k, batch_tokens)
        return (abstaining(answer, min_score) for answer in answers) if min_score else answers

    def _in_table(self, table: Any) -> list[Any]:
        """Return the text of each row of a table, or the pair of texts for a model of pairs."""
        splits = splits_in(table)
        if len(splits) > 1:
            raise HfRnnError(f"the data set has the splits {', '.join(splits)}: pass one of them.")
        rows = next(iter(splits.values()))
        task = self.task.with_data(self.task.data.elsewhere(IN_MEMORY))
        columns = text_columns(task.with_data(own_columns(task, rows, ())), rows)
        texts = [[text_of(value, f"the column {name!r}") for value in rows[name]] for name in columns]
        return list(zip(*texts, strict=True)) if len(texts) > 1 else texts[0]

    def open(self, streams: int = 1) -> TextStream:
        """Return a [`TextStream`] that reads texts as they arrive and answers at any time.

        Args:
            streams: Number of texts that are read in parallel.

        Raises:
            HfRnnError: The model is bidirectional or not a text classifier, it reads pairs, or this is an ensemble.
        """
        if isinstance(self.model, OnnxModel):
            raise self.model.refusal("a stream of text")
        if not self.task.one_answer or self.others:
            raise HfRnnError(
                "a stream needs a single text classifier: open one, Predictor.from_pretrained(MODEL).open()."
            )
        self._check_pairs(1)
        return TextStream(self.model, self.tokenizer, streams, self.task.answers)

    def _stream(self, texts: Iterator, top_k: int | None, batch_tokens: int) -> Iterator[dict]:
        while window := list(islice(texts, TEXTS_AT_ONCE)):
            yield from self.task.reply(self, self.columns(window), top_k, batch_tokens)

    def columns(self, texts: list) -> list[list[str]]:
        """Return texts, or pairs of texts, as one or two columns.

        Args:
            texts: Strings, or pairs of strings. None counts as an empty text.

        Raises:
            HfRnnError: Rows have different numbers of texts, or one text for a model of pairs.
        """
        rows = rows_of(texts)
        self._check_pairs(len(rows[0]))
        return columns_of(rows)

    def _check_pairs(self, given: int) -> None:
        """Raise [`HfRnnError`] if a model of pairs is given one text a row."""
        data = self.task.data
        if given == 1 and data.text_pair_column and self.task.has_schema:
            raise HfRnnError(
                f"this model reads pairs of texts ({data.text_column!r} with {data.text_pair_column!r}), but was given "
                "single texts: pass pairs, predictor([text], pairs=[second_text]); or a file that has both columns, "
                "hf-rnn predict MODEL --file in.csv --output out.jsonl."
            )

    @torch.inference_mode()
    def logits(self, ids: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> np.ndarray:
        """Return the logits of rows of token ids, `[N, C]`, float32, in the order of the rows.

        A batch holds rows of similar length. The logits of an ensemble are the mean over its models.

        Args:
            ids: Token ids of N rows, of any lengths.
            batch_tokens: Maximum number of tokens in a batch, padding included. A longer row is read in windows.
        """
        num_labels = self.model.config.num_labels
        assert num_labels is not None
        logits = np.empty((len(ids), num_labels), dtype=np.float32)
        models: Any = (self.model, *self.others)
        if isinstance(self.model, OnnxModel):
            return np.mean([model.logits(ids, batch_tokens) for model in models], axis=0)
        batches, means = self.places(ids, batch_tokens), []
        for places in batches:
            if len(ids[places[0]]) > batch_tokens:
                # A row of more than `batch_tokens` tokens has a batch of its own.
                window = min(batch_tokens, LONG_TEXT_WINDOW)
                answers = [logits_of(model, ids[places[0]], window).float() for model in models]
            else:
                batch = self.batch(ids, places)
                answers = [model(**batch, return_dict=True).logits.float() for model in models]
            means.append(torch.stack(answers).mean(0))
        # Copied after all batches have been started: a copy from a GPU waits until its batch is finished.
        for places, mean in zip(batches, means, strict=True):
            logits[places] = mean.cpu().numpy()
        return logits

    @torch.inference_mode()
    def token_logits(self, ids: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> list[np.ndarray]:
        """Return the logits `[T, C]` of each row of token ids, in the order of the rows.

        A batch holds rows of similar length.

        Args:
            ids: Token ids of each row, of any lengths.
            batch_tokens: Maximum number of tokens in a batch, padding included. A longer row is a batch of its own.
        """
        if isinstance(self.model, OnnxModel):
            return self.model.token_logits(ids, batch_tokens)
        logits: list[Any] = [None] * len(ids)
        batches = self.places(ids, batch_tokens)
        answers = [self.model(**self.batch(ids, places), return_dict=True).logits.float() for places in batches]
        # Copied after all batches have been started: a copy from a GPU waits until its batch is finished.
        for places, of_batch in zip(batches, answers, strict=True):
            for place, answer in zip(places, of_batch.cpu().numpy(), strict=True):
                logits[place] = answer[: len(ids[place])]
        return logits

    def places(self, ids: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> list[np.ndarray]:
        """Return, for each batch, the indices of its rows. The rows of a batch have similar lengths.

        Args:
            ids: Token ids of each row.
            batch_tokens: Maximum number of tokens in a batch, padding included. A longer row is a batch of its own.
        """
        if self.model.device.type == "cpu":
            keep_freed_memory()
        return list(by_tokens([len(row) for row in ids], batch_tokens))

    def batch(self, ids: Sequence[Sequence[int]], places: np.ndarray) -> dict[str, torch.Tensor]:
        """Return rows as one padded batch on the model's device.

        Args:
            ids: Token ids of each row.
            places: Indices of the rows of the batch.
        """
        batch = self.task.collator(self.tokenizer)([{"input_ids": ids[place]} for place in places])
        return on_device(batch, self.model.device)


@torch.inference_mode()
def write(predictor: Predictor, text: str, max_new_tokens: int = 50, temperature: float = 1.0) -> str:
    """Continue a text with a language model.

    Args:
        predictor: Predictor with a language model.
        text: Prompt; an empty one or None starts a new document.
        max_new_tokens: Maximum number of generated tokens. Generation also stops at the end-of-text token.
        temperature: Divisor of the logits before sampling; 0 for greedy decoding.

    Returns:
        The prompt and its continuation.

    Raises:
        HfRnnError: The model is not a language model, `max_new_tokens` is under 1, or the temperature is neither 0 nor
            at least 0.01.
    """
    if predictor.task.problem_type != "language_modeling":
        raise HfRnnError(
            'this model is not a language model and cannot continue texts: write hf-rnn predict MODEL "some text".'
        )
    text = as_text(text)
    check_whole("max_new_tokens", max_new_tokens, 50)
    check_sampling(temperature)
    model, tokenizer = predictor.model, predictor.tokenizer
    if isinstance(model, OnnxModel):
        return model.continue_text(tokenizer.backend_tokenizer, text, max_new_tokens, temperature)
    ids = token_ids(tokenizer, [text])[0] or [tokenizer.bos_token_id]
    if tokenizer.unk_token_id in ids:
        logger.warning(f"{text[:60]!r} has words outside the vocabulary, which are read as {tokenizer.unk_token}.")
    drawn = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    generate: Any = model.generate
    prompt = torch.tensor([ids], device=model.device)
    (written,) = generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=max_new_tokens, **drawn
    ).tolist()
    return continued(text, *(str(tokenizer.decode(row, skip_special_tokens=True)) for row in (ids, written)))


__all__ = ["Predictor", "own_columns", "write"]
