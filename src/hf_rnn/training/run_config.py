# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""One YAML file is one reproducible run: its sections, read and checked by jsonargparse."""

import dataclasses
import os
from argparse import ArgumentError
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import yaml
from huggingface_hub.errors import StrictDataclassError
from jsonargparse import ArgumentParser, Namespace, set_dumper, set_loader
from transformers import PreTrainedTokenizerBase

from ..hub.folder import RUN_FILE
from ..hub.saved_run import Loader, check_sections, path_from, path_to, write_yaml
from ..models.configuration_rnn import RNNConfig
from ..text.arguments import DataArguments
from ..text.tokenization import TokenizerArguments
from ..utils.errors import UserError, check_choice
from ..utils.unknown_keys import name_unknown_key
from .arguments import RNNTrainingArguments
from .run_help import as_docstring, describe_section, field_words
from .short_forms import written_out

_MODE = "hf_rnn"
# Stands before texts that jsonargparse would not take for texts, from where they were read to where they were parsed.
_AS_WRITTEN = "\ue000"

# The tokenizer and the training rows decide the other fields of RNNConfig.
_MODEL_FIELDS = [
    each
    for each in dataclasses.fields(RNNConfig)
    if each.name in RNNConfig.__annotations__
    and each.name not in ("vocab_size", "num_rare_tokens", "wide_vocabulary")
    and not each.name.endswith("_token_id")
    and not each.name.startswith("target_")
]


def _model_words() -> dict[str, str]:
    """Return the descriptions of the keys of the model section, with the models that read a field of [`RNNConfig`]."""
    words = field_words(RNNConfig)
    of_encoder = {
        "pretrained": "folder or Hub id of a model whose encoder, and tokenizer, the new one takes over.",
        "vectors": "what the vectors of tokens start from: a file of GloVe, word2vec or fastText (.vec or .bin), or a "
        "folder or Hub id of static embeddings (model2vec) or of a transformers model, whose input embeddings are "
        "taken. embedding_size is theirs; all are multiplied by one number, so that their standard deviation is "
        "initializer_range.",
        "forward_only": "of two independent directions of that model, take over the one from left to right alone.",
    }
    read_by = {each.name: " and ".join(each.metadata.get("read_by", ())) for each in _MODEL_FIELDS}
    return of_encoder | {name: f"{words[name]}{f' Read by {by}.' if by else ''}" for name, by in read_by.items()}


ModelArguments = dataclasses.make_dataclass(
    "ModelArguments",
    [
        ("pretrained", str | None, None),
        ("vectors", str | None, None),
        ("forward_only", bool, False),
        *((each.name, each.type, dataclasses.field(default=each.default)) for each in _MODEL_FIELDS),
    ],
    namespace={"__doc__": as_docstring("The network.", _model_words())},
)

# These depend on the number of layers and of directions, which an encoder brings with it: they are checked then.
_JUDGED_BY_ENCODER = ("hidden_dropout", "backprop_length")


@dataclass
class CardArguments:
    """The model card.

    Args:
        language: ISO 639 code of the texts, such as en, or several.
        license: of the model, by its name on the Hub, such as apache-2.0.
        dataset: name of the data set on the Hub, where data.path is a copy of it.
        examples: whether the card may quote rows of the data set.
    """

    language: str | list[str] | None = None
    license: str | None = None
    dataset: str | None = None
    examples: bool = True


# Rules by which a run chooses what nobody wrote.
PRESETS = ("none", "fast", "default", "best")
DEFAULT_PRESET = "default"

# Shares of the training rows in a learning curve, where none are named.
SHARES = (0.1, 0.25, 0.5, 1.0)


@dataclass
class ReportArguments:
    """The report after training, of text classifiers.

    Args:
        baseline: fit TF-IDF with a linear model of scikit-learn on the training rows, and measure it beside the model.
        learning_curve: fit this baseline on shares of the training rows too, to see what more rows would give: a list
            of shares, or true for 0.1, 0.25, 0.5 and 1.

    Raises:
        UserError: a share that is none.
    """

    baseline: bool = True
    learning_curve: bool | list[float] = False

    def __post_init__(self) -> None:
        for share in self.shares:
            if isinstance(share, bool) or not 0 < share <= 1:
                raise UserError(
                    f"report.learning_curve has the share {share}, which must be above 0 and at most 1: write "
                    f"--report.learning_curve '[{', '.join(map(str, SHARES))}]', or true."
                )

    @property
    def shares(self) -> list[float]:
        """The shares of the training rows, in ascending order."""
        if isinstance(self.learning_curve, bool):
            return list(SHARES) if self.learning_curve else []
        return sorted(set(self.learning_curve))


SECTIONS = {
    "data": DataArguments,
    "tokenizer": TokenizerArguments,
    "model": ModelArguments,
    "training": RNNTrainingArguments,
    "report": ReportArguments,
    "card": CardArguments,
}


@dataclass
class RunConfig:
    """The sections of a run's YAML.

    Args:
        task: by its name.
        data: where the rows are.
        tokenizer: how one is trained, or which one is taken.
        model: `ModelArguments`.
        training: how the model is trained.
        card: what the model card says.
        given: the keys that somebody wrote, such as `model.hidden_size`.
        report: what is told of a trained text classifier.
        preset: the name of the rules that choose what nobody wrote.
        parsed: all keys and values, as they were parsed.
    """

    task: str
    data: DataArguments
    tokenizer: TokenizerArguments
    model: Any
    training: RNNTrainingArguments
    card: CardArguments
    given: frozenset[str] = frozenset()
    report: ReportArguments = field(default_factory=ReportArguments)
    preset: str = "none"
    parsed: Namespace = field(default_factory=Namespace, compare=False, repr=False)

    def rare_tokens_of(self, tokenizer: PreTrainedTokenizerBase) -> int:
        """Return the number of entries of the run's tokenizer, the last ones, that the wide path alone reads.

        Args:
            tokenizer: of the run.
        """
        return max(0, len(tokenizer) - self.tokenizer.vocab_size) if self.tokenizer.rare_tokens else 0


class RunParser(ArgumentParser):
    """The parser of a run; what is wrong is a [`~hf_rnn.utils.errors.UserError`]."""

    def parse_args(self, args: Any = None, *others: Any, **how: Any) -> Namespace:  # type: ignore[override]
        """Parse a command line, which may have short forms."""
        return super().parse_args(written_out(args, [action.dest for action in self._actions]), *others, **how)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what is wrong with the file of the run, or with the key that was probably meant."""
        for file in _files(self.args):
            check_sections(file)
        keys = (action.dest for action in self._actions)
        raise UserError(name_unknown_key(message.replace(_AS_WRITTEN, ""), keys)) from ex


def run_parser() -> RunParser:
    """Return the parser of a training run's command line and YAML, which have the same keys."""
    parser = RunParser(
        prog="hf-rnn train",
        description="Train a model from one YAML file; any of its keys can be set on the command line too.",
        exit_on_error=False,
        allow_abbrev=False,
        parser_mode=_MODE,
    )
    parser.args = []
    parser.add_argument("--config", action="config", help="YAML file of the run, such as configs/imdb.yaml")
    parser.add_argument("--task", type=str, default="text_classification", help="what to learn")
    words = "rules that choose the settings that nobody wrote: fast, default, best, or none for the defaults below"
    parser.add_argument("--preset", type=str, default=DEFAULT_PRESET, help=words)
    for section, arguments in SECTIONS.items():
        parser.add_class_arguments(arguments, section)
        describe_section(parser, section, arguments)
    return parser


def parse_run(arguments: list[str] | dict | str | Path) -> tuple[RunConfig, str]:
    """Read a run.

    Args:
        arguments: a command line; or the path of a YAML file; or its sections as a dict.

    Returns:
        The run, and the YAML that reproduces it.

    Raises:
        UserError: an unknown key (the nearest one is named) or a value of the wrong type.
    """
    parser = run_parser()
    given_to: Any = arguments if isinstance(arguments, (dict, list)) else ["--config", str(arguments)]
    read: Any = parser.parse_args
    if isinstance(arguments, dict):
        read, given_to = parser.parse_object, _as_yaml(arguments)
        if isinstance(given_to.get("data"), dict) and given_to["data"].get("label_names"):
            given_to["data"]["label_names"] = [str(name) for name in given_to["data"]["label_names"]]
    try:
        namespace, written = (_as_meant(read(given_to, **how)) for how in ({}, {"defaults": False}))
        # The parser keeps a command line without its short forms.
        given_to = parser.args if isinstance(given_to, list) else given_to
        _find_data(namespace, written, given_to)
        _find_preset(namespace, written, given_to)
        given = frozenset(key for key, value in written.items() if "." in key or (key == "preset" and value))
        return _instantiated(parser, namespace, given)
    except (ArgumentError, TypeError, ValueError, OSError, yaml.YAMLError) as error:
        if isinstance(error, UserError):
            raise
        parser.error(str(error), error)


def with_values(run: RunConfig, values: dict[str, Any]) -> tuple[RunConfig, str]:
    """Return a run with other values, and the YAML that reproduces it.

    Args:
        run: as it was parsed.
        values: by their keys, such as `model.hidden_size`.

    Raises:
        UserError: values that do not go together.
    """
    namespace = run.parsed.clone()
    for key, value in values.items():
        namespace[key] = value
    return _instantiated(run_parser(), namespace, run.given, values)


def _instantiated(
    parser: RunParser, namespace: Namespace, given: frozenset[str], chosen: Iterable[str] = ()
) -> tuple[RunConfig, str]:
    """Return a run of parsed values, and the YAML that reproduces it, with chosen keys that have their default too."""
    check_choice("preset", namespace.preset, PRESETS)
    parts = parser.instantiate(namespace)
    _check_model(parts.model)
    sections = {name: parts[name] for name in SECTIONS}
    run = RunConfig(parts.task, **sections, given=given, preset=parts.preset, parsed=namespace)
    return run, _dump(parser, namespace, chosen)


def _check_model(model: Any) -> None:
    """Raise [`UserError`] for a model section that no model can have."""
    settings = {name: value for name, value in dataclasses.asdict(model).items() if hasattr(RNNConfig, name)}
    if model.pretrained is not None:
        settings = {name: value for name, value in settings.items() if name not in _JUDGED_BY_ENCODER}
    checked_config(settings)
    if model.vectors is not None and model.pretrained is not None:
        raise UserError(
            f"model.vectors={model.vectors!r} and model.pretrained={model.pretrained!r} both bring vectors of tokens: "
            "leave one of them out."
        )
    if model.forward_only and model.pretrained is None:
        raise UserError("model.forward_only chooses among the directions of model.pretrained, which is not there.")


def _load(text: str) -> Any:
    """A value of the command line, or a YAML file. What YAML takes for nothing, such as #1, is meant as it is written;
    and in a file so are strings that were quoted, such as 'null'."""
    value = yaml.load(text, Loader=Loader)
    if value is None and text.strip() not in ("", "~"):
        return _AS_WRITTEN + text
    if isinstance(value, list):
        # Names such as no, 01 or 1.10, as they are spelled.
        return yaml.load(text, Loader=yaml.BaseLoader)
    if isinstance(value, dict) and isinstance(value.get("data"), dict):
        spelled = yaml.load(text, Loader=yaml.BaseLoader)["data"]
        value["data"] |= {name: spelled[name] for name in _WORDS if value["data"].get(name) is not None}
    return _as_yaml(value) if isinstance(value, dict) else value


# Keys of the data section that always hold text.
_WORDS = ("name", "text_column", "text_pair_column", "label_column", "label_names", "label_separator", "test_split")


def _as_yaml(value: Any) -> Any:
    """Return a value of Python as one of YAML that jsonargparse leaves as it is: paths and numbers of numpy become
    plain values, and texts that it would take for nothing or for lists are marked."""
    if isinstance(value, dict):
        return {key: _as_yaml(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_yaml(inner) for inner in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if type(value).__module__ == "numpy":
        return _as_yaml(value.tolist())
    if isinstance(value, str):
        try:
            read = yaml.load(value, Loader=Loader)
        except yaml.YAMLError:
            return value
        return _AS_WRITTEN + value if read is None or isinstance(read, (list, dict)) else value
    return value


def _as_meant(value: Any) -> Any:
    """Remove the marks of [`_as_yaml`] from what was parsed."""
    if isinstance(value, Namespace):
        for key, inner in list(vars(value).items()):
            value[key] = _as_meant(inner)
    elif isinstance(value, list):
        return [_as_meant(inner) for inner in value]
    elif isinstance(value, str):
        return value.removeprefix(_AS_WRITTEN)
    return value


def _find_data(namespace: Namespace, written: Namespace, arguments: list[str] | dict) -> None:
    """Look for a relative `data.path` that a YAML file names beside that file first."""
    if isinstance(arguments, dict) or any(argument.split("=")[0] == "--data.path" for argument in arguments):
        return
    files = _files(arguments)
    if files and written.get("data.path") is not None:
        namespace["data.path"] = path_from(namespace["data.path"], files[-1].parent)


def _find_preset(namespace: Namespace, written: Namespace, arguments: list[str] | dict) -> None:
    """Take the file of a run of an older release, which knew no presets, as it is."""
    files = [] if isinstance(arguments, dict) else _files(arguments)
    if written.get("preset") is None and any(file.name == RUN_FILE for file in files):
        namespace["preset"] = "none"


def _files(arguments: list[str]) -> list[Path]:
    """Return the YAML files that a command line names."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    return [Path(word) for option, word in pairwise(words) if option == "--config"]


def checked_config(settings: dict[str, Any]) -> RNNConfig:
    """Return the configuration of a run's model.

    Args:
        settings: the model section of a run, and what else decides the configuration.

    Raises:
        UserError: the settings break a rule of [`RNNConfig`].
    """
    try:
        return RNNConfig(**settings)
    except StrictDataclassError as error:
        raise UserError(f"model: {str(error).splitlines()[-1].strip().removeprefix('ValueError: ')}") from error


def _dump(parser: ArgumentParser, namespace: Namespace, chosen: Iterable[str]) -> str:
    """The YAML of a run. Whose repository it is pushed to and with which token, and what to do with an older run in its
    folder, are no part of it: who runs it again decides that anew."""
    namespace = namespace.clone()
    for key in ("config", "training.overwrite", "training.resume"):
        namespace.pop(key, None)
    for key in [key for key in vars(namespace.training) if key.startswith(("hub_", "push_to_hub"))]:
        namespace.pop(f"training.{key}")
    namespace["data.path"] = path_to(namespace["data.path"], Path(namespace["training.output_dir"]))
    task = namespace.pop("task")
    # Its choices stand here as values.
    namespace.pop("preset")
    # A null that is no default has to be said; what is a default is left out by `skip_default`.
    dumped = parser.dump(namespace, format=_MODE, skip_default=True, skip_unset=False, skip_validation=True)
    sections = yaml.load(dumped, Loader=Loader) or {}
    for key in chosen:
        # A later release may have other defaults.
        section, _, name = key.partition(".")
        sections.setdefault(section, {}).setdefault(name, namespace[key])
    return f"task: {task}\npreset: none\n" + (write_yaml(sections) if sections else "")


set_loader(_MODE, _load, (yaml.YAMLError,))
set_dumper(_MODE, write_yaml)


__all__ = ["ReportArguments", "RunConfig", "RunParser", "checked_config", "parse_run", "run_parser", "with_values"]
