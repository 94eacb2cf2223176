# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The configuration of every hf_rnn model: pure data, checked when it is made.

Beside each model, this file and those that [`code_files`] names are saved, so that it also loads where hf_rnn is not
installed (`trust_remote_code=True`). They import only each other.
"""

import difflib
import os
import shutil
from collections.abc import Collection
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from huggingface_hub.dataclasses import strict
from packaging.version import InvalidVersion, Version
from transformers import PreTrainedConfig
from transformers.dynamic_module_utils import get_relative_imports

from .cells import CELLS
from .choices import check_choice
from .pooling import POOLINGS

__version__ = "0.1.0"
# The oldest release that understands all that a configuration can say today.
FORMAT_VERSION = "0.1.0"
AUTO_MAP = {
    "AutoConfig": "configuration_rnn.RNNConfig",
    "AutoModel": "modeling_rnn.RNNModel",
    "AutoModelForCausalLM": "modeling_causal_rnn.RNNForCausalLM",
    "AutoModelForSeq2SeqLM": "modeling_seq2seq_rnn.RNNForConditionalGeneration",
    "AutoModelForSequenceClassification": "modeling_rnn.RNNForSequenceClassification",
    "AutoModelForTokenClassification": "modeling_token_rnn.RNNForTokenClassification",
}
# The models that read a field, in its metadata; a field without is read by all of them.
_WRITERS = {"read_by": ("RNNForCausalLM", "RNNForConditionalGeneration")}
_HEADS = {"read_by": ("RNNForSequenceClassification", "RNNForTokenClassification")}
_CAUSAL_LM = {"read_by": ("RNNForCausalLM",)}
_TEXT_CLASSIFIER = {"read_by": ("RNNForSequenceClassification",)}
_TOKEN_CLASSIFIER = {"read_by": ("RNNForTokenClassification",)}
_SEQ2SEQ = {"read_by": ("RNNForConditionalGeneration",)}

CHARACTER_ENCODERS = ("none", "lstm", "cnn")
ATTENTIONS = ("multiplicative", "additive")
_CHOICES: dict[str, Collection[str]] = {
    "cell_type": CELLS,
    "pooling": POOLINGS,
    "character_encoder": CHARACTER_ENCODERS,
    "attention_type": ATTENTIONS,
}

# What other libraries call our fields.
_OTHER_NAMES = {
    "embedding_dim": "embedding_size",
    "hidden_dim": "hidden_size",
    "num_layers": "num_hidden_layers",
    "rnn_type": "cell_type",
    "dropout": "classifier_dropout",
}
_POSITIVE = (
    "vocab_size",
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "character_embedding_size",
    "character_hidden_size",
    "initializer_range",
    "target_std",
    "wide_order",
)
DROPOUTS = (
    "embedding_dropout",
    "input_dropout",
    "hidden_dropout",
    "weight_dropout",
    "output_dropout",
    "classifier_dropout",
)
_PROBABILITIES = (*DROPOUTS, "label_smoothing", "scheduled_sampling")
_NOT_NEGATIVE = (
    "backprop_length",
    "backprop_window",
    "activation_regularization",
    "temporal_activation_regularization",
    "sampled_softmax",
    "coverage",
    "wide_ngrams",
    "num_rare_tokens",
)


@strict
class RNNConfig(PreTrainedConfig):
    r"""
    Configuration of [`RNNModel`] and of the models built on it.

    Shape letters used all over the package: B batch, T time, E embedding, H hidden, D directions (1 or 2), L layers,
    V vocabulary, C classes.

    Args:
        vocab_size: number of entries V of the embedding; at least the size of the tokenizer.
        embedding_size: width E of a token's vector.
        hidden_size: width H of the recurrent state of one direction.
        num_hidden_layers: number L of recurrent layers, each reading the outputs of the one below.
        cell_type: `"lstm"` (Hochreiter and Schmidhuber 1997), `"gru"` (Cho et al. 2014), `"rnn_tanh"` or `"rnn_relu"`
            (Elman 1990).
        bidirectional: whether each layer also reads from right to left (Schuster and Paliwal 1997).
        independent_directions: whether the directions are two stacks that never see each other, as in ELMo (Peters et
            al. 2018), so that each can be trained as a language model; else each layer reads both directions of the
            one below.
        embedding_dropout: probability that a word of the vocabulary is dropped everywhere in the batch (Gal and
            Ghahramani 2016).
        input_dropout: locked dropout on the embedded text: one mask per row, the same at each time step.
        hidden_dropout: locked dropout on what one recurrent layer hands to the next.
        weight_dropout: DropConnect on the hidden-to-hidden matrices (Merity et al. 2018).
        backprop_length: in training, gradients go back through this many tokens at the end of a batch's longest text,
            the end in the order in which a direction reads it; what comes before is read without, in constant memory
            but for its outputs and with dropout masks of its own (Howard and Ruder 2018, "BPT3C"). 0 for the whole
            text.
        backprop_window: a classifier reads texts that are longer than this so many tokens at a time, and computes a
            window again for its gradients instead of keeping it: they are those of the whole, in memory that grows
            with the square root of the length. 0 for all at once.
        truncate_backprop: whether gradients end where a window of `backprop_window` begins (Williams and Peng 1990).
        output_dropout: locked dropout on what the output layer over the vocabulary reads (Merity et al. 2018).
        activation_regularization: weight α of the mean square of what the output layer reads, dropout included, in the
            language model's loss (Merity et al. 2018, "AR").
        temporal_activation_regularization: weight β of the mean square of the difference between the top layer's
            outputs at two steps in succession (the same, "TAR").
        sampled_softmax: how many words, drawn anew for each batch, the language model's training loss compares the
            right ones with, instead of with all of the vocabulary (Jean et al. 2015); 0 for all. Words are drawn by
            rank, so a tokenizer has to number them by frequency, as [`train_tokenizer`] does but for `"bpe"` and
            `"wordpiece"`.
        tie_word_embeddings: whether the output layer over the vocabulary has the embedding's vectors for its rows, the
            decoder's where there is one (Press and Wolf 2017); where H is not E, a linear layer comes between.
        classifier_dropout: dropout on the pooled vector, and on the classifier's hidden layer where there is one.
        classifier_hidden_size: width of a ReLU layer between pooling and the output layer; 0 for none.
        pooling: how a text's outputs become one vector: `"last"` (the final state of each direction), `"mean"`,
            `"max"`, `"concat"` ([last, max, mean], Howard and Ruder 2018) or `"attention"` (Yang et al. 2016).
        wide_ngrams: number K of the n-grams that a classifier scores beside the recurrence, in its wide path (see
            `wide_path.py`); 0 for no wide path.
        wide_order: tokens of the longest of these n-grams; for a run, the most that it tries.
        wide_vocabulary: fingerprint of the tokenizer whose ids the n-grams are of.
        num_rare_tokens: ids from `vocab_size` on that the wide path reads as themselves, and the recurrence as
            `unk_token_id`.
        crf: whether a token classifier scores whole sequences of tags, and keeps to the BIO scheme where its labels are
            of it (Lafferty et al. 2001), instead of each tag alone.
        character_encoder: what a token classifier reads the spelling of tokens with: `"none"`, `"lstm"` or `"cnn"`.
        character_embedding_size: width of a character's vector there.
        character_hidden_size: width of that LSTM's state in one direction, or number of the convolution's filters.
        attention_type: how a decoder looks back at the text that it renders: `"multiplicative"` (Luong et al. 2015) or
            `"additive"` (Bahdanau et al. 2015).
        input_feeding: whether the decoder reads, beside each token, what it attended to before (Luong et al. 2015);
            then it is run step by step.
        coverage: weight of the loss for looking twice at a place, whose attention so far then is one more input of the
            next (See et al. 2017); 0 for none of both.
        share_embeddings: whether encoder and decoder have the same vectors for tokens.
        label_smoothing: in training, the share of the probability that all of the vocabulary is to have beside the
            token that a decoder is to write (Szegedy et al. 2016).
        scheduled_sampling: in training, how often a decoder reads what it would have written itself instead of the
            right token (Bengio et al. 2015).
        target_mean, target_std: in regression, mean and standard deviation of the values in training: the network
            learns `(value - target_mean) / target_std`, and logits are values.
        forget_gate_bias: initial bias of the LSTM's forget gate (Jozefowicz et al. 2015); other cells have none.
        initializer_range: standard deviation of the normal distribution that embeddings and linear layers start from.
        pad_token_id: id of the padding token, whose vector starts at zero and stays there but where a language model's
            output layer has it too; `None` for no such token.
        unk_token_id: id of the token that stands for unknown ones, where `num_rare_tokens` needs it.
        bos_token_id, eos_token_id: ids of the tokens that begin and end a text, where the tokenizer has them.
        decoder_start_token_id: id of the token that begins what a decoder writes; `bos_token_id` if None.

    Labels (`num_labels`, `id2label`, `label2id`, `problem_type`) are those of [`~transformers.PreTrainedConfig`].

    Raises:
        huggingface_hub.errors.StrictDataclassError: a value of the wrong type, or one that breaks a rule; the message
            names the value and the rule.
        TypeError: a keyword that is not a field but looks like one.

    ```python
    >>> from hf_rnn import RNNConfig, RNNForSequenceClassification

    >>> config = RNNConfig(vocab_size=1000, cell_type="gru", bidirectional=True, num_labels=3)
    >>> model = RNNForSequenceClassification(config)
    ```"""

    model_type = "hf_rnn"
    keys_to_ignore_at_inference = [
        "last_hidden_state",
        "final_hidden_state",
        "final_cell_state",
        "hidden_states",
        "pooling_weights",
        "past_key_values",
        "cross_attentions",
        "decoder_hidden_states",
        "encoder_hidden_states",
        "encoder_last_hidden_state",
    ]

    vocab_size: int = 30000
    embedding_size: int = 128
    hidden_size: int = 128
    num_hidden_layers: int = 1
    cell_type: str = "lstm"
    bidirectional: bool = False
    independent_directions: bool = False
    embedding_dropout: float | int = 0.0
    input_dropout: float | int = 0.0
    hidden_dropout: float | int = 0.0
    weight_dropout: float | int = 0.0
    backprop_length: int = 0
    backprop_window: int = field(default=0, metadata=_TEXT_CLASSIFIER)
    truncate_backprop: bool = field(default=False, metadata=_TEXT_CLASSIFIER)
    output_dropout: float | int = field(default=0.0, metadata=_WRITERS)
    activation_regularization: float | int = field(default=0.0, metadata=_CAUSAL_LM)
    temporal_activation_regularization: float | int = field(default=0.0, metadata=_CAUSAL_LM)
    sampled_softmax: int = field(default=0, metadata=_CAUSAL_LM)
    tie_word_embeddings: bool = field(default=True, metadata=_WRITERS)
    classifier_dropout: float | int = field(default=0.0, metadata=_HEADS)
    classifier_hidden_size: int = field(default=0, metadata=_HEADS)
    pooling: str = field(default="concat", metadata=_TEXT_CLASSIFIER)
    wide_ngrams: int = field(default=0, metadata=_TEXT_CLASSIFIER)
    wide_order: int = field(default=3, metadata=_TEXT_CLASSIFIER)
    wide_vocabulary: str | None = field(default=None, metadata=_TEXT_CLASSIFIER)
    num_rare_tokens: int = 0
    crf: bool = field(default=False, metadata=_TOKEN_CLASSIFIER)
    character_encoder: str = field(default="none", metadata=_TOKEN_CLASSIFIER)
    character_embedding_size: int = field(default=32, metadata=_TOKEN_CLASSIFIER)
    character_hidden_size: int = field(default=64, metadata=_TOKEN_CLASSIFIER)
    attention_type: str = field(default="multiplicative", metadata=_SEQ2SEQ)
    input_feeding: bool = field(default=False, metadata=_SEQ2SEQ)
    coverage: float | int = field(default=0.0, metadata=_SEQ2SEQ)
    share_embeddings: bool = field(default=True, metadata=_SEQ2SEQ)
    label_smoothing: float | int = field(default=0.0, metadata=_SEQ2SEQ)
    scheduled_sampling: float | int = field(default=0.0, metadata=_SEQ2SEQ)
    target_mean: float | int = field(default=0.0, metadata=_HEADS)
    target_std: float | int = field(default=1.0, metadata=_HEADS)
    forget_gate_bias: float | int = 1.0
    initializer_range: float | int = 0.1
    pad_token_id: int | None = 0
    unk_token_id: int | None = None
    bos_token_id: int | None = field(default=None, metadata=_WRITERS)
    eos_token_id: int | None = field(default=None, metadata=_WRITERS)
    decoder_start_token_id: int | None = field(default=None, metadata=_SEQ2SEQ)

    def __post_init__(self, **kwargs: Any) -> None:
        # Which code runs is never for a file to say: the map of ours names files beside the configuration itself.
        # It only leaves out the models whose code is not there.
        there = kwargs.pop("auto_map", None) or AUTO_MAP
        kwargs.pop("trust_remote_code", None)
        _check_version(kwargs.pop("hf_rnn_version", FORMAT_VERSION))
        self.auto_map = {name: reference for name, reference in AUTO_MAP.items() if name in there}
        self.hf_rnn_version = FORMAT_VERSION
        known = [field.name for field in fields(self)]
        for name in kwargs:
            near = _OTHER_NAMES.get(name) or next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.85)), None)
            if near:
                raise TypeError(
                    f"RNNConfig has no field {name!r}; the nearest is {near!r}: write {near}={kwargs[name]!r} instead."
                )
        super().__post_init__(**kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict, **kwargs: Any) -> Any:
        """As transformers', but a configuration of another `model_type` is refused, not read as if it were ours.

        Raises:
            ValueError: another model_type, or one that a newer hf_rnn wrote.
        """
        model_type = config_dict.get("model_type", cls.model_type)
        if model_type != cls.model_type:
            raise ValueError(
                f"this is a model of model_type {model_type!r}, not {cls.model_type!r}: load it with "
                "transformers.AutoModel.from_pretrained, or name a model of hf_rnn."
            )
        return super().from_dict(config_dict, **kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any) -> None:
        """As transformers', and the code that the model needs, which `auto_map` names, beside it."""
        files = code_files(*(self.architectures or ()))
        if any(name.startswith("modeling_") for name in files):
            # The configuration of another's repository is fetched alone: then the code stays where it is.
            self.auto_map = {name: ref for name, ref in AUTO_MAP.items() if f"{ref.split('.')[0]}.py" in files}
        super().save_pretrained(save_directory)
        for name in files:
            source, target = Path(__file__).with_name(name), Path(save_directory, name)
            if not (target.exists() and target.samefile(source)):
                shutil.copyfile(source, target)
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", Path(save_directory).name), **kwargs)

    @property
    def num_directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Width D·H of what a recurrent layer puts out."""
        return self.num_directions * self.hidden_size

    def validate_choices(self) -> None:
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)

    def validate_numbers(self) -> None:
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be greater than 0.")
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is a probability: it must be in [0, 1).")
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must be 0 (off) or greater.")
        if self.classifier_hidden_size < 0:
            raise ValueError(f"classifier_hidden_size={self.classifier_hidden_size} must be 0 (no layer) or greater.")

    def validate_together(self) -> None:
        if self.independent_directions and not self.bidirectional:
            raise ValueError(
                "independent_directions=True needs two directions: write bidirectional=True too, or leave it out."
            )
        if self.backprop_length and self.bidirectional and not self.independent_directions:
            raise ValueError(
                f"backprop_length={self.backprop_length} needs directions that end apart: write "
                "independent_directions=True too, or bidirectional=False."
            )
        if self.backprop_length and self.backprop_window:
            raise ValueError(
                f"backprop_length={self.backprop_length} keeps the end of a text in memory, and backprop_window="
                f"{self.backprop_window} no more than a window: leave one of them out."
            )
        if self.truncate_backprop and not self.backprop_window:
            raise ValueError(
                "truncate_backprop=True ends gradients where a window begins: write backprop_window=1024 too, or leave "
                "it out."
            )
        if self.pad_token_id is not None and not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"pad_token_id={self.pad_token_id} must be an id of the vocabulary: 0 <= pad_token_id < "
                f"vocab_size={self.vocab_size}; write pad_token_id=None for a model without padding token."
            )
        if self.num_rare_tokens and self.unk_token_id is None:
            raise ValueError(
                f"num_rare_tokens={self.num_rare_tokens} are read by the recurrence as the unknown token: write its id "
                "too, unk_token_id=1."
            )
        if self.hidden_dropout > 0 and self.num_hidden_layers == 1:
            raise ValueError(
                f"hidden_dropout={self.hidden_dropout} acts between recurrent layers, and num_hidden_layers=1 has no "
                "second layer: write hidden_dropout=0.0 (input_dropout, weight_dropout and classifier_dropout act "
                "with one layer too)."
            )


def code_files(*architectures: str) -> tuple[str, ...]:
    """Return the names of the files of code that models need, found by following the imports of their own.

    Args:
        architectures: names of the models' classes; all models of the package if there is none, or none of that name.

    Returns:
        Names in alphabetical order. Beside the configuration of a model that was itself loaded from a repository's
        code, files that it did not need are missing; they are left out.
    """
    of_class = {reference.split(".")[1]: reference.split(".")[0] for reference in AUTO_MAP.values()}
    ahead = [of_class[name] for name in architectures if name in of_class] or list(of_class.values())
    ahead.append(of_class["RNNConfig"])
    found: set[str] = set()
    while ahead:
        file = Path(__file__).with_name(f"{ahead.pop()}.py")
        if file.name not in found and file.exists():
            found.add(file.name)
            # As transformers follows them when it loads the model.
            ahead += get_relative_imports(file)
    return tuple(sorted(found))


def fields_read_by(model: str) -> frozenset[str]:
    """Return the names of the fields of [`RNNConfig`] that a model reads.

    Args:
        model: the name of its class, such as `"RNNForCausalLM"`.
    """
    own = [each for each in fields(RNNConfig) if each.name in RNNConfig.__annotations__]
    return frozenset(each.name for each in own if model in each.metadata.get("read_by", (model,)))


def _check_version(needed: str) -> None:
    try:
        too_old = Version(__version__) < Version(str(needed))
    except InvalidVersion:
        raise ValueError(f"hf_rnn_version={needed!r} is not a version: write hf_rnn_version={__version__!r}.") from None
    if too_old:
        raise ValueError(
            f"this model needs hf_rnn {needed} or newer, and {__version__} is here: pip install --upgrade hf-rnn."
        )


__all__ = ["RNNConfig", "code_files", "fields_read_by"]
