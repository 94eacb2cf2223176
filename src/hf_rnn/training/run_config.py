# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Configuration of a training run: the sections of its YAML file, parsed and checked by jsonargparse."""

import dataclasses
import logging
import math
import re
from argparse import SUPPRESS, ArgumentError
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import yaml
from huggingface_hub.errors import StrictDataclassError
from jsonargparse import ArgumentParser, Namespace, set_dumper, set_loader
from transformers import PreTrainedTokenizerBase

from ..hub.folder import RUN_FILE
from ..hub.saved_run import PATHS, check_sections, each_path, path_from, write_yaml
from ..models.configuration_rnn import RNNConfig, __version__
from ..text.arguments import DataArguments
from ..text.tokenization import TokenizerArguments
from ..utils.errors import ConfigError, HfRnnError, check_choice
from ..utils.unknown_keys import name_unknown_key
from .arguments import RNNTrainingArguments
from .distil_arguments import DistilArguments, TeacherArguments
from .report_arguments import ReportArguments
from .run_help import as_docstring, describe_section, field_words
from .run_values import AS_WRITTEN, as_meant, as_yaml, load_value
from .run_yaml import run_yaml
from .short_forms import WITH_SECTION, written_out
from .short_help import short_help

logger = logging.getLogger(__name__)

_MODE = "hf_rnn"

# The other fields of RNNConfig follow from the tokenizer, the training rows and the validation rows.
_MODEL_FIELDS = [
    each
    for each in dataclasses.fields(RNNConfig)
    if each.name in RNNConfig.__annotations__
    and each.name
    not in ("vocab_size", "num_rare_tokens", "wide_binary", "wide_vocabulary", "temperature", "thresholds")
    and not each.name.endswith("_token_id")
    and not each.name.startswith("target_")
]


def _model_words() -> dict[str, str]:
    """Return the descriptions of the model section's keys. The entries of [`RNNConfig`] name the models."""
    words = field_words(RNNConfig)
    of_encoder = {
        "pretrained": "folder or Hub id of a model from which the new model takes its encoder and its tokenizer.",
        "vectors": "initial token embeddings: a file of GloVe, word2vec or fastText (.vec or .bin), or a folder or Hub "
        "id of static embeddings (model2vec) or of a transformers model, whose input embeddings are taken. "
        "embedding_size becomes their width.",
        "vectors_std": "standard deviation of the numbers of the vectors, which are all multiplied by one factor. null "
        "for initializer_range. Needs vectors.",
        "forward_only": "take only the left-to-right direction of a model with two independent directions.",
        "keep_head": "go on from a pretrained text classifier: keep its pooling, head and network settings, and add "
        "new labels to the head. false to take its encoder only. null to keep the head if both are text classifiers.",
    }
    read_by = {each.name: " and ".join(each.metadata.get("read_by", ())) for each in _MODEL_FIELDS}
    return of_encoder | {name: f"{words[name]}{f' Read by {by}.' if by else ''}" for name, by in read_by.items()}


ModelArguments = dataclasses.make_dataclass(
    "ModelArguments",
    [
        ("pretrained", str | None, None),
        ("vectors", str | None, None),
        ("vectors_std", float | None, None),
        ("forward_only", bool, False),
        ("keep_head", bool | None, None),
        *((each.name, each.type, dataclasses.field(default=each.default)) for each in _MODEL_FIELDS),
    ],
    namespace={"__doc__": as_docstring("The network.", _model_words())},
)

# These are checked after the pretrained encoder has set `num_hidden_layers` and `bidirectional`.
_JUDGED_BY_ENCODER = ("hidden_dropout", "backprop_length")


@dataclass
class CardArguments:
    """Settings of the model card.

    Args:
        language: ISO 639 code of the language of the texts, such as en, or a list of codes; null for none.
        license: License of the model, as the Hub names it, such as apache-2.0; null for none.
        dataset: Name on the Hub of the data set that data.path is a copy of; null for none.
        examples: Allow the card and the metrics to quote rows of the data set.
    """

    language: str | list[str] | None = None
    license: str | None = None
    dataset: str | None = None
    examples: bool = True


# Names of the rules that choose the settings which the user did not write.
PRESETS = ("none", "fast", "default", "best")
DEFAULT_PRESET = "default"

SECTIONS = {
    "data": DataArguments,
    "tokenizer": TokenizerArguments,
    "model": ModelArguments,
    "training": RNNTrainingArguments,
    "teacher": TeacherArguments,
    "distil": DistilArguments,
    "report": ReportArguments,
    "card": CardArguments,
}


@dataclass
class RunConfig:
    """Configuration of a run: the sections of its YAML file.

    Args:
        task: Name of the task.
        data: Data section.
        tokenizer: Tokenizer section.
        model: Model section, a `ModelArguments`.
        training: Training section.
        card: Model card section.
        teacher: Teacher section.
        distil: Section of the texts and the loss by which the model learns from a teacher.
        given: Keys that the user wrote, such as `model.hidden_size`.
        report: Report section, for text classifiers.
        preset: Name of the rules that choose the settings which the user did not write.
        cross_validate: Number of folds of the cross-validation before the run; 0 for none.
        parsed: All keys and values as parsed.
    """

    task: str
    data: DataArguments
    tokenizer: TokenizerArguments
    model: Any
    training: RNNTrainingArguments
    card: CardArguments
    given: frozenset[str] = frozenset()
    report: ReportArguments = field(default_factory=ReportArguments)
    teacher: TeacherArguments = field(default_factory=TeacherArguments)
    distil: DistilArguments = field(default_factory=DistilArguments)
    preset: str = "none"
    cross_validate: int = 0
    parsed: Namespace = field(default_factory=Namespace, compare=False, repr=False)

    @property
    def reads_labels(self) -> bool:
        """True if the loss has a part for the labels. A student may read the answers of its teacher only."""
        return not self.teacher or self.distil.hard_labels > 0

    def rare_tokens_of(self, tokenizer: PreTrainedTokenizerBase) -> int:
        """Return the number of rare tokens: entries at the end of the vocabulary that only the wide path reads.

        Args:
            tokenizer: Tokenizer of the run.
        """
        return max(0, len(tokenizer) - self.tokenizer.vocab_size) if self.tokenizer.rare_tokens else 0


class RunParser(ArgumentParser):
    """Parser of a run that raises [`~hf_rnn.utils.errors.ConfigError`]."""

    # False for the help of those keys that people use first.
    helps_with_all = True

    def parse_args(self, args: Any = None, *others: Any, **how: Any) -> Namespace:  # type: ignore[override]
        """Parse a command line, which may have short forms. `--help` shows the first keys, and `--help all` all."""
        place = next((place for place, argument in enumerate(args) if argument in ("-h", "--help")), None)
        if place is not None:
            self.helps_with_all = args[place + 1 : place + 2] == ["all"]
            args = ["--help"]
        return super().parse_args(written_out(args, [action.dest for action in self._actions]), *others, **how)

    def format_help(self, formatter: Any = None) -> str:
        """Return the help of all keys or, after `--help` alone, of those that people use first."""
        if not self.helps_with_all:
            return short_help(self.prog, self._actions, self.description, self.epilog)
        # Older releases of jsonargparse take no formatter.
        return super().format_help(*([] if formatter is None else [formatter]))

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise an error about the YAML files or about `message`; name the nearest known key for an unknown one."""
        for file in _files(self.args):
            check_sections(file)
        keys = [action.dest for action in self._actions]
        # The first one of equally near keys is named.
        keys.sort(key=lambda key: key.startswith(WITH_SECTION))
        raise ConfigError(name_unknown_key(message.replace(AS_WRITTEN, ""), keys)) from ex


def run_parser() -> RunParser:
    """Return the parser of a training run, for its command line and its YAML file, which have the same keys."""
    parser = RunParser(
        prog="hf-rnn train",
        description="Train a model from one YAML file; any of its keys can be set on the command line too.",
        exit_on_error=False,
        allow_abbrev=False,
        parser_mode=_MODE,
    )
    parser.args = []
    parser.add_argument("--config", action="config", help="YAML file of the run, such as configs/imdb.yaml")
    parser.add_argument(
        "--task", type=str, default="text_classification", help="task of the model, such as token_classification"
    )
    words = "rules that choose the settings that are not given: fast, default, best, or none for the defaults below"
    parser.add_argument("--preset", type=str, default=DEFAULT_PRESET, help=words)
    words = "number of folds of a cross-validation, which comes before the training of the model; 0 for none"
    parser.add_argument("--cross_validate", type=int, default=0, help=words)
    # A saved run.yaml has the release that wrote it.
    parser.add_argument("--hf_rnn_version", type=str | float, help=SUPPRESS)
    for section, arguments in SECTIONS.items():
        parser.add_class_arguments(arguments, section)
        describe_section(parser, section, arguments)
    return parser


def parse_run(arguments: list[str] | dict | str | Path) -> tuple[RunConfig, str]:
    """Parse a run.

    Args:
        arguments: Command-line arguments as a list, the path of a YAML file, or its sections as a dict.

    Returns:
        The run, and the YAML text that reproduces it.

    Raises:
        ConfigError: A key is unknown (the error names the nearest one), a value is invalid, or values contradict.
    """
    parser = run_parser()
    given_to: Any = arguments if isinstance(arguments, (dict, list)) else ["--config", str(arguments)]
    read: Any = parser.parse_args
    if isinstance(arguments, dict):
        read, given_to = parser.parse_object, as_yaml(arguments)
        if isinstance(given_to.get("data"), dict) and given_to["data"].get("label_names"):
            given_to["data"]["label_names"] = [str(name) for name in given_to["data"]["label_names"]]
    try:
        namespace, written = (as_meant(read(given_to, **how)) for how in ({}, {"defaults": False}))
        # The parser keeps a command line without its short forms.
        given_to = parser.args if isinstance(given_to, list) else given_to
        _find_data(namespace, written, given_to)
        _find_preset(namespace, written, given_to)
        _drop_card_of_other_data(namespace, given_to)
        given = _given(parser, written, given_to)
        return _instantiated(parser, namespace, given)
    except (ArgumentError, TypeError, ValueError, OSError, yaml.YAMLError) as error:
        if isinstance(error, HfRnnError):
            raise
        parser.error(str(error), error)


def with_values(run: RunConfig, values: dict[str, Any]) -> tuple[RunConfig, str]:
    """Return a copy of a run with changed values, and the YAML text that reproduces it.

    Args:
        run: Run as parsed.
        values: New values by key, such as `model.hidden_size`.

    Raises:
        ConfigError: Values contradict each other.
    """
    namespace = run.parsed.clone()
    for key, value in values.items():
        namespace[key] = value
    return _instantiated(_parser_of_values(), namespace, run.given)


@cache
def _parser_of_values() -> RunParser:
    """Return a parser that reads no command line. A search changes values often, and building a parser takes long."""
    return run_parser()


def _instantiated(parser: RunParser, namespace: Namespace, given: frozenset[str]) -> tuple[RunConfig, str]:
    """Build a run from parsed values, and the YAML text that reproduces it."""
    check_choice("preset", namespace.preset, PRESETS)
    parts = parser.instantiate(namespace)
    _check_model(parts.model)
    sections = {name: parts[name] for name in SECTIONS}
    top = {"preset": parts.preset, "cross_validate": parts.cross_validate}
    run = RunConfig(parts.task, **sections, given=given, **top, parsed=namespace)
    return run, run_yaml(parser, namespace, given)


def _check_model(model: Any) -> None:
    """Raise [`ConfigError`] if the model section breaks a rule of [`RNNConfig`] or contradicts itself."""
    settings = {name: value for name, value in dataclasses.asdict(model).items() if hasattr(RNNConfig, name)}
    if model.pretrained is not None:
        settings = {name: value for name, value in settings.items() if name not in _JUDGED_BY_ENCODER}
    checked_config(settings)
    if model.vectors is not None and model.pretrained is not None:
        raise ConfigError(
            f"model.vectors={model.vectors!r} and model.pretrained={model.pretrained!r} both bring vectors of tokens: "
            "leave one of them out."
        )
    if model.vectors_std is not None and not 0 < model.vectors_std < math.inf:
        raise ConfigError(f"model.vectors_std={model.vectors_std} must be greater than 0, such as 0.4.")
    if model.forward_only and model.pretrained is None:
        raise ConfigError("model.forward_only selects a direction of model.pretrained, which is not set: leave it out.")
    if model.keep_head is not None and model.pretrained is None:
        raise ConfigError(
            f"model.keep_head={model.keep_head} is about the head of model.pretrained, which is not set: leave it out."
        )


def _given(parser: RunParser, written: Namespace, arguments: list[str] | dict) -> frozenset[str]:
    """Return the keys that the user wrote. A saved run.yaml has defaults, too, which nobody wrote."""
    given = {key for key, value in written.items() if "." in key or (key == "preset" and value)}
    if written.get("hf_rnn_version") is None:
        return frozenset(given)
    typed, defaults = _typed(arguments), parser.get_defaults()
    return frozenset(key for key in given if key in typed or written[key] != defaults.get(key))


def _typed(arguments: list[str] | dict) -> set[str]:
    """Return the keys that a command line has outside its YAML files."""
    return set() if isinstance(arguments, dict) else {each.partition("=")[0].removeprefix("--") for each in arguments}


def _find_data(namespace: Namespace, written: Namespace, arguments: list[str] | dict) -> None:
    """Resolve the relative paths of the data section of a YAML file against the folder of that file first."""
    files = [] if isinstance(arguments, dict) else _files(arguments)
    for key in PATHS:
        if files and key not in _typed(arguments) and written.get(key) is not None:
            namespace[key] = each_path(namespace[key], path_from, files[-1].parent)


def _find_preset(namespace: Namespace, written: Namespace, arguments: list[str] | dict) -> None:
    """Set the preset of a saved `run.yaml` without one to none: an older release, without presets, wrote it.

    Raises:
        ConfigError: A preset is named together with a `run.yaml` that has all settings.
    """
    files = [] if isinstance(arguments, dict) else _files(arguments)
    if written.get("preset") is None and any(file.name == RUN_FILE for file in files):
        namespace["preset"] = "none"
    version = namespace.hf_rnn_version
    if version is not None and namespace.preset != "none":
        raise ConfigError(
            f"preset={namespace.preset!r} chooses the settings that are not given, and the {RUN_FILE} of a model gives "
            "all of them: leave the preset out, or name the data instead of the file."
        )
    if version not in (None, __version__):
        logger.warning(f"hf_rnn {version} wrote this {RUN_FILE}, and this is {__version__}: its settings are kept.")


def _drop_card_of_other_data(namespace: Namespace, arguments: list[str] | dict) -> None:
    """Remove data set and language of a configuration's card if the command line names other data."""
    if isinstance(arguments, dict) or not _files(arguments):
        return
    typed = _typed(arguments)
    card = {name: namespace[f"card.{name}"] for name in ("dataset", "language") if f"card.{name}" not in typed}
    if "data.path" not in typed or namespace["data.path"] == namespace["card.dataset"] or not any(card.values()):
        return
    for name in card:
        namespace[f"card.{name}"] = None
    logger.info(
        f"the card will not say what the configuration says about its own data ({', '.join(card)}): if "
        f"{namespace['data.path']} is a copy of that, write "
        f"{' and '.join(f'card.{name}={value!r}' for name, value in card.items() if value)}."
    )


def _files(arguments: list[str]) -> list[Path]:
    """Return the YAML files that the command line names with `--config`."""
    return [Path(each.removeprefix("--config=")) for each in arguments if each.startswith("--config=")]


def checked_config(settings: dict[str, Any]) -> RNNConfig:
    """Build the configuration of a model.

    Args:
        settings: Fields of [`RNNConfig`], such as those of the model section.

    Raises:
        ConfigError: The settings break a rule of [`RNNConfig`].
    """
    try:
        return RNNConfig(**settings)
    except StrictDataclassError as error:
        message = str(error).splitlines()[-1].strip().removeprefix("ValueError: ")
        names = "|".join(each.name for each in _MODEL_FIELDS)
        raise ConfigError(re.sub(rf"(?<![\w.])({names})=", r"model.\1=", message)) from error


set_loader(_MODE, load_value, (yaml.YAMLError,))
set_dumper(_MODE, write_yaml)


__all__ = ["ReportArguments", "RunConfig", "RunParser", "checked_config", "parse_run", "run_parser", "with_values"]
