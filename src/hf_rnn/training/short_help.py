# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The keys of a run that people use first, as `hf-rnn train --help` shows them; `--help all` shows all keys."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

# Keys of a search, which a training run does not have.
SEARCH = ("minutes", "trials", "megabytes", "metric")
# Keys of students, which the help of `hf-rnn distil` shows.
STUDENT = (
    "teacher.path",
    "teacher.finetune",
    "teacher.label_map",
    "teacher.columns",
    "distil.transfer",
    "distil.size",
    "distil.hard_labels",
    "distil.max_megabytes",
)
FIRST = {
    "Data": ("data.path", "data.text_column", "data.label_column", "data.test_size", "data.max_length"),
    "Run": (
        "config",
        "task",
        "preset",
        "cross_validate",
        "training.output_dir",
        "training.overwrite",
        "training.resume",
    ),
    "Model": (
        "tokenizer.kind",
        "tokenizer.vocab_size",
        "model.hidden_size",
        "model.num_hidden_layers",
        "model.bidirectional",
        "model.pretrained",
        "model.vectors",
    ),
    "Training": (
        "training.num_train_epochs",
        "training.learning_rate",
        "training.per_device_train_batch_size",
        "training.seed",
        "training.push_to_hub",
    ),
}
_USAGE = "usage: {command} [DATA] [--config NAME] [--KEY VALUE ...]"
_END = """
Rules choose the values that are left out, see preset. A key without its section, such as --learning_rate, is
found where one section alone has it. {command} --help all lists all keys.
"""
_INDENT, _WIDTH = 10, 110


def short_help(command: str, actions: Iterable[Any], description: str | None, epilog: str | None) -> str:
    """Return the help of the keys in `SEARCH` and `FIRST` that a command has.

    Args:
        command: Command, such as hf-rnn train.
        actions: Options of the parser.
        description: First line of the help.
        epilog: Examples of the command; None for none.
    """
    by_key = {action.dest: action for action in actions}
    lines = [_USAGE.format(command=command), "", description or ""]
    of_student = {"Teacher": STUDENT} if command.endswith(" distil") else {}
    for heading, keys in {"Search": SEARCH, **of_student, **FIRST}.items():
        of_command = [key for key in keys if key in by_key]
        lines += ["", f"{heading}:"] if of_command else []
        for key in of_command:
            action = by_key[key]
            default = action.default
            plain = default is None or default == "==SUPPRESS==" or not isinstance(default, (str, int, float, bool))
            words = " ".join((action.help or "").split()) + ("" if plain else f" (default: {default})")
            lines.append(f"  --{key}")
            lines += textwrap.wrap(words, _WIDTH, initial_indent=" " * _INDENT, subsequent_indent=" " * _INDENT)
    return "\n".join([*lines, _END.format(command=command), *([epilog, ""] if epilog else [])])


__all__ = ["short_help"]
