# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Language modeling: predict the next token of texts without labels."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from transformers import PreTrainedTokenizerBase

from ..models.configuration_rnn import RNNConfig
from ..models.modeling_causal_rnn import RNNForCausalLM
from ..text.arguments import DataArguments
from ..text.bptt_windows import BPTT_WINDOW, STREAMS, perplexities, read_streams, streams_to_read
from ..text.collation import RaggedCollator
from ..utils.errors import DataError
from .settings import OF_TEXT_CLASSIFIERS
from .text_task import TextTask

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, Features

    from .base import PredictorLike

logger = logging.getLogger(__name__)


class LanguageModeling(TextTask):
    """Language modeling task, in which each row is a document.

    Args:
        data: Data settings, such as the column and the splits. `unlabelled_splits` are added to the training split;
            labels are not read.
        config: Configuration of a trained model; not used.

    Raises:
        DataError: `data.max_length` is set, and documents are not truncated.
    """

    model_class = RNNForCausalLM
    problem_type = "language_modeling"
    in_order = True
    no_use = (
        *OF_TEXT_CLASSIFIERS,
        # The setting for truncated BPTT is training.window.
        "model.backprop_length",
        "training.bf16_full_eval",
        "training.fp16_full_eval",
    )
    measures = {"perplexity": False, "word_perplexity": False}

    def __init__(self, data: DataArguments, config: RNNConfig | None = None):
        super().__init__(data)
        if data.max_length is not None:
            raise DataError(
                f"max_length={data.max_length} would cut documents, and a language model reads streams of any length: "
                "leave it out (training.window sets how far gradients go back in training)."
            )
        self.label_names: list[str] = []

    def prepare(self, splits: DatasetDict) -> DatasetDict:
        """Return rows of `text` in the splits train, validation and, if the data set has one, test.

        Args:
            splits: Splits of the data set, as they were read.

        Raises:
            DataError: A split or column does not exist, a split is used twice, or a split has no text.
        """
        from datasets import DatasetDict

        data = self.data
        train_name, validation_name = self.chosen_splits(splits)
        wanted = [train_name, *data.unlabelled_splits]
        train = self.texts_alone(splits, wanted)
        if validation_name is not None:
            validation = self.texts_alone(splits, [validation_name])
        else:
            train, validation = self.hold_out(train, ", ".join(wanted))
        prepared = DatasetDict(train=train, validation=validation)
        if data.test_split is not None and data.test_split in splits:
            prepared["test"] = self.texts_alone(splits, [data.test_split])
        return prepared

    def prepare_split(self, splits: DatasetDict, split: str | None) -> Dataset:
        """Return the texts of one split, to evaluate a trained model.

        Args:
            splits: Splits of the data set, as they were read.
            split: Name of the split; None for the only one, or the test split.

        Raises:
            DataError: The split or its column does not exist, or the split has no text.
        """
        return self.texts_alone(splits, [self.split_to_read(splits, split)])

    def read_rows(self, rows: list[dict], features: Features | None) -> Dataset:
        """Return the texts of some rows. A missing text becomes an empty one.

        Args:
            rows: Rows of the training split, as they were read.
            features: Types of their columns; not used.
        """
        from datasets import Dataset

        texts = (row[self.data.text_column] for row in rows)
        return Dataset.from_dict({"text": ["" if text is None else str(text) for text in texts]})

    @staticmethod
    def texts(rows: Dataset) -> Iterator[str]:
        """Yield all texts of a split, to train a tokenizer on them.

        Args:
            rows: Rows of a prepared split.
        """
        yield from rows["text"]

    def fitted(self, tokenizer: PreTrainedTokenizerBase, resumed: bool = False) -> PreTrainedTokenizerBase:
        """Return the tokenizer with its end-of-text token as beginning-of-text token, and padding on the left.

        Each document follows the end of another one, so a model learns no other beginning. Generation appends to the
        end of a prompt, so padding is put before the prompt.

        Args:
            tokenizer: Tokenizer of the run; it is changed in place.
            resumed: True if the run resumes a checkpoint; not used.
        """
        tokenizer.bos_token = tokenizer.eos_token
        # `save_pretrained` saves only `init_kwargs`.
        tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = "left"
        return tokenizer

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """Return `input_ids`, `length`, `full_length`, `words` and `unknown` of each document.

        The two lengths are equal, because nothing is truncated. `words` is the number of whitespace-separated words of
        the normalized text, plus 1 for its end. `unknown` is the number of unknown tokens.

        Args:
            rows: Rows of a prepared split.
            tokenizer: Tokenizer of the model.

        Raises:
            DataError: The tokenizer has no end-of-text token.
        """
        if tokenizer.eos_token_id is None:
            raise DataError(
                "the tokenizer has no end-of-text token, which a language model needs between documents: set "
                "tokenizer.eos_token, save the tokenizer, and name its folder, tokenizer.path=FOLDER."
            )

        backend = getattr(tokenizer, "backend_tokenizer", None)
        normalizer = None if backend is None else backend.normalizer

        def words(text: str) -> int:
            return len((text if normalizer is None else normalizer.normalize_str(text)).split()) + 1

        def encode(batch: dict[str, list]) -> dict[str, list]:
            encoded = self.tokens(tokenizer, batch)
            unknown = [row.count(tokenizer.unk_token_id) for row in encoded["input_ids"]]
            return {**encoded, "words": [words(text) for text in batch["text"]], "unknown": unknown}

        return rows.map(encode, batched=True, remove_columns=["text"], keep_in_memory=True, desc="tokenizing")

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> RaggedCollator:
        """Return the collator of rows without labels.

        Args:
            tokenizer: Tokenizer of the model, whose padding token is used.
        """
        return RaggedCollator(tokenizer.pad_token_id)

    def config_fields(self) -> dict:
        """Return {}, because the configuration does not depend on the data."""
        return {}

    def facts(self, prepared: DatasetDict, encoded: DatasetDict, examples: bool = True) -> dict:
        """Return the numbers of documents, tokens and words of each split.

        Args:
            prepared: Splits that `prepare` returned; not used.
            encoded: The same splits, encoded.
            examples: Not used; a language model has no examples to quote.
        """
        splits = {
            split: {
                **self.length_facts(rows),
                "labels": {},
                "all_tokens": sum(rows["length"]) + len(rows),
                "words": sum(rows["words"]),
                "unknown": sum(rows["unknown"]) / max(1, sum(rows["length"])),
            }
            for split, rows in encoded.items()
        }
        return {**self.title(), "splits": splits, "examples": []}

    def judge(self, predictor: PredictorLike, rows: Dataset, batch_tokens: int) -> dict[str, float]:
        """Return the loss and the perplexities of a model on encoded rows.

        Args:
            predictor: Predictor of the trained model.
            rows: Encoded rows of a split.
            batch_tokens: Largest number of tokens that are read at once.
        """
        both = predictor.model.config.independent_directions
        at_once = min(batch_tokens, STREAMS * BPTT_WINDOW)
        streams = streams_to_read(rows, predictor.tokenizer.eos_token_id, both, at_once)
        windows = (streams[index] for index in range(len(streams)))
        return perplexities(*read_streams(predictor.model, windows), streams.words)

    def reply(
        self, predictor: PredictorLike, columns: list[list[str]], top_k: int | None, batch_tokens: int
    ) -> list[dict]:
        """Raise [`DataError`], because a language model does not label texts.

        Args:
            predictor: Predictor of the trained model.
            columns: Texts of all rows.
            top_k: Number of labels in an answer.
            batch_tokens: Largest number of tokens in a batch.
        """
        raise DataError(
            'this is a language model, which predicts no labels. Generate text with hf-rnn write MODEL "some text", or '
            "evaluate it with hf-rnn evaluate MODEL."
        )

    def with_data(self, data: DataArguments) -> LanguageModeling:
        """Return the same task over other data.

        Args:
            data: Data settings of the other data.
        """
        return self.keep(LanguageModeling(data))

    def summary(self, facts: dict) -> str:
        """Return the numbers of documents, tokens and words of each split, as a small table.

        Args:
            facts: Statistics that `facts` returned.
        """
        return "\n".join(
            f"{self.length_summary(split, of_split)} · {of_split['all_tokens']} tokens, {of_split['words']} words, "
            f"{of_split['unknown']:.1%} unknown"
            for split, of_split in facts["splits"].items()
        )


__all__ = ["LanguageModeling"]
