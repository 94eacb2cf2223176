# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""One YAML file is one reproducible run: its sections, read and checked by jsonargparse."""

import dataclasses
import re
from argparse import ArgumentError
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub.errors import StrictDataclassError
from jsonargparse import ArgumentParser, Namespace

from .configuration_rnn import RNNConfig
from .data import DataArguments
from .errors import UserError, first_line, nearest
from .tokenization import TokenizerArguments
from .training_arguments import RNNTrainingArguments

RUN_FILE = "run.yaml"
METRICS_FILE = "metrics.json"

# The tokenizer decides these; everything else that RNNConfig adds is the user's.
ModelArguments = dataclasses.make_dataclass(
    "ModelArguments",
    [
        # Folder or Hub id of a model whose encoder, and tokenizer, the new one takes over.
        ("pretrained", str | None, None),
        # Of two independent directions of that model, whether to take over the one from left to right alone.
        ("forward_only", bool, False),
        *(
            (name, annotation, dataclasses.field(default=getattr(RNNConfig, name)))
            for name, annotation in RNNConfig.__annotations__.items()
            if name != "vocab_size" and not name.endswith("_token_id")
        ),
    ],
)

# Whether they can hold, the number of layers and of directions says, which an encoder of before brings with it.
_JUDGED_BY_ENCODER = ("hidden_dropout", "backprop_length")


@dataclass
class CardArguments:
    """
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


SECTIONS = {
    "data": DataArguments,
    "tokenizer": TokenizerArguments,
    "model": ModelArguments,
    "training": RNNTrainingArguments,
    "card": CardArguments,
}


@dataclass
class RunConfig:
    """The sections of a run's YAML; `given` are the keys of its model section that somebody wrote."""

    task: str
    data: DataArguments
    tokenizer: TokenizerArguments
    model: Any
    training: RNNTrainingArguments
    card: CardArguments
    given: frozenset[str] = frozenset()


def run_parser() -> ArgumentParser:
    """The command line and the YAML of a training run, which have the same keys."""
    parser = ArgumentParser(
        prog="hf-rnn train",
        description="Train a model from one YAML file; any of its keys can be set on the command line too.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="YAML file of the run, such as configs/imdb.yaml")
    parser.add_argument("--task", type=str, default="text_classification", help="what to learn")
    for section, arguments in SECTIONS.items():
        parser.add_class_arguments(arguments, section)
    return parser


def parse_run(arguments: list[str] | dict | str | Path) -> tuple[RunConfig, str]:
    """Reads a run.

    Args:
        arguments: a command line; or the path of a YAML file; or its sections as a dict.

    Returns:
        The run, and the YAML that reproduces it.

    Raises:
        UserError: an unknown key (the nearest one is named) or a value of the wrong type.
    """
    parser = run_parser()
    read = {dict: parser.parse_object, list: parser.parse_args}.get(type(arguments))
    try:
        if read is None:
            read, arguments = parser.parse_path, str(arguments)
        namespace, written = read(arguments), read(arguments, defaults=False)
        parts = parser.instantiate(namespace)
    except (ArgumentError, TypeError, ValueError, OSError, yaml.YAMLError) as error:
        for file in _files(arguments):
            _check_form(file)
        raise UserError(explain(str(error), parser)) from error
    settings = {k: v for k, v in dataclasses.asdict(parts.model).items() if hasattr(RNNConfig, k)}
    if parts.model.pretrained is not None:
        settings = {k: v for k, v in settings.items() if k not in _JUDGED_BY_ENCODER}
    checked_config(settings)
    if parts.model.forward_only and parts.model.pretrained is None:
        raise UserError("model.forward_only chooses among the directions of model.pretrained, which is not there.")
    given = frozenset(vars(written.get("model") or Namespace()))
    run = RunConfig(parts.task, parts.data, parts.tokenizer, parts.model, parts.training, parts.card, given)
    return run, _dump(parser, namespace)


def _files(arguments: list[str] | dict | str | Path) -> list[Path]:
    """The YAML files that a run's arguments name."""
    if isinstance(arguments, dict):
        return []
    if not isinstance(arguments, list):
        return [Path(arguments)]
    words = [word for argument in arguments for word in argument.split("=", 1)]
    return [Path(word) for option, word in pairwise(words) if option == "--config"]


def _check_form(file: Path) -> None:
    """Raises [`UserError`], with the file's name, where that is why a run could not be read: the file has not the form
    of one. What it holds that a run has not, and that there is no file, jsonargparse says."""
    if not file.is_file():
        return
    try:
        sections = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark: Any = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", first_line(error))
        where = f"line {mark.line + 1}, column {mark.column + 1}: {what}" if mark else what
        raise UserError(f"{str(file)!r} is no YAML that can be read ({where}): mend it.") from error
    form = "write its keys below it, indented, such as\nmodel:\n  hidden_size: 256"
    if not isinstance(sections, dict):
        raise UserError(f"{str(file)!r} has no sections: name one, and {form}")
    for name, section in sections.items():
        if name in SECTIONS and not isinstance(section, dict):
            remedy = "leave it out, or " if section is None else ""
            raise UserError(f"the section {name} of {str(file)!r} is {section!r}: {remedy}{form}")


def checked_config(settings: dict[str, Any]) -> RNNConfig:
    """The configuration that the model section of a run, and what else decides it, give; raises [`UserError`]."""
    try:
        return RNNConfig(**settings)
    except StrictDataclassError as error:
        raise UserError(f"model: {str(error).splitlines()[-1].strip().removeprefix('ValueError: ')}") from error


def run_file(folder: Path) -> Path | None:
    """The file of the run that made a model, which stands beside a checkpoint's folder; None where there is none."""
    places = [folder, *([folder.parent] if folder.name.startswith("checkpoint-") else [])]
    return next((place / RUN_FILE for place in places if (place / RUN_FILE).is_file()), None)


def read_run(folder: Path) -> tuple[str | None, DataArguments, str | None]:
    """The task, the data section and the `model.pretrained` of the run that made a model; None and a nameless data set
    where no run did.

    The training section is left alone: what suits the machine that trained may not suit the one that predicts.
    """
    file = run_file(folder)
    if file is None:
        return None, DataArguments(path=""), None
    try:
        sections = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        known = {field.name for field in dataclasses.fields(DataArguments)}
        data = {key: value for key, value in (sections.get("data") or {}).items() if key in known}
        pretrained = (sections.get("model") or {}).get("pretrained")
    except (yaml.YAMLError, AttributeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{str(file)!r} is not the {RUN_FILE} of a training run ({first_line(error)}): mend it."
        ) from error
    return sections.get("task", "text_classification"), DataArguments(**data), pretrained


def _dump(parser: ArgumentParser, namespace: Namespace) -> str:
    """The YAML of a run. Whose repository it is pushed to and with which token, and what to do with an older run in its
    folder, are no part of it: who runs it again decides that anew."""
    namespace = namespace.clone()
    for key in ("config", "training.overwrite", "training.resume"):
        namespace.pop(key, None)
    for key in [key for key in vars(namespace.training) if key.startswith(("hub_", "push_to_hub"))]:
        namespace.pop(f"training.{key}")
    task = namespace.pop("task")
    # A null that is no default has to be said; what is a default is left out by `skip_default`.
    return f"task: {task}\n" + parser.dump(namespace, skip_default=True, skip_unset=False, skip_validation=True)


def explain(message: str, parser: ArgumentParser) -> str:
    """jsonargparse's words, and the key that was probably meant."""
    keys = [action.dest for action in parser._actions if action.dest not in ("help", "config", "print_config")]
    unknown = re.search(r"unrecognized arguments: --?(\S+)", message)
    option = re.search(r"Group '([^']+)' does not accept option '([^']+)'", message) or re.search(
        r"()[Oo]ption '([^']+)' is not accepted", message
    )
    name = None
    if unknown:
        name = unknown[1].split("=")[0]
    elif option:
        name = f"{option[1]}.{option[2]}".strip(".")
    if name is None:
        return message
    section, _, last = name.rpartition(".")
    inside = {key.rpartition(".")[2]: key for key in keys if key.rpartition(".")[0] == section}
    # Within a known section its own keys are meant, and the section's name must not count as likeness.
    near = inside.get(nearest(last, inside)) if inside else nearest(name, keys)
    if near:
        return f"there is no key {name!r}: did you mean {near!r}?"
    return f"there is no key {name!r}; the keys are {', '.join(inside.values() or keys)}."


__all__ = ["RUN_FILE", "RunConfig", "checked_config", "parse_run", "run_parser"]
