# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Token classification: a tag for each word of a text, such as named entities in the BIO scheme."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import decoders
from transformers import PreTrainedTokenizerBase

from ..models.label_checks import IGNORED
from ..models.modeling_token_rnn import RNNForTokenClassification
from ..runtime.answers import one_answer_of
from ..runtime.bio import OUTSIDE, kind_of, spans_of
from ..runtime.entities import is_seen, tag_answers
from ..text.arguments import DataArguments
from ..text.collation import TEACHER, RaggedCollator
from ..text.token_scores import scores_of_tokens
from ..text.tokenization import backend_of
from ..text.written_text import as_written
from ..utils.errors import DataError
from .settings import OF_TEXT_CLASSIFIERS
from .tagged_words import TaggedWords
from .text_task import FOR_TRAINING, quotable

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .base import PredictorLike

logger = logging.getLogger(__name__)


class TokenClassification(TaggedWords):
    """Task that tags words, for example for named entity recognition.

    A row is a list of words, or a text whose words are separated by spaces, with one tag for each word.

    Args:
        data: Columns and splits of the data.
        config: Configuration of a trained model, whose tags are used; None to learn the tags from the training split.

    Raises:
        DataError: `data.max_length` is set. Truncated words would have no tag.
    """

    model_class = RNNForTokenClassification
    problem_type = "token_classification"
    in_order = False
    counts_tokens = True
    tagged = True
    # BPE and unigram tokenizers split a word after a space differently from the same word after a bracket or a quote.
    tokenizer_kind = "wordpiece"
    no_use = (
        *OF_TEXT_CLASSIFIERS,
        "data.problem_type",
        "data.unlabelled_splits",
        "data.streaming",
        "training.window",
        "training.gradient_flow_steps",
    )

    def fitted(self, tokenizer: PreTrainedTokenizerBase, resumed: bool = False) -> PreTrainedTokenizerBase:
        """Return the tokenizer; check that a list of words and the text of these words have the same tokens.

        The check uses some examples. One of them is the most frequent word with a punctuation mark in the training
        split.

        Args:
            tokenizer: Tokenizer of the run. Its decoder is changed if it keeps a space before the first word.
            resumed: True to skip the check if the run resumes, because runs of older releases did not make it.

        Raises:
            DataError: The tokens differ, or the tokenizer does not map tokens to words.
        """
        if not tokenizer.is_fast:
            raise DataError(f"{type(tokenizer).__name__} does not map tokens to words: use a fast tokenizer.")
        for words, text in () if resumed else self.examples:
            parted, whole = tokenizer(words, is_split_into_words=True), tokenizer(text)
            if parted["input_ids"] != whole["input_ids"]:
                of_words, of_text = map(tokenizer.convert_ids_to_tokens, (parted["input_ids"], whole["input_ids"]))
                raise DataError(
                    f"the tokenizer splits the words {', '.join(map(repr, words))} into the tokens {of_words}, but the "
                    f"text {text!r} into {of_text}. A tagger is trained on the first and used on the second. Train a "
                    "tokenizer that splits both alike, tokenizer.kind='wordpiece', instead of bpe, unigram, whitespace "
                    "or char, or of the tokenizer of model.pretrained or tokenizer.path (a byte-level one with "
                    "add_prefix_space=True still splits a mark after a word, and a word after a bracket, differently)."
                )
        if tokenizer.convert_tokens_to_string(tokenizer.tokenize("a")).startswith(" "):
            # The decoder of a language model's tokenizer keeps the space before a word. The text of an entity begins
            # without it.
            backend = tokenizer.backend_tokenizer
            backend.decoder = decoders.Sequence([backend.decoder, decoders.Strip(" ", 1, 0)])
        return tokenizer

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """Return `input_ids`, `labels`, `length` and `full_length`.

        The first token of a word has the tag of the word. The other tokens have -100 or, in training rows, the tag that
        continues it. Rows for evaluation keep their `words` and `tags`. If rows have the answers of a teacher to their
        words (`teacher`, log probabilities), each token has those of its word.

        Args:
            rows: Rows of a split as `prepare` or `prepare_split` returns them.
            tokenizer: Tokenizer of the model.

        Raises:
            DataError: No word has a token.
        """
        of_training = FOR_TRAINING in rows.column_names
        encoded = rows.map(
            partial(self._encode, tokenizer),
            batched=True,
            remove_columns=rows.column_names if of_training else None,
            keep_in_memory=True,
            desc="tokenizing",
        )
        lost = sum(encoded["lost"])
        if lost and lost == sum(map(len, rows["words"])):
            some = next(word for words in rows["words"] for word in words)
            raise DataError(
                f"none of {lost} words has a token, such as {some!r}: give rows with words of visible characters."
            )
        if lost:
            logger.warning(
                f"{lost} words have no token and get no tag, such as words of spaces and invisible characters. A "
                "span that begins with such a word is read as beginning after it."
            )
        return encoded.remove_columns("lost")

    def _encode(self, tokenizer: PreTrainedTokenizerBase, batch: dict) -> dict[str, list]:
        id_of = {name: i for i, name in enumerate(self.label_names)}
        inside = [id_of.get(f"I-{kind_of(name)}", i) for name, i in id_of.items()]
        every = batch.get(FOR_TRAINING, [False] * len(batch["words"]))
        found: dict[str, list] = {"input_ids": [], "labels": [], "lost": []}
        if TEACHER in batch:
            found[TEACHER] = []
        taught = batch.get(TEACHER, [None] * len(batch["words"]))
        for words, tags, every_piece, scores in zip(batch["words"], batch["tags"], every, taught, strict=True):
            row: Any = tokenizer(words, is_split_into_words=True, verbose=False)
            labels: list[int] = []
            read: set[int] = set()
            before = -1
            for word in row.word_ids():
                # Invisible words may have tokens, but no user can ask for their tags.
                if word is None or not is_seen(words[word]):
                    labels.append(IGNORED)
                    continue
                if word != before:
                    labels.append(id_of[_begun_after(tags[before + 1 : word], tags[word])])
                else:
                    labels.append(inside[labels[-1]] if every_piece else IGNORED)
                before = word
                read.add(word)
            found["input_ids"].append(row["input_ids"])
            found["labels"].append(labels)
            found["lost"].append(len(words) - len(read))
            if scores is not None:
                found[TEACHER].append(scores_of_tokens(scores, row.word_ids(), inside))
        lengths = [len(row) for row in found["input_ids"]]
        return {**found, "length": lengths, "full_length": lengths}

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> RaggedCollator:
        """Return the collator, which pads labels with -100.

        Args:
            tokenizer: Tokenizer of the model, whose padding token is used.
        """
        return RaggedCollator(tokenizer.pad_token_id, label_of_padding=IGNORED)

    def config_fields(self) -> dict:
        """Return the configuration fields that describe the tags."""
        return {
            "id2label": dict(enumerate(self.label_names)),
            "label2id": {name: i for i, name in enumerate(self.label_names)},
        }

    def facts(self, prepared: DatasetDict, encoded: DatasetDict, examples: bool = True) -> dict:
        """Return the number of rows, lengths in tokens and spans by kind of each split, and example sentences.

        Args:
            prepared: Splits as `prepare` returns them.
            encoded: Same splits as `encode` returns them.
            examples: True to include one sentence for each kind.
        """
        splits = {}
        for split, rows in encoded.items():
            kinds = Counter(kind for tags in prepared[split]["tags"] for kind, *_ in spans_of(tags))
            splits[split] = {**self.length_facts(rows), "labels": dict(sorted(kinds.items()))}
        return {**self.title(), "splits": splits, "examples": self._examples(prepared["train"]) if examples else []}

    @staticmethod
    def _examples(rows: Dataset) -> list[dict]:
        by_kind: dict[str, list[dict[str, str]]] = {}
        for words, tags in zip(rows["words"], rows["tags"], strict=True):
            for kind, *_ in spans_of(tags):
                by_kind.setdefault(kind, []).append({"text": " ".join(words)})
        return [{"label": kind, **quotable(texts)} for kind, texts in sorted(by_kind.items())]

    def summary(self, facts: dict) -> str:
        """Return rows, lengths and numbers of spans as a small table.

        Args:
            facts: Statistics as `facts` returns them.
        """
        lines = [self.length_summary(split, of_split) for split, of_split in facts["splits"].items()]
        counts = [f"{name} {count:,}" for name, count in list(facts["splits"]["train"]["labels"].items())[:20]]
        return "\n".join([*lines, f"{'spans' if self.bio else 'tags':<11}{' · '.join(counts)}"])

    # Judging ---------------------------------------------------------------------------------------------------------

    @property
    def measures(self) -> dict[str, bool]:
        """The metrics of a split, with True if greater is better. The first one selects the best checkpoint."""
        return dict.fromkeys(("f1", "precision", "recall", "accuracy") if self.bio else ("accuracy", "f1_macro"), True)

    def predicted(self, logits: np.ndarray) -> np.ndarray:
        """Return the most likely tag of each token, `[B, T]`.

        Args:
            logits: Logits, `[B, T, C]`.
        """
        return logits.argmax(-1)

    def metrics(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Compute the metrics of logits against labels.

        Args:
            logits: Logits, `[N, T, C]`.
            labels: Tag ids, `[N, T]`; -100 for tokens without a tag.
        """
        return self._metrics(self.predicted(np.asarray(logits)), np.asarray(labels))

    def _metrics(self, predicted: Any, labels: Any) -> dict[str, float]:
        from .metrics import SingleLabelMetrics, SpanMetrics

        pairs = [
            (of_row[known != IGNORED], known[known != IGNORED]) for of_row, known in zip(predicted, labels, strict=True)
        ]
        if not self.bio:
            answers, tags = (np.concatenate(column).tolist() for column in zip(*pairs, strict=True))
            return SingleLabelMetrics(self.label_names).compute(predictions=answers, references=tags)
        answers, tags = ([[self.label_names[i] for i in row] for row in column] for column in zip(*pairs, strict=True))
        return SpanMetrics().compute(predictions=answers, references=tags)

    def judge(self, predictor: PredictorLike, rows: Dataset, batch_tokens: int) -> dict[str, float]:
        """Compute the metrics of a model on the words of encoded rows, and on the texts of these words (`judge_texts`).

        Args:
            predictor: Trained model.
            rows: Rows of a split as `encode` returns them.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """
        tags = [self.predicted(logits) for logits in predictor.token_logits(rows["input_ids"][:], batch_tokens)]
        found = self._metrics(tags, [np.asarray(row, dtype=int) for row in rows["labels"]])
        return found | self.judge_texts(predictor, rows, batch_tokens)

    def judge_texts(self, predictor: PredictorLike, rows: Dataset, batch_tokens: int) -> dict[str, float]:
        """Compute the metrics of a model on the rows as normally written texts (`written_text.py`).

        The names of the metrics end with `_written`. A span is correct if its kind and its characters are correct.
        Without BIO tags, the tag of a word is that of its first character. Invisible words, such as a no-break space,
        are left out.

        Args:
            predictor: Trained model.
            rows: Rows of a split as `encode` returns them.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """
        words, of_words = zip(*map(_seen, rows["words"], rows["tags"]), strict=True)
        texts, places = zip(*map(as_written, words), strict=True)
        answers = predictor(list(texts), batch_tokens=batch_tokens)
        if not self.bio:
            pairs = [
                (_tag_at(answer["entities"], start), tag)
                for answer, of_row, tags in zip(answers, places, of_words, strict=True)
                for (start, _), tag in zip(of_row, tags, strict=True)
            ]
            return {"accuracy_written": sum(found == tag for found, tag in pairs) / max(1, len(pairs))}
        right = found = there = 0
        for answer, of_row, tags in zip(answers, places, of_words, strict=True):
            spans = {(kind, of_row[first][0], of_row[last][1]) for kind, first, last in spans_of(tags)}
            entities = {(e["label"], e["start"], e["end"]) for e in answer["entities"]}
            right, found, there = right + len(spans & entities), found + len(entities), there + len(spans)
        return {
            "f1_written": 2 * right / max(1, found + there),
            "precision_written": right / max(1, found),
            "recall_written": right / max(1, there),
        }

    # Answering -------------------------------------------------------------------------------------------------------

    def reply(
        self, predictor: PredictorLike, columns: list[list[str]], top_k: int | None, batch_tokens: int
    ) -> list[dict]:
        """Return the `entities` of each text, each with `label`, `text`, `score`, and its characters `start` to `end`.

        Without BIO tags, each word of the tokenizer is an entity.

        Args:
            predictor: Trained model.
            columns: Texts of all rows.
            top_k: Number of labels in an answer; must be 1.
            batch_tokens: Maximum number of tokens in a batch, padding included.

        Raises:
            DataError: Rows are pairs of texts, or `top_k` is not 1.
        """
        (texts,) = one_answer_of(columns, top_k, "a tagger gives each word its best tag")
        logits_of = partial(predictor.token_logits, batch_tokens=batch_tokens)
        return tag_answers(texts, backend_of(predictor.tokenizer), logits_of, self.label_names)

    @staticmethod
    def shown(answer: dict) -> str:
        """Return an answer as one line of text.

        Args:
            answer: Answer as `reply` returns it.
        """
        return " · ".join(f"{e['text']} {e['label']} {e['score']:.4f}" for e in answer["entities"]) or "(no name)"

    def with_data(self, data: DataArguments) -> TokenClassification:
        """Return a task with the same tags over other data.

        Args:
            data: Columns and splits of the other data.
        """
        task = TokenClassification(data)
        task.label_names, task.learnt = self.label_names, self.learnt
        return self.keep(task)


def _tag_at(entities: list[dict], place: int) -> str:
    """Return the tag of the character at an index, given the entities of its text."""
    return next((e["label"] for e in entities if e["start"] <= place < e["end"]), OUTSIDE)


def _begun_after(skipped: Sequence[str], tag: str) -> str:
    """Return the tag of a word that follows words without tokens; its span may have begun in one of those."""
    begins = f"B-{kind_of(tag)}"
    return begins if tag.startswith("I-") and begins in skipped else tag


def _seen(words: Sequence[str], tags: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the visible words and their tags."""
    kept: list[tuple[str, str]] = []
    skipped: list[str] = []
    for word, tag in zip(words, tags, strict=True):
        if is_seen(word):
            kept.append((word, _begun_after(skipped, tag)))
            skipped = []
        else:
            skipped.append(tag)
    return [word for word, _ in kept], [tag for _, tag in kept]


__all__ = ["TokenClassification"]
