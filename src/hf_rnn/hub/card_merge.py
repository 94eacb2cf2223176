# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Merge a new model card with older ones, and keep what people wrote: the text above the marker, and metadata."""

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard

from ..models.cells import CELLS
from ..utils.errors import HubError, first_line
from ..utils.output import unsaid
from .folder import CARD_FILE

MARKER = "<!-- hf_rnn: a push writes all that stands below anew. -->"
INVITATION = (
    "<!-- Write here what readers should know of this model; a push keeps all that stands above the next line. -->"
)
_CELL_TAGS = {cell.family for cell in CELLS.values()} - {"rnn"}
# Metadata that is not kept from older cards, since an earlier run wrote it. It may quote rows of another data set.
_METADATA_OF_OURS = ("model-index", "widget", "metrics")


def merge(new: str, *older: str | None, title: str = "") -> str:
    """Return a new card with the text above the marker of an older card, and metadata that only older cards have.

    Args:
        new: Card as the template renders it.
        older: Older cards, in order of priority; None for a card that does not exist.
        title: Heading of an older rendered card. A text that consists of this heading and the invitation counts as
            rendered, not as written by people.
    """
    after, kept = ModelCard(new), [_parsed(card) for card in older if card is not None]
    untouched = _above(after)
    by_template = ("", untouched, f"# {title}\n\n{INVITATION}")
    written = next((_above(card) for card in kept if _above(card) not in by_template), untouched)
    ours = after.data.to_dict()
    data: dict[str, Any] = {}
    for theirs in (card.data.to_dict() for card in reversed(kept)):
        data |= {name: value for name, value in theirs.items() if name not in _METADATA_OF_OURS}
        others = [tag for tag in theirs.get("tags") or [] if tag not in _CELL_TAGS]
        ours["tags"] = list(dict.fromkeys([*ours["tags"], *others]))
    header = yaml.safe_dump(data | ours, sort_keys=False, allow_unicode=True, width=1000).strip()
    generated = after.text.partition(MARKER)[2].strip()
    return f"---\n{header}\n---\n\n{written}\n{MARKER}\n\n{generated}\n"


def read_card(file: Path) -> str | None:
    """Read a card from a file; return None if the file does not exist.

    Args:
        file: Path of the card, such as README.md in a model's folder.

    Raises:
        HubError: The file is not UTF-8.
    """
    return decode(file.read_bytes()) if file.exists() else None


def decode(card: bytes) -> str:
    """Decode the text of a card.

    Args:
        card: Bytes of the file.

    Raises:
        HubError: The bytes are not UTF-8.
    """
    try:
        return card.decode()
    except UnicodeDecodeError as error:
        raise HubError(f"the card {CARD_FILE} is not UTF-8 ({error}): save it as UTF-8.") from error


def is_untouched(card: str | None) -> bool:
    """Return True if there is no card, or only the unfilled template of transformers with its placeholders.

    Args:
        card: Text of the card; None if there is no card.
    """
    return card is None or (MARKER not in card and "[More Information Needed]" in card)


def _parsed(card: str) -> ModelCard:
    try:
        # A card without metadata is valid, so the client's warning is suppressed.
        with unsaid("huggingface_hub.repocard", "metadata block was not found"):
            return ModelCard(card, ignore_metadata_errors=True)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        raise HubError(
            f"the metadata of the card {CARD_FILE} cannot be read ({first_line(error)}): correct the YAML between its "
            "two lines of ---."
        ) from error


def check_card(card: str) -> None:
    """Check that the metadata of a card can be read.

    Args:
        card: Text of the card.

    Raises:
        HubError: The metadata cannot be read.
    """
    _parsed(card)


def add_tags(card: str, tags: list[str]) -> str:
    """Return a card with further tags in its metadata.

    Args:
        card: Text of the card.
        tags: Tags to add; tags that the card already has are not repeated.
    """
    if not tags:
        return card
    changed = _parsed(card)
    changed.data["tags"] = list(dict.fromkeys([*(changed.data.get("tags") or []), *tags]))
    return str(changed)


def _above(card: ModelCard) -> str:
    return "" if is_untouched(card.text) else card.text.partition(MARKER)[0].strip()


__all__ = ["add_tags", "check_card", "decode", "is_untouched", "merge", "read_card"]
