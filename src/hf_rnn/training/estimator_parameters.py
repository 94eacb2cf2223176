# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Keys of the estimators for scikit-learn: which sections and keys of a run they have, and the run that they start."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..utils.errors import ConfigError
from ..utils.unknown_keys import name_unknown_key
from .estimator_rows import LABEL, TEXTS, Targets
from .run_config import SECTIONS as ALL_SECTIONS

# Sections of a run that are parameters of an estimator.
SECTIONS = ("data", "tokenizer", "model", "training")
# Keys of the data section that do not follow from X and y.
_DATA_KEYS = ("max_length", "normalize_digits", "seed", "truncation", "validation_from", "validation_size")
# Settings of a run that the estimator chooses, or that concern the folder of one run.
_OF_ONE_RUN = ("output_dir", "overwrite", "resume", "disable_tqdm")


def check_known(names: Iterable[str], parameters: Sequence[str] = ()) -> None:
    """Raise [`ConfigError`] for a name that is neither a parameter nor a key such as `training__learning_rate`.

    Args:
        names: Names to check.
        parameters: Parameters of the constructor; none to allow keys only.
    """
    known = [*parameters, *(f"{section}.{key}" for section in SECTIONS for key in _keys(section))]
    for name in names:
        if (dotted := name.replace("__", ".", 1)) not in known:
            message = name_unknown_key(f"option '{dotted}' is not accepted", known).replace(repr(dotted), repr(name))
            raise ConfigError(re.sub(rf"\b({'|'.join(SECTIONS)})\.(?=\w)", r"\1__", message))


def section_of(name: str, value: Any) -> dict[str, Any]:
    """Return a copy of a section, an empty one for None.

    Args:
        name: Name of the section.
        value: Value of the parameter.

    Raises:
        ConfigError: The value is neither a dict nor None.
    """
    if value is not None and not isinstance(value, Mapping):
        raise ConfigError(f"{name}={value!r} must be a dict of settings, such as {name}={{…}}, or None.")
    return dict(value or {})


def run_of(parameters: Mapping[str, Any], targets: Targets, pairs: bool, folder: str) -> dict[str, Any]:
    """Return the sections of the run that an estimator starts.

    Args:
        parameters: Parameters of the estimator.
        targets: Targets of the rows.
        pairs: True for pairs of texts.
        folder: Folder of the run if the parameters do not name one.

    Raises:
        ConfigError: A section is not a dict, a key is unknown, or two parameters set the same seed.
    """
    sections = {name: section_of(name, parameters[name]) for name in SECTIONS}
    check_known(f"{name}__{key}" for name, section in sections.items() for key in section)
    data, training = sections["data"], sections["training"]
    seed = parameters["random_state"]
    if seed is not None:
        if "seed" in training or "seed" in data:
            raise ConfigError(
                f"random_state={seed!r} sets the seeds, and so does training['seed'] or data['seed']: leave one of "
                "them out."
            )
        is_number = isinstance(seed, (int, np.integer))
        data["seed"] = int(seed if is_number else check_random_state(seed).randint(np.iinfo(np.int32).max))
        training["seed"] = data["seed"]
    data |= {"text_column": TEXTS[0], "label_column": LABEL, "problem_type": targets.problem_type}
    data |= {"text_pair_column": TEXTS[1]} if pairs else {}
    data |= {"label_names": targets.label_names} if targets.label_names else {}
    if sections["model"].get("pretrained") is not None:
        # A kept head has the labels of the pretrained classifier too, in its own order; the classes are those of y.
        sections["model"].setdefault("keep_head", False)
    own = {"output_dir": folder} | ({} if parameters["verbose"] else {"disable_tqdm": True})
    # The TF-IDF baseline of the report would take longer than a small model, in each fit of a search.
    report = {"baseline": False}
    return {"preset": parameters["preset"], **sections, "training": own | training, "report": report}


def parameters_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an estimator that starts a saved run again; defaults are left out.

    Args:
        run: Sections of the run.yaml of a model.
    """
    found: dict[str, Any] = {"preset": "none"}
    for name in SECTIONS:
        defaults, values = _keys(name), run.get(name) or {}
        changed = {key: values[key] for key in values if key in defaults and values[key] != defaults[key]}
        found[name] = {key: value for key, value in changed.items() if key not in _OF_ONE_RUN}
    data, training = found["data"], found["training"]
    if "seed" in data and data["seed"] == training.get("seed"):
        found["random_state"] = data.pop("seed")
        del training["seed"]
    return {name: None if value == {} else value for name, value in found.items()}


def _keys(section: str) -> dict[str, Any]:
    """Return the keys of a section that an estimator has, with their defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(ALL_SECTIONS[section])}
    return {key: defaults[key] for key in (_DATA_KEYS if section == "data" else defaults)}


__all__ = ["SECTIONS", "check_known", "parameters_of", "run_of", "section_of"]
