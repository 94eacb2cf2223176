# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Answers of a saved model: for texts, and against the labels of a data set."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..auto import architecture
from ..hub.fetch import find_model
from ..hub.folder import RUN_FILE, check_alike
from ..hub.saved_run import read_run
from ..tasks import Task, task_class, task_of
from ..text.arguments import IN_MEMORY, DataArguments
from ..text.batching import BATCH_TOKENS, by_tokens
from ..text.columns import text_of
from ..text.loading import load
from ..text.python_rows import is_table, splits_in
from ..text.tokenization import as_text, load_tokenizer, token_ids
from ..utils.errors import UserError
from ..utils.machine import default_device, keep_freed_memory, on_device
from .columns import own_columns, text_columns
from .long_text import LONG_TEXT_WINDOW, logits_of
from .text_stream import TextStream

if TYPE_CHECKING:
    from datasets import DatasetDict

logger = logging.getLogger(__name__)

# Texts that are tokenized and sorted by length at a time.
TEXTS_AT_ONCE = 4096
# A lower temperature than this would divide logits to infinity.
COLDEST = 0.01


@dataclass
class Predictor:
    """A trained model with its tokenizer and its task: texts in, answers out.

    On a CPU the process keeps the memory that it frees from then on ([`~hf_rnn.utils.machine.keep_freed_memory`]).

    Args:
        model: the trained model.
        tokenizer: the model's own.
        task: of the model, which makes answers out of logits.
        others: further classifiers of the same tokenizer and labels, whose logits are averaged with the model's.

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
    def from_pretrained(
        cls, path: str | Path, device: str | None = None, others: Sequence[str | Path] = (), **kwargs: Any
    ) -> Predictor:
        """Load a model folder, or a model from the Hub.

        Args:
            path: folder or Hub id.
            device: such as `"cuda"`; a GPU where there is one if None.
            others: further models, of other runs on the same tokenizer and labels: the answers are those of the mean
                of all logits.
            kwargs: of `from_pretrained`, such as `revision`, which is the first model's alone.

        Raises:
            UserError: it is not there, not a model of ours, or its files do not fit one another; another model has
                another tokenizer or other labels.
        """
        path = str(path)
        if isinstance(others, (str, Path)):
            raise UserError(f"others is one path: pass a list, [{str(others)!r}].")
        if others:
            predictor = cls.from_pretrained(path, device, **kwargs)
            if not predictor.task.one_answer:
                raise UserError(
                    f"{path!r} is no classifier of whole texts, and only their logits have a mean: leave others "
                    "(--others) out."
                )
            kwargs.pop("revision", None)
            predictor.others = [
                predictor._beside(cls.from_pretrained(other, device, **kwargs), other) for other in others
            ]
            return predictor
        where = {
            name: kwargs.pop(name) for name in ("revision", "token", "cache_dir", "local_files_only") if name in kwargs
        }
        folder, config = find_model(path, **where)
        run = read_run(folder)
        cls_of_task = task_of(architecture(config), path, run.task)
        if run.task is not None and task_class(run.task) is not cls_of_task:
            raise UserError(
                f"{path!r} is an {architecture(config)}, and its {RUN_FILE} is of the task {run.task}: put back the "
                "files that one run wrote together."
            )
        task: Any = cls_of_task(run.data, config)
        task.has_schema, task.test_fingerprint = run.schema is not None, getattr(run.schema, "test_fingerprint", None)
        model: Any = task.model_class.from_pretrained(folder, config=config, **kwargs)
        tokenizer = load_tokenizer(str(folder))
        model.eval().to(device or default_device())
        return cls(model, tokenizer, task)

    def _beside(self, other: Predictor, path: str | Path) -> PreTrainedModel:
        """The other model, if it answers the same question about the same tokens."""
        configs: list[Any] = [self.model.config, other.model.config]
        check_alike(configs[0], self.tokenizer, configs[1], other.tokenizer, str(path))
        return other.model

    def __call__(
        self,
        texts: Any,
        pairs: Sequence[str] | None = None,
        *,
        top_k: int | None = 1,
        batch_tokens: int = BATCH_TOKENS,
    ) -> list[dict]:
        """
        Args:
            texts: strings, of any length; or a table of rows, such as a DataFrame, a `datasets.Dataset` or a list of
                dicts, in which the columns are read that the model was trained on.
            pairs: as many second texts, for a model of pairs.
            top_k: as in the task's `answers`.
            batch_tokens: tokens that are read at once, padding among them; a longer text is read window by window, in
                memory that does not grow with it.

        Returns:
            For each text, in order, what the task's `answers` gives.
        """
        rows: Any = self._in_table(texts) if is_table(texts) else texts
        rows = rows if pairs is None else zip(rows, pairs, strict=True)
        return list(self.stream(rows, top_k=top_k, batch_tokens=batch_tokens))

    def stream(
        self, texts: Iterable[str | tuple[str, str]], *, top_k: int | None = 1, batch_tokens: int = BATCH_TOKENS
    ) -> Iterator[dict]:
        """Answer any number of texts, in their order, in bounded memory: as `predictor(texts)`, a part at a time.

        A part is 4,096 texts: the first answer comes when so many have been read, or all.

        Args:
            texts: any iterable of strings, or of pairs of strings; None is read as an empty text.
            top_k, batch_tokens: as in `predictor(texts)`.

        Raises:
            UserError: one string instead of several; texts and pairs mixed, or more than two texts in a row; something
                that is no text; `batch_tokens` or `top_k` under 1.
        """
        if isinstance(texts, (str, bytes)):
            raise UserError("texts is one string: pass a list of texts, [text].")
        for name, value, other in (("batch_tokens", batch_tokens, ""), ("top_k", top_k, ", or None for all labels")):
            if not (isinstance(value, int) and value >= 1) and not (name == "top_k" and value is None):
                raise UserError(f"{name}={value!r} must be a whole number from 1 on{other}.")
        return self._stream(iter(texts), top_k, batch_tokens)

    def _in_table(self, table: Any) -> list[Any]:
        """The texts, or pairs of them, of all rows of a table."""
        splits = splits_in(table)
        if len(splits) > 1:
            raise UserError(f"there are the splits {', '.join(splits)}: pass one of them.")
        rows = next(iter(splits.values()))
        task = self.task.with_data(self.task.data.elsewhere(IN_MEMORY))
        columns = text_columns(task.with_data(own_columns(task, rows, ())), rows)
        texts = [[text_of(value, f"the column {name!r}") for value in rows[name]] for name in columns]
        return list(zip(*texts, strict=True)) if len(texts) > 1 else texts[0]

    def open(self, streams: int = 1) -> TextStream:
        """Open texts that are read as they arrive, each answered at any time by `answers()`.

        Args:
            streams: texts side by side.

        Raises:
            UserError: the model reads from right to left too, is no classifier of whole texts, or is one of several.
        """
        if not self.task.one_answer or self.others:
            raise UserError("one classifier answers a stream: open one, Predictor.from_pretrained(MODEL).open().")
        self._check_pairs(1)
        return TextStream(self.model, self.tokenizer, streams, self.task.answers)

    def _stream(self, texts: Iterator, top_k: int | None, batch_tokens: int) -> Iterator[dict]:
        while window := list(islice(texts, TEXTS_AT_ONCE)):
            rows = [row if isinstance(row, (tuple, list)) else (row,) for row in window]
            wrong = next((row for row in rows if len(row) != len(rows[0]) or len(row) not in (1, 2)), None)
            if wrong is not None:
                raise UserError(
                    f"a row of {len(wrong)} texts, {str(wrong)[:60]}, cannot be read (the first has {len(rows[0])}): "
                    "pass one text a row, or a pair (text, second text) in each."
                )
            self._check_pairs(len(rows[0]))
            columns = [[as_text(text) for text in column] for column in zip(*rows, strict=True)]
            yield from self.task.reply(self, columns, top_k, batch_tokens)

    def _check_pairs(self, given: int) -> None:
        """Raises [`UserError`] where a model of pairs is asked with one text."""
        data = self.task.data
        if given == 1 and data.text_pair_column and self.task.has_schema:
            raise UserError(
                f"this model reads pairs of texts ({data.text_column!r} with {data.text_pair_column!r}), and was given "
                "one: pass pairs, predictor([text], pairs=[second_text]); or a file that has both columns, hf-rnn "
                "predict MODEL --file in.csv --output out.jsonl."
            )

    @torch.inference_mode()
    def logits(self, ids: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> np.ndarray:
        """Return logits `[N, C]` of rows of token ids, in their order. Rows of similar length are read together.

        Args:
            ids: the token ids of N rows, of any lengths.
            batch_tokens: the most tokens in a batch, padding included. A longer row is read window by window.
        """
        num_labels = self.model.config.num_labels
        assert num_labels is not None
        logits = np.empty((len(ids), num_labels), dtype=np.float32)
        models = (self.model, *self.others)
        batches, means = self.places(ids, batch_tokens), []
        for places in batches:
            if len(ids[places[0]]) > batch_tokens:
                # It is the only one of its batch.
                window = min(batch_tokens, LONG_TEXT_WINDOW)
                answers = [logits_of(model, ids[places[0]], window).float() for model in models]
            else:
                batch = self.batch(ids, places)
                answers = [model(**batch, return_dict=True).logits.float() for model in models]
            means.append(torch.stack(answers).mean(0))
        # Read at the end, since a GPU has to finish a batch before it can be read.
        for places, mean in zip(batches, means, strict=True):
            logits[places] = mean.cpu().numpy()
        return logits

    @torch.inference_mode()
    def token_logits(self, ids: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> list[np.ndarray]:
        """Return logits `[T, C]` of each row of token ids, in their order. Rows of similar length are read together.

        Args:
            ids: the token ids of each row, of any lengths.
            batch_tokens: the most tokens in a batch, padding included.
        """
        logits: list[Any] = [None] * len(ids)
        batches = self.places(ids, batch_tokens)
        answers = [self.model(**self.batch(ids, places), return_dict=True).logits.float() for places in batches]
        # Read at the end, since a GPU has to finish a batch before it can be read.
        for places, of_batch in zip(batches, answers, strict=True):
            for place, answer in zip(places, of_batch.cpu().numpy(), strict=True):
                logits[place] = answer[: len(ids[place])]
        return logits

    def places(self, ids: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> list[np.ndarray]:
        """Return the places of the rows of each batch, which are of similar length.

        Args:
            ids: the token ids of each row.
            batch_tokens: the most tokens in a batch, padding included. A longer row is alone.
        """
        if self.model.device.type == "cpu":
            keep_freed_memory()
        return list(by_tokens([len(row) for row in ids], batch_tokens))

    def batch(self, ids: Sequence[Sequence[int]], places: np.ndarray) -> dict[str, torch.Tensor]:
        """Return rows as one padded batch on the model's device.

        Args:
            ids: the token ids of each row.
            places: of the rows of the batch.
        """
        batch = self.task.collator(self.tokenizer)([{"input_ids": ids[place]} for place in places])
        return on_device(batch, self.model.device)


def labelled_rows(
    predictor: Predictor, data: Any, split: str | None, given: Collection[str]
) -> tuple[DatasetDict, Task]:
    """The splits of a data set, and the model's task over its columns; arguments and errors are those of
    [`evaluate`]."""
    source = None
    if isinstance(data, (str, Path)):
        data = predictor.task.data.elsewhere(str(data))
    if not isinstance(data, DataArguments):
        source, data, given = data, predictor.task.data.elsewhere(IN_MEMORY), ()
    if not data.path:
        raise UserError(f"the model has no {RUN_FILE} that names its data: name a data set, --data PATH.")
    task = predictor.task.with_data(data)
    splits = task.hold_out_test(load(data, split or data.test_split, source, task.tagged))
    wanted = splits[split] if split in splits else next(iter(splits.values()))
    labels = task.problem_type != "language_modeling"
    return splits, task.with_data(own_columns(task, wanted, given, labels))


def evaluate(
    predictor: Predictor | str | Path,
    data: Any,
    split: str | None = None,
    batch_tokens: int = BATCH_TOKENS,
    given: Collection[str] = ("text_column", "text_pair_column", "label_column"),
) -> dict:
    """Measure a model on a labelled data set.

    Args:
        predictor: the model, or its folder or Hub id.
        data: a [`DataArguments`]; or the path of a data set; or the rows, as in `hf_rnn.train`.
        split: of the data set; its only one, or the test split, if None.
        batch_tokens: as in [`Predictor`].
        given: columns in `data` that must be there; others are found anew where they are not.

    Returns:
        The number of `rows`, and the metrics of the task.

    Raises:
        UserError: no data set is named; see `load` and the task's `prepare_split`.
    """
    if not isinstance(predictor, Predictor):
        predictor = Predictor.from_pretrained(predictor)
    splits, task = labelled_rows(predictor, data, split, given)
    for how in dict.fromkeys(rows.info.description for rows in splits.values() if rows.info.description):
        logger.info(f"{task.data.path}: {how}.")
    rows = task.encode(task.prepare_split(splits, split), predictor.tokenizer)
    return {"rows": len(rows), **task.judge(predictor, rows, batch_tokens)}


@torch.inference_mode()
def write(predictor: Predictor, text: str, max_new_tokens: int = 50, temperature: float = 1.0) -> str:
    """Let a language model go on with a text.

    Args:
        predictor: of a language model.
        text: that it goes on with; an empty one for the beginning of a document.
        max_new_tokens: at most so many; it stops at the end of a document.
        temperature: by which logits are divided before a token is drawn; 0 for the likeliest token each time.

    Returns:
        The text and what was written.

    Raises:
        UserError: a model that writes nothing, no token to write, or a temperature under 0.
    """
    if predictor.task.problem_type != "language_modeling":
        raise UserError('this model does not go on with texts, it answers them: hf-rnn predict MODEL "some text".')
    if max_new_tokens < 1:
        raise UserError(f"max_new_tokens={max_new_tokens} must be 1 or greater, such as 50.")
    if temperature != 0 and temperature < COLDEST:
        raise UserError(
            f"temperature={temperature} must be 0, for the likeliest token each time, or {COLDEST} or more."
        )
    model, tokenizer = predictor.model, predictor.tokenizer
    ids = token_ids(tokenizer, [as_text(text)])[0] or [tokenizer.bos_token_id]
    if tokenizer.unk_token_id in ids:
        logger.warning(f"{text[:60]!r} has words that the model does not know, and reads as {tokenizer.unk_token}.")
    drawn = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    generate: Any = model.generate
    prompt = torch.tensor([ids], device=model.device)
    (written,) = generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=max_new_tokens, **drawn
    ).tolist()
    # Decoded together, since the first token of a text loses the space before it.
    read, whole = (str(tokenizer.decode(row, skip_special_tokens=True)) for row in (ids, written))
    return (text + whole[len(read) :]).lstrip()


__all__ = ["Predictor", "evaluate", "own_columns", "write"]
