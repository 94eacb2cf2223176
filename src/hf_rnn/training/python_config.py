# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Parse a run that is configured in Python."""

import os
from pathlib import Path
from typing import Any

from ..text.arguments import IN_MEMORY
from ..utils.errors import ConfigError, HfRnnError
from .run_config import RunConfig, parse_run


def read_config(config: Any, data: Any) -> tuple[RunConfig, str, Any]:
    """Parse a run that is configured in Python.

    Args:
        config: Configuration as [`train`] reads it.
        data: Rows in memory that replace `data.path`; None for none.

    Returns:
        The run, the YAML text that reproduces it, and the rows in memory or None.

    Raises:
        HfRnnError: The configuration is invalid, or there are rows in two places.
    """
    config = {} if config is None else config
    if isinstance(config, dict) and isinstance(config.get("data"), (str, os.PathLike)):
        config = {**config, "data": {"path": config["data"]}}
    if isinstance(config, (str, os.PathLike)) and Path(config).suffix not in (".yaml", ".yml"):
        name = os.fspath(config)
        raise ConfigError(
            f"config={name!r} is not the YAML file of a run: write train({{'data': {name!r}}}) to train on this data."
        )
    if isinstance(config, dict) and isinstance(section := config.get("data"), dict):
        path = section.get("path")
        if path is not None and not isinstance(path, (str, os.PathLike)):
            if data is not None:
                raise HfRnnError("there are rows both in data= and in data.path: leave one of them out.")
            config, data = {**config, "data": {k: v for k, v in section.items() if k != "path"}}, path
    if data is not None:
        if not isinstance(config, dict):
            raise HfRnnError(
                f"data= needs config as a dict of sections, and config is {config!r}: write train({{…}}, data=…)."
            )
        config = {**config, "data": {**(config.get("data") or {}), "path": IN_MEMORY}}
    return *parse_run(config), data


__all__ = ["read_config"]
