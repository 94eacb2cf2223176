# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Translation: generate a target text for a source text, such as a translation, a summary or a correction."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import processors
from transformers import PreTrainedTokenizerBase, StoppingCriteriaList

from ..models.configuration_rnn import RNNConfig
from ..models.label_checks import IGNORED
from ..models.modeling_seq2seq_rnn import RNNForConditionalGeneration
from ..runtime.answers import one_answer_of
from ..runtime.generation import longest_targets
from ..text.arguments import DataArguments
from ..text.collation import RaggedCollator
from ..text.columns import SOURCE_COLUMNS, TARGET_COLUMNS
from ..text.tokenization import token_ids
from ..utils.errors import DataError
from .settings import OF_TEXT_CLASSIFIERS
from .target_length import LengthOfText
from .text_task import FOR_TRAINING, TextTask, quotable

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .base import PredictorLike

logger = logging.getLogger(__name__)

# Number of examples in a model card.
EXAMPLES = 3


class Translation(TextTask):
    """Task that generates a target text (`data.label_column`) for a source text (`data.text_column`).

    Args:
        data: Columns, splits and maximum length of the data. Training pairs with a text of more than `max_length`
            tokens are left out. No text is truncated.
        config: Configuration of a trained model; not used.
    """

    model_class = RNNForConditionalGeneration
    problem_type = "translation"
    in_order = False
    counts_tokens = True
    no_use = (
        *OF_TEXT_CLASSIFIERS,
        "data.label_names",
        "data.problem_type",
        "data.truncation",
        "data.unlabelled_splits",
        "data.streaming",
        "training.window",
        "training.gradient_flow_steps",
    )
    measures = {"bleu": True, "bleu_lowercase": True, "chrf": True}

    def __init__(self, data: DataArguments, config: RNNConfig | None = None):
        super().__init__(data)
        self.label_names: list[str] = []
        self.tokenizer: PreTrainedTokenizerBase | None = None

    # Reading ---------------------------------------------------------------------------------------------------------

    def prepare(self, splits: DatasetDict) -> DatasetDict:
        """Return rows of `source` and `target` in the splits train, validation and, if the data set has one, test.

        Training rows in which one of the texts is empty are left out.

        Args:
            splits: Splits of the data set as read.

        Raises:
            DataError: A split or column does not exist, there is no pair, or sacreBLEU is not installed.
        """
        # A missing library raises an error here, before training starts.
        from .metrics import needed

        needed("sacrebleu", "translation")
        return self.as_splits(splits, self._pairs, self._whole)

    @staticmethod
    def _whole(train: Dataset) -> Dataset:
        pairs = zip(train["source"], train["target"], strict=True)
        whole = [place for place, pair in enumerate(pairs) if all(text.strip() for text in pair)]
        if len(whole) < len(train):
            logger.warning(f"{len(train) - len(whole)} training rows without a source or target text were left out.")
        return train.select(whole)

    def prepare_split(self, splits: DatasetDict, split: str | None) -> Dataset:
        """Return the rows of one split, to evaluate a trained model.

        Args:
            splits: Splits of the data set as read.
            split: Name of the split. None selects the only split, or the test split if there are several.

        Raises:
            DataError: The split or a column does not exist, or the split has no pair.
        """
        return self._pairs(splits, self.split_to_read(splits, split))

    def _pairs(self, splits: DatasetDict, split: str) -> Dataset:
        from datasets import Dataset

        rows = splits[split]
        names = {
            "source": self.text_column(rows),
            "target": self.column(rows, "label_column", TARGET_COLUMNS, "target texts", split),
        }
        self.chosen = {"text_column": names["source"], "label_column": names["target"]}
        texts: dict[str, list[str]] = {}
        for name, old in names.items():
            for number, text in enumerate(rows[old]):
                if isinstance(text, (list, dict)):
                    raise DataError(
                        f"row {number} of the split {split!r} has {str(text)[:60]!r} in the column {old!r}: write one "
                        "text there, as a string."
                    )
            texts[name] = ["" if text is None else str(text) for text in rows[old]]
        if not any(source.strip() and target.strip() for source, target in zip(*texts.values(), strict=True)):
            raise DataError(f"the split {split!r} of {self.data.path!r} has no row with both texts.")
        return Dataset.from_dict(texts)

    def text_column(self, rows: Dataset) -> str:
        """Return the name of the column of source texts.

        Args:
            rows: Rows of a split as read.
        """
        return self.column(rows, "text_column", SOURCE_COLUMNS, "source texts")

    # Encoding --------------------------------------------------------------------------------------------------------

    @staticmethod
    def texts(rows: Dataset) -> Iterator[str]:
        """Yield all source and target texts of a split, to train a tokenizer on them.

        Args:
            rows: Rows of the split.
        """
        for column in ("source", "target"):
            yield from rows[column]

    def fitted(self, tokenizer: PreTrainedTokenizerBase, resumed: bool = False) -> PreTrainedTokenizerBase:
        """Return the tokenizer; make it append the end-of-text token unless it adds special tokens already.

        Args:
            tokenizer: Tokenizer of the run.
            resumed: Not used.

        Raises:
            DataError: The tokenizer has no beginning-of-text or no end-of-text token.
        """
        for name, what in (("bos_token", "begins"), ("eos_token", "ends")):
            if getattr(tokenizer, name) is None:
                raise DataError(
                    f"the tokenizer has no {name}, which {what} each target text: set tokenizer.{name}, save the "
                    "tokenizer, and name its folder, tokenizer.path=FOLDER."
                )
        backend: Any = getattr(tokenizer, "backend_tokenizer", None)
        if backend is not None and not backend.encode("").ids:
            # The post-processor is saved with the tokenizer, which then appends the token wherever it is loaded.
            eos = tokenizer.eos_token
            ending = processors.TemplateProcessing(
                single=f"$A {eos}", pair=f"$A {eos} $B {eos}", special_tokens=[(eos, tokenizer.eos_token_id)]
            )
            trimmed = "ByteLevel" in json.dumps(json.loads(backend.to_str())["post_processor"])
            trim: list[Any] = [processors.ByteLevel(trim_offsets=True)] if trimmed else []
            backend.post_processor = processors.Sequence([*trim, ending])
        self.tokenizer = tokenizer
        return tokenizer

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """Return `input_ids` of the source, `labels` of the target, `length`, `full_length` and `target`.

        Both texts end with the end-of-text token. `length` counts the tokens of both texts, `full_length` those of the
        source.

        Args:
            rows: Rows of a split as `prepare` or `prepare_split` returns them.
            tokenizer: Tokenizer of the model.

        Raises:
            DataError: All training rows are longer than `data.max_length`.
        """
        most, training = self.data.max_length, FOR_TRAINING in rows.column_names
        encoded = rows.map(
            partial(self._encode, tokenizer),
            batched=True,
            remove_columns=[name for name in rows.column_names if name != "target"],
            keep_in_memory=True,
            desc="tokenizing",
        )
        if most is None or not training:
            return encoded
        sides = zip(encoded["input_ids"], encoded["labels"], strict=True)
        kept = [place for place, side in enumerate(sides) if max(map(len, side)) <= most]
        if not kept:
            raise DataError(
                f"data.max_length={most} leaves no training row: write a greater one, or data.max_length=None."
            )
        if len(kept) < len(rows):
            logger.info(f"{len(rows) - len(kept)} training rows are longer than data.max_length={most}: left out.")
        return encoded.select(kept)

    def _encode(self, tokenizer: PreTrainedTokenizerBase, batch: dict) -> dict[str, list]:
        sources, targets = (self.ids(tokenizer, batch[name]) for name in ("source", "target"))
        return {
            "input_ids": sources,
            "labels": targets,
            "length": [len(source) + len(target) for source, target in zip(sources, targets, strict=True)],
            "full_length": [len(source) for source in sources],
        }

    @staticmethod
    def ids(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
        """Return the token ids of each text, with the end-of-text token. White space alone counts as an empty text.

        Args:
            tokenizer: Tokenizer of the model.
            texts: Source or target texts.
        """
        end = [tokenizer.eos_token_id]
        rows = token_ids(tokenizer, [text if text.strip() else "" for text in texts])
        return [row if row[-1:] == end else row + end for row in rows]

    @classmethod
    def length_of_nothing(cls, tokenizer: PreTrainedTokenizerBase) -> int:
        """Return the number of tokens of an empty text. The answer to such a text is empty.

        Args:
            tokenizer: Tokenizer of the model.
        """
        return len(cls.ids(tokenizer, [""])[0])

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> RaggedCollator:
        """Return the collator, which pads labels with -100.

        Args:
            tokenizer: Tokenizer of the model, whose padding token is used.
        """
        return RaggedCollator(tokenizer.pad_token_id, label_of_padding=IGNORED)

    def config_fields(self) -> dict:
        """Return {}: the configuration does not depend on the data."""
        return {}

    def facts(self, prepared: DatasetDict, encoded: DatasetDict, examples: bool = True) -> dict:
        """Return the number of rows and the lengths of each split, and example pairs.

        Args:
            prepared: Splits as `prepare` returns them.
            encoded: Same splits as `encode` returns them.
            examples: True to include example pairs.
        """
        splits = {split: {**self.length_facts(rows), "cut": None, "labels": {}} for split, rows in encoded.items()}
        return {**self.title(), "splits": splits, "examples": self._examples(prepared["train"]) if examples else []}

    @staticmethod
    def _examples(rows: Dataset) -> list[dict]:
        first = rows[:1000]
        pairs = [{"text": a, "label": b} for a, b in zip(first["source"], first["target"], strict=True)]
        part = max(1, len(pairs) // EXAMPLES)
        return [quotable(pairs[start : start + part]) for start in range(0, part * min(EXAMPLES, len(pairs)), part)]

    def summary(self, facts: dict) -> str:
        """Return the number of rows and the source lengths of each split as a small table.

        Args:
            facts: Statistics as `facts` returns them.
        """
        return "\n".join(self.length_summary(split, of_split) for split, of_split in facts["splits"].items())

    # Judging ---------------------------------------------------------------------------------------------------------

    def metrics(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Compute the metrics of generated token ids against target token ids.

        Args:
            logits: Generated token ids, `[N, T]`, padded with -100.
            labels: Target token ids, `[N, T]`, padded with -100.
        """
        return self.measure(self.decode(self.tokenizer, logits), self.decode(self.tokenizer, labels))

    @staticmethod
    def measure(written: list[str], targets: list[str]) -> dict[str, float]:
        """Compute BLEU and chrF of generated texts.

        Args:
            written: Generated texts.
            targets: Target texts.
        """
        from .metrics import TranslationMetrics

        return TranslationMetrics().compute(predictions=written, references=targets)

    @staticmethod
    def decode(tokenizer: Any, ids: Any) -> list[str]:
        """Return the texts of rows of token ids, without special tokens.

        Args:
            tokenizer: Tokenizer of the model.
            ids: Rows of token ids, padded with -100.
        """
        rows = [[token for token in np.asarray(row).tolist() if token != IGNORED] for row in ids]
        return [text.strip() for text in tokenizer.batch_decode(rows, skip_special_tokens=True)]

    def judge(self, predictor: PredictorLike, rows: Dataset, batch_tokens: int) -> dict[str, float]:
        """Compute the metrics of a model on encoded rows.

        Args:
            predictor: Trained model.
            rows: Rows of a split as `encode` returns them.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """
        return self.measure(self._written(predictor, rows["input_ids"][:], batch_tokens), rows["target"][:])

    # Answering -------------------------------------------------------------------------------------------------------

    def reply(
        self, predictor: PredictorLike, columns: list[list[str]], top_k: int | None, batch_tokens: int
    ) -> list[dict]:
        """Return the generated `text` for each text.

        Args:
            predictor: Trained model.
            columns: Texts of all rows.
            top_k: Number of answers; must be 1.
            batch_tokens: Maximum number of tokens in a batch, padding included.

        Raises:
            DataError: Rows are pairs of texts, or `top_k` is not 1.
        """
        (texts,) = one_answer_of(columns, top_k, "a translator writes one text")
        ids = self.ids(predictor.tokenizer, texts)
        longest, most = max(map(len, ids)), self.data.max_length
        if most is not None and longest > most:
            logger.warning(f"a text has {longest} tokens, more than the {most} of the longest training text.")
        return [{"text": said} for said in self._written(predictor, ids, batch_tokens)]

    @torch.inference_mode()
    def _written(self, predictor: PredictorLike, ids: list[list[int]], batch_tokens: int) -> list[str]:
        model, written = predictor.model, [""] * len(ids)
        saved = model.generation_config
        beams = saved.num_beams or 1
        for places in predictor.places(ids, max(1, batch_tokens // beams)):
            batch = predictor.batch(ids, places)
            new = saved.max_new_tokens or max(0, (saved.max_length or 1) - 1)
            # A text is as long in any batch, whose padding transformers' own limit would depend on.
            limits = torch.from_numpy(longest_targets([len(ids[place]) for place in places], new))
            longest = int(limits.max())
            # Older releases saved `max_new_tokens` in place of `max_length`, which it overrides.
            most = {"max_new_tokens": longest - 1} if saved.max_new_tokens else {"max_length": longest}
            answers = model.generate(**batch, **most, stopping_criteria=StoppingCriteriaList([LengthOfText(limits)]))
            for place, text in zip(places, self.decode(predictor.tokenizer, answers.cpu()), strict=True):
                written[place] = text
        nothing = self.length_of_nothing(predictor.tokenizer)
        return [said if len(row) > nothing else "" for row, said in zip(ids, written, strict=True)]

    @staticmethod
    def shown(answer: dict) -> str:
        """Return an answer as one line of text.

        Args:
            answer: Answer as `reply` returns it.
        """
        return " ".join(answer["text"].split())

    def with_data(self, data: DataArguments) -> Translation:
        """Return the same task over other data.

        Args:
            data: Columns, splits and maximum length of the other data.
        """
        task = Translation(data)
        task.tokenizer = self.tokenizer
        return self.keep(task)


__all__ = ["Translation"]
