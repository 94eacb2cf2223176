# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Configuration of every hf_rnn model: pure data, checked when it is created.

This file and those that [`~hf_rnn.models.code_files.code_files`] names are saved with each model. It then also loads
where hf_rnn is not installed (`trust_remote_code=True`). These files import only each other.
"""

import copy
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

from .cells import CELLS
from .choices import check_choice
from .code_files import AUTO_MAP, CUSTOM_PIPELINES, code_files
from .decisions import check_thresholds, labels_of
from .pooling import POOLINGS

__version__ = "0.1.0"
# The oldest release that can read every configuration of this version.
FORMAT_VERSION = "0.1.0"
# A field's metadata names the models that read it; all models read a field without such metadata.
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

# Names of the same fields in other libraries, for the error that suggests the right name.
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
    "temperature",
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
    r"""Configuration of [`RNNModel`] and of the models built on it.

    Shape letters of the package: B batch, T time, E embedding, H hidden, D directions (1 or 2), L layers, V vocabulary,
    C classes.

    Args:
        vocab_size: Number V of rows of the embedding; not less than the size of the tokenizer without rare tokens.
        embedding_size: Width E of a token embedding.
        hidden_size: Width H of the hidden state of one direction.
        num_hidden_layers: Number L of recurrent layers; each reads the outputs of the layer below.
        cell_type: Recurrent cell: `"lstm"` (Hochreiter and Schmidhuber 1997), `"gru"` (Cho et al. 2014), `"rnn_tanh"`
            or `"rnn_relu"` (Elman 1990).
        bidirectional: True to read texts from right to left as well (Schuster and Paliwal 1997).
        independent_directions: True for one separate stack of layers per direction, as in ELMo (Peters et al. 2018);
            each stack can be trained as a language model. False: each layer reads both directions of the layer below.
        embedding_dropout: Probability to drop a vocabulary entry everywhere in a batch (Gal and Ghahramani 2016).
        input_dropout: Probability of locked dropout on the embedded text: one mask per row for all time steps.
        hidden_dropout: Probability of locked dropout between recurrent layers.
        weight_dropout: Probability of DropConnect on the hidden-to-hidden matrices (Merity et al. 2018).
        backprop_length: Number of tokens through which gradients go back in training, from the end of a batch's longest
            text ("BPT3C", Howard and Ruder 2018). A direction's own reading order decides where the end is. Earlier
            tokens are read without gradients and with dropout masks of their own. 0: the whole text.
        backprop_window: Window in tokens. A text classifier reads longer texts window by window and computes each
            window again for its gradients. These equal the gradients of a pass over the whole text, unless
            `truncate_backprop` is set. Memory grows with the square root of the length. 0: no windows.
        truncate_backprop: True to stop gradients at the start of each window of `backprop_window` (truncated
            backpropagation through time, Williams and Peng 1990).
        output_dropout: Probability of locked dropout on the vectors from which the vocabulary's logits are computed
            (Merity et al. 2018).
        activation_regularization: Weight α of the mean square of the top layer's outputs, after `output_dropout`, in
            the language model's training loss ("AR", Merity et al. 2018).
        temporal_activation_regularization: Weight β of the mean squared difference between the top layer's outputs at
            two successive time steps, in the same loss ("TAR").
        sampled_softmax: Number of words drawn per batch for the language model's training loss, which compares the
            target words with these only (Jean et al. 2015). 0: the whole vocabulary. Low ids are drawn most often, so
            ids must be sorted by frequency. Tokenizers that [`train_tokenizer`] trains are, except `"bpe"` and
            `"wordpiece"`.
        tie_word_embeddings: True to use the (decoder's) embedding as the weights of the output layer over the
            vocabulary (Press and Wolf 2017). A language model where H is not E has a linear layer in between.
        classifier_dropout: Dropout probability in the classification head, on its input and on its hidden layer.
        classifier_hidden_size: Width of a ReLU layer before the head's output layer; 0 for none.
        pooling: Reduction of a text's outputs to one vector: `"last"` (final state of each direction), `"mean"`,
            `"max"`, `"concat"` ([last, max, mean], Howard and Ruder 2018) or `"attention"` (Yang et al. 2016).
        wide_ngrams: Number K of n-grams that a text classifier scores beside the recurrence, in its wide path (see
            `wide_path.py`); in a training run, the maximum. 0: no wide path.
        wide_order: Length in tokens of the longest of these n-grams; in a training run, the longest that is tried.
        wide_binary: True if an n-gram that occurs several times in a text counts once. A training run chooses it.
        wide_vocabulary: Fingerprint of the tokenizer to which the n-grams were fitted; None: it is not checked.
        num_rare_tokens: Number of ids from `vocab_size` on that only the wide path tells apart; the recurrence reads
            each of them as `unk_token_id`.
        crf: True if a token classifier scores whole tag sequences with a conditional random field (Lafferty et al.
            2001), which also enforces the BIO scheme if the labels follow it. False: it scores each tag alone.
        character_encoder: Encoder of each token's spelling in a token classifier: `"none"`, `"lstm"` or `"cnn"`.
        character_embedding_size: Width of a character embedding in this encoder.
        character_hidden_size: Hidden size of one direction of its LSTM, or number of filters of its CNN.
        attention_type: Attention of the decoder over the source text: `"multiplicative"` (Luong et al. 2015) or
            `"additive"` (Bahdanau et al. 2015).
        input_feeding: True if the decoder reads its last attentional vector with each token (Luong et al. 2015); it
            then runs step by step.
        coverage: Weight of the coverage loss, which penalizes repeated attention to a source position. Attention scores
            then depend on the attention so far (See et al. 2017). 0: neither.
        share_embeddings: True if encoder and decoder share one token embedding.
        label_smoothing: Label-smoothing factor of the decoder's loss; training only (Szegedy et al. 2016).
        scheduled_sampling: Probability that the decoder reads its own prediction instead of the right token; training
            only (Bengio et al. 2015).
        target_mean: Mean of the training targets in regression. The network learns
            `(value - target_mean) / target_std`, and logits are in the unit of the targets.
        target_std: Standard deviation of the training targets in regression.
        temperature: Number by which a text classifier divides its logits, so that its scores are calibrated
            probabilities (Guo et al. 2017).
        thresholds: Probability over which a label is chosen, by the name of the label: of any labels of a multi-label
            model (0.5 for the others), or of one of two classes. None: 0.5, or the most probable class.
        forget_gate_bias: Initial bias of the LSTM's forget gate (Jozefowicz et al. 2015); unused by other cells.
        initializer_range: Standard deviation of the normal distribution of initial embeddings and linear weights.
        pad_token_id: Id of the padding token, or None. Its embedding starts at zero and stays zero, unless it is also a
            row of a language model's output layer.
        unk_token_id: Id of the unknown token; required with `num_rare_tokens`.
        bos_token_id: Id of the token that begins a text; None if the tokenizer has none.
        eos_token_id: Id of the token that ends a text; None if the tokenizer has none.
        decoder_start_token_id: Id of the first token that the decoder reads; `bos_token_id` if None.

    Labels (`num_labels`, `id2label`, `label2id`, `problem_type`) are those of [`~transformers.PreTrainedConfig`].

    Raises:
        huggingface_hub.errors.StrictDataclassError: A value of the wrong type, or a value that breaks a rule; the
            message names the value and the rule.
        TypeError: A keyword that is not a field but resembles one.

    ```python
    >>> from hf_rnn import RNNConfig, RNNForSequenceClassification

    >>> config = RNNConfig(vocab_size=1000, cell_type="gru", bidirectional=True, num_labels=3)
    >>> model = RNNForSequenceClassification(config)
    ```
    """

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
    wide_binary: bool = field(default=False, metadata=_TEXT_CLASSIFIER)
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
    temperature: float | int = field(default=1.0, metadata=_HEADS)
    thresholds: dict[str, float | int] | None = field(default=None, metadata=_TEXT_CLASSIFIER)
    forget_gate_bias: float | int = 1.0
    initializer_range: float | int = 0.1
    pad_token_id: int | None = 0
    unk_token_id: int | None = None
    bos_token_id: int | None = field(default=None, metadata=_WRITERS)
    eos_token_id: int | None = field(default=None, metadata=_WRITERS)
    decoder_start_token_id: int | None = field(default=None, metadata=_SEQ2SEQ)

    def __post_init__(self, **kwargs: Any) -> None:
        # A configuration file must not choose which code runs: our map names files in the folder of this file.
        # The file's map only decides which models are left out, since their code is not there.
        there = kwargs.pop("auto_map", None) or AUTO_MAP
        kwargs.pop("trust_remote_code", None)
        kwargs.pop("custom_pipelines", None)
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
        """Create a configuration from a dict as transformers does, but refuse another `model_type`.

        Raises:
            ValueError: Another `model_type`, or a configuration that needs a newer hf_rnn.
        """
        model_type = config_dict.get("model_type", cls.model_type)
        if model_type != cls.model_type:
            raise ValueError(
                f"this is a model of model_type {model_type!r}, not {cls.model_type!r}: load it with "
                "transformers.AutoModel.from_pretrained, or name a model of hf_rnn."
            )
        return super().from_dict(config_dict, **kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any) -> None:
        """Save the configuration as transformers does, with the code files that `auto_map` refers to."""
        files = code_files(*(self.architectures or ()))
        if any(name.startswith("modeling_") for name in files):
            # transformers may fetch the configuration's code without the models' code; `auto_map` then stays as it is.
            self.auto_map = {name: ref for name, ref in AUTO_MAP.items() if f"{ref.split('.')[0]}.py" in files}
        super().save_pretrained(save_directory)
        for name in files:
            source, target = Path(__file__).with_name(name), Path(save_directory, name)
            if not (target.exists() and target.samefile(source)):
                shutil.copyfile(source, target)
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", Path(save_directory).name), **kwargs)

    @property
    def custom_pipelines(self) -> dict[str, dict]:
        """Pipelines of the repository's code, which transformers reads.

        hf_rnn registers its pipeline itself when it is imported, and then no code of a repository runs. A property is
        not saved, and transformers may change what it returns.
        """
        is_of_repository = __name__.startswith("transformers_modules")
        return copy.deepcopy(CUSTOM_PIPELINES) if is_of_repository and self.thresholds else {}

    @property
    def num_directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Width D·H of the outputs of a recurrent layer."""
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

    def validate_thresholds(self) -> None:
        check_thresholds(self.thresholds, labels_of(self), self.problem_type)

    def validate_together(self) -> None:
        if self.independent_directions and not self.bidirectional:
            raise ValueError(
                "independent_directions=True needs two directions: write bidirectional=True too, or leave it out."
            )
        if self.backprop_length and self.bidirectional and not self.independent_directions:
            raise ValueError(
                f"backprop_length={self.backprop_length} needs separate directions: write "
                "independent_directions=True too, or bidirectional=False."
            )
        if self.backprop_length and self.backprop_window:
            raise ValueError(
                f"backprop_length={self.backprop_length} and backprop_window={self.backprop_window} cannot be used "
                "together: leave one of them out."
            )
        if self.truncate_backprop and not self.backprop_window:
            raise ValueError(
                "truncate_backprop=True stops gradients at the beginning of a window, and backprop_window=0 has none: "
                "write backprop_window=1024 too, or leave it out."
            )
        if self.pad_token_id is not None and not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"pad_token_id={self.pad_token_id} must be an id of the vocabulary: 0 <= pad_token_id < "
                f"vocab_size={self.vocab_size}; write pad_token_id=None for a model without padding token."
            )
        if self.num_rare_tokens and self.unk_token_id is None:
            raise ValueError(
                f"num_rare_tokens={self.num_rare_tokens} needs the id of the unknown token, which the recurrence reads "
                "instead of rare tokens: write unk_token_id=1 too."
            )
        if self.hidden_dropout > 0 and self.num_hidden_layers == 1:
            raise ValueError(
                f"hidden_dropout={self.hidden_dropout} acts between recurrent layers, and num_hidden_layers=1 has no "
                "second layer: write hidden_dropout=0.0 (input_dropout, weight_dropout and classifier_dropout act "
                "with one layer too)."
            )


def fields_read_by(model: str) -> frozenset[str]:
    """Return the names of the fields of [`RNNConfig`] that a model reads.

    Args:
        model: Class name of the model, such as `"RNNForCausalLM"`.
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
            f"this model needs hf_rnn {needed} or newer, and {__version__} is installed: pip install --upgrade hf-rnn."
        )


__all__ = ["RNNConfig", "fields_read_by"]
