# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Comparison of the settings of two runs, for work that continues in the folder of an earlier one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import yaml

from .run_config import RunConfig


def written_settings(run: RunConfig, text: str) -> dict[str, Any]:
    """Return the settings that a user wrote, by key; a preset or a default decides about the others.

    Args:
        run: Run as parsed.
        text: YAML text that reproduces the run.
    """
    sections = yaml.safe_load(text)
    alone = {name: value for name, value in sections.items() if not isinstance(value, dict)}
    settings = {f"{name}.{key}": sections[name][key] for name in sections.keys() - alone for key in sections[name]}
    return {**alone, "preset": run.preset} | {key: settings[key] for key in sorted(run.given) if key in settings}


def difference(before: dict[str, Any], now: dict[str, Any], but: Collection[str] = ()) -> str | None:
    """Return the first difference between the settings of two runs in words, or None.

    Args:
        before: Settings of the earlier run, as [`written_settings`] returns them, and optionally a fingerprint of its
            `rows`.
        now: Settings of the later run.
        but: Keys that may differ.
    """
    for key in sorted({*before, *now} - set(but)):
        if before.get(key) == now.get(key):
            continue
        if key == "rows":
            return "with other rows: restore them"
        if key not in before:
            return f"without {key}, and this has {key}={now[key]!r}: leave it out"
        if key not in now:
            return f"with {key}={before[key]!r}, and this leaves it out: write the same"
        return f"with {key}={before[key]!r}, and this has {now[key]!r}: write the same"
    return None


__all__ = ["difference", "written_settings"]
