"""Code blocks of a Markdown page."""

from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token


def code_blocks(page: Path) -> list[tuple[Token, Token | None]]:
    """Return the code blocks of a page as tokens of markdown-it, each with the token before it."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    return [(token, before) for before, token in zip([None, *tokens], tokens, strict=False) if token.type == "fence"]
