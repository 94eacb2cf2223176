# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Token classification: a tag for each word of a text, such as the names in it by the BIO scheme."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import decoders
from transformers import PreTrainedTokenizerBase

from ..models.configuration_rnn import RNNConfig
from ..models.label_checks import IGNORED, labels_of
from ..models.modeling_token_rnn import RNNForTokenClassification
from ..text.arguments import DataArguments
from ..text.bio import OUTSIDE, check_tags, is_bio, kind_of, scheme, spans_of
from ..text.collation import RaggedCollator
from ..text.columns import TAG_COLUMNS, WORD_COLUMNS
from ..text.schema import Schema
from ..text.tag_schemes import converted, find_scheme
from ..text.written_text import as_written, evenly_spaced, is_seen, usual_mark
from ..utils.errors import UserError
from .text_task import FOR_TRAINING, TextTask, quotable, softmax

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.getLogger(__name__)

# Words and their text, by which it is tried whether a tokenizer reads both alike.
TOKENIZER_CHECKS = ((["a", "b"], "a b"), (["a", "."], "a."), (["a", "b"], "a\t\n b"))


class TokenClassification(TextTask):
    """What training, evaluation and prediction have to ask of tagged words. A row is a list of words, or a text of
    words between spaces, and as many tags.

    Args:
        data: which columns and splits.
        config: of a trained model, whose tags then hold; None to learn them from the training split.

    Raises:
        UserError: `max_length`, since words that are cut away would have no tag.
    """

    model_class = RNNForTokenClassification
    problem_type = "token_classification"
    in_order = False
    counts_tokens = True
    tagged = True
    # Byte pairs and unigrams read a word otherwise after a space than after a bracket or quote.
    tokenizer_kind = "wordpiece"
    no_use = (
        "data.text_pair_column",
        "data.problem_type",
        "data.unlabelled_splits",
        "data.streaming",
        "training.window",
        "training.gradient_flow_steps",
    )

    def __init__(self, data: DataArguments, config: RNNConfig | None = None):
        super().__init__(data)
        if data.max_length is not None:
            raise UserError(
                f"max_length={data.max_length} would cut words away, which then had no tag: leave it out (texts of any "
                "length are read)."
            )
        self.label_names = list(data.label_names or [])
        # False until the training split has said how tags are written.
        self.learnt = config is not None
        self.tag_scheme: str | None = None
        self.examples = list(TOKENIZER_CHECKS)
        if config is not None:
            self.label_names = labels_of(config)

    @property
    def bio(self) -> bool:
        """Whether tags are the beginning and inside of spans, or each stands for itself."""
        return is_bio(self.label_names)

    # Reading ---------------------------------------------------------------------------------------------------------

    def prepare(self, splits: DatasetDict) -> DatasetDict:
        """Rows of `words` and `tags` in the splits train, validation and, where the data set has one, test. In training
        the further pieces of a word learn a tag too.

        Tags of another scheme than BIO are converted to it (`tag_schemes.py`).

        Raises:
            UserError: no such split or column; words and tags of different number; tags that are neither of one scheme
                nor all without it.
        """
        return self.as_splits(splits, self._tagged, self._learn_tags)

    def _learn_tags(self, train: Dataset) -> Dataset:
        if not self.label_names or self.converts:
            self.label_names = scheme({tag for row in train["tags"] for tag in row}, self.data.path)
        check_tags(train["tags"], self.label_names, "train")
        self.learnt = True
        self.examples += usual_mark(train["words"])
        if self.bio:
            # Before training, not after an epoch of it.
            from .metrics import needed

            needed("seqeval.metrics", "tagging")
        return train

    def schema(self, splits: DatasetDict, prepared: DatasetDict) -> Schema:
        return replace(super().schema(splits, prepared), label_form=self.label_form)

    def prepare_split(self, splits: DatasetDict, split: str | None) -> Dataset:
        """The rows of one split, for evaluating a trained model; a data set of one split needs no name. Raises as
        [`prepare`]."""
        return self._tagged(splits, self.split_to_read(splits, split))

    def _tagged(self, splits: DatasetDict, split: str) -> Dataset:
        from datasets import ClassLabel, Dataset

        rows, data = splits[split], self.data
        words_of = self.text_column(rows)
        tags_of = self.column(rows, "label_column", TAG_COLUMNS, "tags")
        names = getattr(rows.features[tags_of], "feature", None)
        names = names.names if isinstance(names, ClassLabel) else data.label_names
        words, tags = [], []
        for number, (of_row, tags_of_row) in enumerate(zip(rows[words_of], rows[tags_of], strict=True)):
            where = f"row {number} of the split {split!r}"
            words.append([str(word) for word in _parted(of_row, where)])
            tags.append([_name(tag, names, where) for tag in _parted(tags_of_row, where)])
            if len(words[-1]) != len(tags[-1]):
                raise UserError(
                    f"{where} has {len(words[-1])} words and {len(tags[-1])} tags "
                    f"({' '.join(words[-1])[:60]!r}): give each word one tag, in the columns {words_of!r} and "
                    f"{tags_of!r}."
                )
        if not any(words):
            raise UserError(f"the column {words_of!r} of the split {split!r} of {data.path!r} has no words.")
        if len(words) > 1 and max(map(len, words)) == 1:
            logger.warning(
                f"each row of the split {split} is one word, read without those around it: put sentences in."
            )
        self.chosen = {"text_column": words_of, "label_column": tags_of}
        try:
            in_bio = self._in_bio(tags, split)
            if self.learnt:
                check_tags(in_bio, self.label_names, split)
        except UserError as error:
            self._check_other_scheme(tags, split, error)
            raise
        return Dataset.from_dict({"words": words, "tags": in_bio})

    def _check_other_scheme(self, tags: list[list[str]], split: str, error: UserError) -> None:
        """Raise [`UserError`] where tags are wrong because the split as a whole is of another scheme than the first."""
        if not self.learnt or self.tag_scheme is None:
            return
        try:
            other = find_scheme(tags, self.data.path, split)
        except UserError:
            return
        if other not in (None, self.tag_scheme):
            raise UserError(
                f"{error} The split {split!r} seems to be written in the scheme {other}, and the training split is in "
                f"{self.tag_scheme}: write both in one."
            ) from error

    def _in_bio(self, tags: list[list[str]], split: str) -> list[list[str]]:
        """Tags of a split as the model has them. The first split that is read says how all are written."""
        if self.learnt and not self.bio:
            return tags
        if self.tag_scheme is None:
            self.tag_scheme = find_scheme(tags, self.data.path, split)
            if self.learnt and self.converts:
                logger.info(f"the tags of the split {split} of {self.data.path} are {self.label_form}.")
        tags, inside = converted(tags, self.tag_scheme, split)
        if inside:
            logger.warning(
                f"{inside} rows of the split {split} begin inside a span, as parts of longer texts do: it is read as "
                "beginning there."
            )
        return tags

    @property
    def converts(self) -> bool:
        """True for tags of another scheme than BIO."""
        return self.tag_scheme not in (None, "BIO")

    @property
    def label_form(self) -> str | None:
        """The scheme of the tags, as it is saved."""
        return f"{self.tag_scheme}, read as BIO" if self.converts else self.tag_scheme

    # Encoding --------------------------------------------------------------------------------------------------------

    @staticmethod
    def texts(rows: Dataset) -> Iterator[str]:
        """All texts of a split, for training a tokenizer."""
        return map(" ".join, rows["words"])

    def text_column(self, rows: Dataset) -> str:
        """The column of the words."""
        return self.column(rows, "text_column", WORD_COLUMNS, "words")

    def fitted(self, tokenizer: PreTrainedTokenizerBase, resumed: bool = False) -> PreTrainedTokenizerBase:
        """The tokenizer, if it says which token is of which word, and reads words as it reads the text that they make:
        in examples, one of which is the word and mark that most often stand together in the training split. A run of
        an older release goes on with the one that it has.

        Raises:
            UserError: it does not.
        """
        if not tokenizer.is_fast:
            raise UserError(
                f"{type(tokenizer).__name__} does not say which token is of which word: use a fast tokenizer."
            )
        for words, text in () if resumed else self.examples:
            parted, whole = tokenizer(words, is_split_into_words=True), tokenizer(text)
            if parted["input_ids"] != whole["input_ids"]:
                of_words, of_text = map(tokenizer.convert_ids_to_tokens, (parted["input_ids"], whole["input_ids"]))
                raise UserError(
                    f"the tokenizer reads the words {', '.join(map(repr, words))} otherwise than the text {text!r}, "
                    f"which it is asked later: as the tokens {of_words}, and {of_text}. A tagger would learn from one "
                    "and be asked the other. Train a tokenizer that reads both alike, --tokenizer.kind wordpiece, in "
                    "the place of bpe, unigram, whitespace or char, or of the tokenizer of model.pretrained or "
                    "tokenizer.path (one of bytes with add_prefix_space=True still reads a mark after a word, and a "
                    "word after a bracket, otherwise)."
                )
        if tokenizer.convert_tokens_to_string(tokenizer.tokenize("a")).startswith(" "):
            # A language model goes on with the space before a word; the words of an entity begin without it.
            backend = tokenizer.backend_tokenizer
            backend.decoder = decoders.Sequence([backend.decoder, decoders.Strip(" ", 1, 0)])
        return tokenizer

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """`input_ids`; `labels`, of each word at its first token, and -100 at its others, or in training the tag
        that goes on from it; `length` and `full_length`. Rows that are judged keep their `words` and `tags`.

        Raises:
            UserError: no word has a token.
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
            raise UserError(
                f"none of {lost} words has a token, such as {some!r}, so that nothing can be learnt or measured: give "
                "rows with words that are seen."
            )
        if lost:
            logger.warning(
                f"{lost} words have no token and get no tag, such as those of spaces and signs that are not seen. A "
                "span that begins with one is read as beginning after it."
            )
        return encoded.remove_columns("lost")

    def _encode(self, tokenizer: PreTrainedTokenizerBase, batch: dict) -> dict[str, list]:
        id_of = {name: i for i, name in enumerate(self.label_names)}
        inside = [id_of.get(f"I-{kind_of(name)}", i) for name, i in id_of.items()]
        every = batch.get(FOR_TRAINING, [False] * len(batch["words"]))
        found: dict[str, list] = {"input_ids": [], "labels": [], "lost": []}
        for words, tags, every_piece in zip(batch["words"], batch["tags"], every, strict=True):
            row: Any = tokenizer(words, is_split_into_words=True, verbose=False)
            labels: list[int] = []
            read: set[int] = set()
            before = -1
            for word in row.word_ids():
                # Words of no width may have tokens, but nobody can ask for their tags.
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
        lengths = [len(row) for row in found["input_ids"]]
        return {**found, "length": lengths, "full_length": lengths}

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> RaggedCollator:
        return RaggedCollator(tokenizer.pad_token_id, label_of_padding=IGNORED)

    def config_fields(self) -> dict:
        """What the model's configuration has to know of the tags."""
        return {
            "id2label": dict(enumerate(self.label_names)),
            "label2id": {name: i for i, name in enumerate(self.label_names)},
        }

    def facts(self, prepared: DatasetDict, encoded: DatasetDict, examples: bool = True) -> dict:
        """What there is to say of the data: rows, lengths in tokens and how many spans of each kind each split has; a
        sentence with each kind."""
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
        """Rows, lengths and numbers of spans, as a small table."""
        lines = [self.length_summary(split, of_split) for split, of_split in facts["splits"].items()]
        counts = [f"{name} {count:,}" for name, count in list(facts["splits"]["train"]["labels"].items())[:20]]
        return "\n".join([*lines, f"{'spans' if self.bio else 'tags':<11}{' · '.join(counts)}"])

    # Judging ---------------------------------------------------------------------------------------------------------

    @property
    def measures(self) -> dict[str, bool]:
        """The metrics of a whole split, and of each whether greater is better; by the first the best model is kept."""
        return dict.fromkeys(("f1", "precision", "recall", "accuracy") if self.bio else ("accuracy", "f1_macro"), True)

    def predicted(self, logits: np.ndarray) -> np.ndarray:
        """`[B, T]`: the best tag at each place."""
        return logits.argmax(-1)

    def metrics(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Of logits `[N, T, C]` and labels `[N, T]`, -100 where there is none."""
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

    def judge(self, predictor, rows: Dataset, batch_tokens: int) -> dict[str, float]:
        """Metrics of a model on encoded rows: of the words given, and of the text that they make (`judge_texts`)."""
        tags = [self.predicted(logits) for logits in predictor.token_logits(rows["input_ids"][:], batch_tokens)]
        found = self._metrics(tags, [np.asarray(row, dtype=int) for row in rows["labels"]])
        return found | self.judge_texts(predictor, rows, batch_tokens)

    def judge_texts(self, predictor, rows: Dataset, batch_tokens: int) -> dict[str, float]:
        """Metrics of a model's answers to the rows as texts that are written normally (`written_text.py`), which are
        read as users' texts are. Their names end with `_written`.

        A span is found where its kind and characters are; without BIO, a word has the tag of its first character.
        Words that are not seen, such as a space that does not break, have no place in a text.
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

    def reply(self, predictor, columns: list[list[str]], top_k: int | None, batch_tokens: int) -> list[dict]:
        """What the user reads for each text: `entities`, each with its `label`, `text`, `score` and characters from
        `start` to `end`; of tags without BIO, one for each word as the tokenizer parts them.

        Raises:
            UserError: pairs of texts, or more than the best tag.
        """
        (texts,) = self.one_answer_of(columns, top_k, "a tagger gives each word its best tag")
        spaced, places = zip(*map(evenly_spaced, texts), strict=True)
        read: Any = predictor.tokenizer(list(spaced), return_offsets_mapping=True, verbose=False)
        logits = predictor.token_logits(read["input_ids"], batch_tokens)
        answers = []
        for i, (text, of_text) in enumerate(zip(texts, logits, strict=True)):
            entities = self._entities(spaced[i], of_text, read.word_ids(i), read["offset_mapping"][i])
            for entity in entities:
                start, end = places[i][entity["start"]], places[i][entity["end"] - 1] + 1
                entity |= {"text": text[start:end], "start": start, "end": end}
            answers.append({"entities": entities})
        return answers

    def _entities(
        self, text: str, logits: np.ndarray, word_ids: list[int | None], offsets: list[tuple[int, int]]
    ) -> list[dict]:
        # By word, its first token, and its characters from start to end.
        tokens: dict[int, list[int]] = {}
        for place, word in enumerate(word_ids):
            if word is not None:
                tokens.setdefault(word, []).append(place)
        words = [(places[0], offsets[places[0]][0], offsets[places[-1]][1]) for places in tokens.values()]
        words = [word for word in words if is_seen(text[word[1] : word[2]])]
        firsts = [first for first, *_ in words]
        scores = softmax(logits).max(-1)
        tags = [self.label_names[i] for i in self.predicted(logits[firsts])]
        entities = []
        for kind, first, last in spans_of(tags):
            start, end = words[first][1], words[last][2]
            # Byte-level tokenizers count the space before a word to it.
            start += len(text[start:end]) - len(text[start:end].lstrip())
            score = float(scores[firsts[first : last + 1]].mean())
            entities.append({"label": kind, "text": text[start:end], "score": score, "start": start, "end": end})
        return entities

    @staticmethod
    def shown(answer: dict) -> str:
        """An answer on one line."""
        return " · ".join(f"{e['text']} {e['label']} {e['score']:.4f}" for e in answer["entities"]) or "(no name)"

    def with_data(self, data: DataArguments) -> TokenClassification:
        """The same tags over other data."""
        task = TokenClassification(data)
        task.label_names, task.learnt = self.label_names, self.learnt
        return self.keep(task)


def _tag_at(entities: list[dict], place: int) -> str:
    """The tag of a character, by the entities of its text."""
    return next((e["label"] for e in entities if e["start"] <= place < e["end"]), OUTSIDE)


def _begun_after(skipped: Sequence[str], tag: str) -> str:
    """The tag of a word after words without a token, one of which may have begun its span."""
    begins = f"B-{kind_of(tag)}"
    return begins if tag.startswith("I-") and begins in skipped else tag


def _seen(words: Sequence[str], tags: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that are seen, and their tags."""
    kept: list[tuple[str, str]] = []
    skipped: list[str] = []
    for word, tag in zip(words, tags, strict=True):
        if is_seen(word):
            kept.append((word, _begun_after(skipped, tag)))
            skipped = []
        else:
            skipped.append(tag)
    return [word for word, _ in kept], [tag for _, tag in kept]


def _parted(value: Any, where: str) -> list:
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        raise UserError(
            f"{where} has {value[:60]!r}, a list that was written as a text: write lists in JSON Lines or Parquet "
            "files, and in others the words alone with spaces between."
        )
    if isinstance(value, (bool, int, float)) and value == value:
        # A column of numbers, each a word or tag.
        return [value]
    return value.split() if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else []


def _name(tag: Any, names: list[str] | None, where: str) -> str:
    """A tag by its name; a number stands for one."""
    number = tag if isinstance(tag, int) else int(tag) if isinstance(tag, str) and tag.isdigit() else None
    if isinstance(tag, str) and number is None:
        return tag
    if number is None:
        raise UserError(f"{where} has {tag!r} for a tag: write its name, such as 'B-PER' or 'O'.")
    if names is None or not 0 <= number < len(names):
        given = f"data.label_names has {len(names)} names" if names else "there are no names"
        raise UserError(
            f"{where} has the tag {number}, and {given}: write --data.label_names '[O, B-PER, …]', those of the tags "
            "0, 1, … in their order."
        )
    return names[number]


__all__ = ["TokenClassification"]
