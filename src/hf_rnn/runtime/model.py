# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""An exported model that answers texts without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from .answers import abstaining, answers_of, check_min_score, one_answer_of, scores_of
from .batching import BATCH_TOKENS, TEXTS_AT_ONCE
from .entities import tag_answers
from .errors import HfRnnError
from .graphs import Graphs
from .paths import looks_local
from .record import CLASSIFIER, LANGUAGE_MODEL, TAGGER, TRANSLATOR, read_record
from .session import open_tokenizer
from .texts import check_options, columns_of, joined_with, rows_of
from .tokens import cut_rows, pair_encodings, token_ids
from .writers import continue_text, translate


class Model:
    """An exported model with its tokenizer. Its answers are those of `hf_rnn.Predictor`.

    Several threads may call one model.

    ```python
    >>> model = Model.from_pretrained("exported/imdb")
    >>> model.predict(["What a film!"])
    [{'label': 'pos', 'score': 0.98}]
    ```

    Args:
        graphs: Graphs of the model.
        tokenizer: Tokenizer of the model, without padding and truncation.
    """

    def __init__(self, graphs: Graphs, tokenizer: Tokenizer):
        self.graphs, self.record, self.tokenizer = graphs, graphs.record, tokenizer

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        quantized: bool | None = None,
        revision: str | None = None,
        threads: int = 1,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> Model:
        """Load an exported model from a folder or from the Hub.

        Args:
            path: Folder that `hf-rnn export` wrote, or Hub id.
            quantized: True for the int8 weights, False for the float32 ones. None for the float32 ones if they exist.
            revision: Branch, tag or commit of a model on the Hub; None for main.
            threads: Number of threads of an operator; 0 for one on each core. One thread answers short texts fastest.
            token: Token of the Hub; None for the one that `hf auth login` saved.
            cache_dir: Folder of the Hub's cache; None for the usual one.
            local_files_only: True to read a model of the Hub from the cache only.

        Raises:
            HfRnnError: There is no such model, its files are damaged or belong to different models, the installed
                libraries are too old for it, or `revision` is given for a folder.
        """
        if not isinstance(path, (str, Path)) or not str(path):
            raise HfRnnError(f"path={path!r} names no model: write a folder that hf-rnn export wrote, or a Hub id.")
        name, folder = str(path), Path(path)
        if not folder.is_dir() and not looks_local(name):
            from .hub import download

            folder = download(name, quantized, revision, token, cache_dir, local_files_only)
        else:
            check_no_revision(name, revision)
        record = read_record(folder, name)
        return cls(Graphs(folder, record, name, quantized, threads), open_tokenizer(folder, record, name))

    def __call__(self, texts: Any, pairs: Any = None, **options: Any) -> Any:
        """Return one answer for each text; see [`predict`].

        Args:
            texts: Same as in [`predict`].
            pairs: Same as in [`predict`].
            options: Same as in [`predict`].
        """
        return self.predict(texts, pairs, **options)

    def predict(
        self,
        texts: Any,
        pairs: Any = None,
        *,
        top_k: int | None = 1,
        min_score: float = 0.0,
        batch_tokens: int = BATCH_TOKENS,
        num_beams: int | None = None,
    ) -> Any:
        """Return one answer for each text, in the order of the texts.

        Args:
            texts: Strings of any length, or one string. None and NaN count as empty texts.
            pairs: Second text of each row, for a model that was trained on pairs of texts; one string for one string.
            top_k: Number of labels in an answer; None or 0 for all.
            min_score: Least score of a label in an answer of a text classifier, from 0 to 1. The model abstains from
                labels with a lower one: `label` is then None, or `labels` has fewer of them.
            batch_tokens: Maximum number of tokens in a batch, padding included. A longer text is a batch of its own.
            num_beams: Number of beams of a translator; None for the number that was saved with it.

        Returns:
            A list of answers; one answer for one string. An answer of a text classifier has `label` and `score`,
            `labels` and `scores`, or `value`. An answer of a tagger has `entities`, each with `label`, `text`, `score`,
            `start` and `end`. An answer of a translator has the `text` that it wrote.

        Raises:
            HfRnnError: An argument or a text cannot be used; see [`stream`].
        """
        is_one = isinstance(texts, str)
        if is_one:
            texts, pairs = [texts], None if pairs is None else [pairs]
        rows = joined_with(texts, pairs)
        answers = list(
            self.stream(rows, top_k=top_k, min_score=min_score, batch_tokens=batch_tokens, num_beams=num_beams)
        )
        return answers[0] if is_one else answers

    def stream(
        self,
        texts: Iterable[Any],
        *,
        top_k: int | None = 1,
        min_score: float = 0.0,
        batch_tokens: int = BATCH_TOKENS,
        num_beams: int | None = None,
    ) -> Iterator[dict]:
        """Return an iterator over the answers to any number of texts, in order and in bounded memory.

        Texts are read in groups of 4,096. The first answer comes after the first group has been read.

        Args:
            texts: Strings, or pairs of strings.
            top_k: Same as in [`predict`].
            min_score: Same as in [`predict`].
            batch_tokens: Same as in [`predict`].
            num_beams: Same as in [`predict`].

        Raises:
            HfRnnError: `texts` is a single string, mixes texts with pairs, has a row of more than two texts, or has a
                value that is not a text; `batch_tokens` is under 1, or `top_k` under 0; or `min_score` is not from 0 to
                1, or the answers of the model have no scores. Or the model is a language model, or it is no translator
                and has `num_beams`.
        """
        top_k = check_options(texts, top_k, batch_tokens)
        check_min_score(min_score, self.record.has_scores)
        if num_beams is not None and self.record.task != TRANSLATOR:
            raise HfRnnError(f"num_beams={num_beams} is an option of translators, and of generate: leave it out.")
        answers = self._stream(iter(texts), top_k, batch_tokens, num_beams)
        return (abstaining(answer, min_score) for answer in answers) if min_score else answers

    def generate(self, prompt: str = "", max_new_tokens: int = 50, **options: Any) -> str:
        """Return a text that a language model continues, with its continuation.

        Args:
            prompt: Beginning of the text, of any length; an empty one starts a new document.
            max_new_tokens: Maximum number of generated tokens. Generation also stops at the end-of-text token.
            options: `temperature`, `top_k`, `top_p`, `num_beams` and `seed` of
                [`~hf_rnn.runtime.writers.continue_text`].

        Raises:
            HfRnnError: The model is not a language model, or a number is out of its range.
        """
        if self.record.task != LANGUAGE_MODEL:
            raise HfRnnError(
                "this model is not a language model and cannot continue texts: write model.predict([text])."
            )
        steps = self.graphs.language_model()
        return continue_text(steps, self.tokenizer, self.record, prompt, max_new_tokens, **options)

    def scores(self, texts: Any, pairs: Any = None, *, batch_tokens: int = BATCH_TOKENS) -> np.ndarray:
        """Return the probabilities of all labels for each text, `[N, C]`; in regression, the values, `[N, 1]`.

        The columns are in the order of `record.label_names`.

        Args:
            texts: Same as in [`predict`], but not a single string.
            pairs: Same as in [`predict`].
            batch_tokens: Same as in [`predict`].

        Raises:
            HfRnnError: The model is not a text classifier, or an error of [`stream`].
        """
        if self.record.task != CLASSIFIER:
            raise HfRnnError(
                "only text classifiers have scores of labels: call model.predict(texts) for the answers of this model."
            )
        rows = list(joined_with(texts, pairs))
        if not rows:
            return np.empty((0, len(self.record.label_names)), dtype=np.float32)
        return scores_of(self.graphs.logits(self._ids(self._columns(rows)), batch_tokens), self.record.problem_type)

    def _stream(self, texts: Iterator, top_k: int | None, batch_tokens: int, num_beams: int | None) -> Iterator[dict]:
        while window := list(islice(texts, TEXTS_AT_ONCE)):
            yield from self._answers(self._columns(window), top_k, batch_tokens, num_beams)

    def _answers(
        self, columns: list[list[str]], top_k: int | None, batch_tokens: int, num_beams: int | None
    ) -> list[dict]:
        """Return the answer to each row of texts, given as columns."""
        if self.record.task == CLASSIFIER:
            return answers_of(self.graphs.logits(self._ids(columns), batch_tokens), self.record, top_k)
        if self.record.task == TAGGER:
            (texts,) = one_answer_of(columns, top_k, "a tagger gives each word its best tag")
            logits_of = partial(self.graphs.token_logits, batch_tokens=batch_tokens)
            return tag_answers(texts, self.tokenizer, logits_of, self.record.label_names)
        if self.record.task == TRANSLATOR:
            (texts,) = one_answer_of(columns, top_k, "a translator writes one text")
            return translate(self.graphs.translator(), self.tokenizer, self.record, texts, batch_tokens, num_beams)
        raise HfRnnError(
            'this is a language model, which predicts no labels: write model.generate("some text"), or '
            'hf-rnn-run MODEL "some text".'
        )

    def _columns(self, texts: list) -> list[list[str]]:
        """Return texts, or pairs of texts, as one or two columns."""
        rows = rows_of(texts)
        if len(rows[0]) == 1 and self.record.reads_pairs:
            columns = " with ".join(map(repr, self.record.text_columns))
            raise HfRnnError(
                f"this model reads pairs of texts ({columns}), but was given single texts: pass pairs, "
                "model.predict([text], pairs=[second_text]); or to hf-rnn-run a file of JSON Lines with both."
            )
        return columns_of(rows)

    def _ids(self, columns: list[list[str]]) -> list[list[int]]:
        """Return the token ids of each row, truncated."""
        ids = token_ids(self.tokenizer, *columns)
        encodings_of = partial(pair_encodings, self.tokenizer)
        return cut_rows(ids, columns, self.record.max_length, self.record.truncation, encodings_of)


def check_no_revision(name: str, revision: str | None) -> None:
    """Raise [`HfRnnError`] if a revision is given for a model in a folder.

    Args:
        name: Folder as the user wrote it.
        revision: Branch, tag or commit; None for none.
    """
    if revision is not None:
        raise HfRnnError(f"revision={revision!r} is for models on the Hub, and {name!r} is a folder: leave it out.")


__all__ = ["Model", "check_no_revision"]
