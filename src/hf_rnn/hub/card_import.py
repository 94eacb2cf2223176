# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Section of a model card about a model that was imported from another program."""

from .card_words import escape


def import_section(record: dict) -> dict | None:
    """Return the source of an imported model and the decisions about it; None for other models.

    Args:
        record: Contents of import.json; {} if there is none.
    """
    if not record:
        return None
    return {
        "source": escape(record.get("source", "")),
        "origin": escape(record.get("origin", "a model of another program")),
        "rows": [(escape(topic), escape(told)) for topic, told in record.get("decisions", [])],
    }


__all__ = ["import_section"]
