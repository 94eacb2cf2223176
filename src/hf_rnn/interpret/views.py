# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Explanation of a label by words, with views for a terminal, as an HTML page and as a picture."""

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from ..utils.errors import HfRnnError
from ..utils.figures import boxes_for_missing_glyphs, font_families, new_figure
from .segmentation import Span

# Colours of words for and against the label. Blue and orange are distinct for people with red-green blindness.
FOR, AGAINST = (21, 101, 192), (230, 81, 0)
# The maximum number of words in each list of the strongest words.
NAMED = 5
# The file name extensions that [`save`] can write.
FORMS = (".html", ".png", ".json")


@dataclass
class Explanation:
    """Attribution scores of the words of a text for a label, from [`~hf_rnn.interpret.attribution.explain`].

    Args:
        text: Text that was explained.
        label: Label that was explained.
        score: Probability of the label; in regression, the predicted value.
        method: Name of the attribution method.
        words: Words with their scores, in the order of the text, without words that the model did not read. The
            method `sentence_occlusion` gives sentences instead.
        ids: Token ids that the model read.
        scores: Probability of each label, by its name; in regression, the predicted value.
        completeness_gap: Relative error of integrated gradients: the scores should add up to the difference from the
            baseline, and this is the share by which they miss it. None for other methods.
    """

    text: str
    label: str
    score: float
    method: str
    words: list[Span]
    ids: list[int] = field(repr=False)
    scores: dict[str, float] = field(repr=False)
    completeness_gap: float | None = None

    def as_dict(self) -> dict:
        """Return the explanation as a dict for JSON, without token ids and token indices."""
        told = asdict(self)
        told.pop("ids")
        for word in told["words"]:
            word.pop("tokens")
        return told

    def to_ansi(self) -> str:
        """Return the text with ANSI escape codes that colour each word by its score."""
        parts = []
        for text, score, share in pieces(self):
            # A text may contain control sequences, which must not reach the terminal.
            text = "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
            if score is None or abs(share) < 0.05:
                parts.append(text)
                continue
            r, g, b = (round(255 + (end - 255) * abs(share)) for end in (FOR if share > 0 else AGAINST))
            ink = "97" if abs(share) > 0.5 else "30"
            parts.append(f"\x1b[48;2;{r};{g};{b};{ink}m{text}\x1b[0m")
        return "".join(parts)

    def to_html(self) -> str:
        """Return a complete HTML page, which loads nothing from a network."""
        from markupsafe import Markup

        text = Markup(coloured(self))
        return _PAGE.render(explanation=self, title=title(self), text=text, **_COLOURS)

    def to_png(self, path: Any) -> None:
        """Write the coloured text as a PNG picture.

        Args:
            path: Path of the PNG file, or a binary file object.

        Raises:
            HfRnnError: The text has letters of a right-to-left script, which matplotlib cannot draw.
        """
        if any(unicodedata.bidirectional(character) in ("R", "AL") for character in self.text):
            raise HfRnnError("a PNG picture cannot show right-to-left text: write an HTML page, it.html.")
        size, leading, width, margin = 12, 0.27, 9.0, 0.2
        figure = new_figure(width, 3)
        figure.set_layout_engine("none")
        renderer = figure.canvas.get_renderer()
        families = font_families()
        # Line breaks depend on the drawn width of each word, which only the renderer knows.
        x, line, placed = margin, 0, []
        with boxes_for_missing_glyphs():
            for text, _, share in pieces(self):
                for part in _wrapped(text):
                    if part == "\n":
                        x, line = margin, line + 1
                        continue
                    drawn = figure.text(0, 0, part, fontsize=size, family=families, parse_math=False)
                    broad = drawn.get_window_extent(renderer).width / figure.dpi if part.strip() else size / 72 * 0.3
                    if x + broad > width - margin and x > margin:
                        x, line = margin, line + 1
                    if x == margin and not part.strip():
                        continue
                    placed.append((drawn, x, line, share))
                    x += broad + (size / 72 * 0.02)
            height = (line + 1) * leading + 0.75
            figure.set_size_inches(width, height)
            heading = {"fontsize": size, "weight": "bold", "va": "center", "family": families, "parse_math": False}
            legend = f"{title(self)} (blue: for, orange: against)"
            figure.text(margin / width, 1 - 0.25 / height, legend, **heading)
            for drawn, x, line, share in placed:
                drawn.set(x=x / width, y=1 - (0.65 + line * leading) / height, va="baseline")
                if abs(share) >= 0.05:
                    r, g, b = (part / 255 for part in (FOR if share > 0 else AGAINST))
                    drawn.set_bbox({"facecolor": (r, g, b, 0.75 * abs(share)), "edgecolor": "none", "pad": 1.0})
            figure.savefig(path, dpi=120, format="png")


def pieces(explanation: Explanation) -> Iterator[tuple[str, float | None, float]]:
    """Yield the text in pieces: each word, and the text between words.

    Args:
        explanation: Explanation of the text.

    Yields:
        Tuples of the piece, its score (None between words), and its score divided by the largest absolute score.
    """
    largest = max((abs(word.score) for word in explanation.words), default=0.0) or 1.0
    at = 0
    for word in explanation.words:
        if word.start > at:
            yield explanation.text[at : word.start], None, 0.0
        yield word.word, word.score, word.score / largest
        at = word.end
    if at < len(explanation.text):
        yield explanation.text[at:], None, 0.0


def strongest(explanation: Explanation) -> list[str]:
    """Return a line with the words of the highest scores for the label, and a line with those against it.

    Args:
        explanation: Explanation of a text.
    """
    lines = []
    for name, sign in (("for", 1), ("against", -1)):
        words = sorted(
            (word for word in explanation.words if sign * word.score > 0), key=lambda word: -sign * word.score
        )
        if words:
            shown = (f"{_short(word.word)} {word.score:+.3f}" for word in words[:NAMED])
            lines.append(f"{name} {explanation.label}: {', '.join(shown)}")
    return lines


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:39] + "…"


def check_ending(path: Path, pages: bool = True) -> None:
    """Check that [`save`] can write a file with this name.

    Args:
        path: Path of the file.
        pages: True if an HTML page can be written; False for PNG and JSON only.

    Raises:
        HfRnnError: The extension is not one of `FORMS`, or is `.html` without `pages`.
    """
    forms = FORMS if pages else FORMS[1:]
    if path.suffix.lower() not in forms:
        raise HfRnnError(f"{path.name!r} ends in {path.suffix!r}, but must end in one of {', '.join(forms)}.")


def save(told: Any, path: Path) -> None:
    """Write an explanation, a reading curve or an alignment, in the format that the file name extension says.

    Args:
        told: Explanation, reading curve or alignment to write.
        path: Path of the file, with an extension of `FORMS`. Only explanations can be written as `.html`.
    """
    form = path.suffix.lower()
    if form == ".png":
        told.to_png(path)
    else:
        text = told.to_html() if form == ".html" else json.dumps(told.as_dict(), indent=1, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8")


def title(explanation: Explanation) -> str:
    """Return a title with the label, its score and the attribution method.

    Args:
        explanation: Explanation of a text.
    """
    return f"{explanation.label} {explanation.score:.4f} · {explanation.method.replace('_', ' ')}"


_PAGE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
  :root { color-scheme: light dark; --for: {{ for_ }}; --against: {{ against }}; }
  body { font: 17px/1.9 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
  .legend { font-size: 14px; opacity: .8; }
</style>
<h1>{{ explanation.label }} <small>{{ "%.4f" | format(explanation.score) }}</small></h1>
{{ text }}
<p class="legend"><span style="background: rgb(var(--for) / .6)">&nbsp;speaks for {{ explanation.label }}&nbsp;</span>
<span style="background: rgb(var(--against) / .6)">&nbsp;against&nbsp;</span>
{{ explanation.method | replace("_", " ") }}
{%- if explanation.completeness_gap is not none %}, completeness gap
{{ "%.2f" | format(100 * explanation.completeness_gap) }} %
{%- endif %}. Point at a word to see its score.</p>
</html>
"""
)
_TEXT = jinja2.Environment(autoescape=True).from_string(
    '<p class="text" style="white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.9">'
    "{% for text, score, share in pieces %}{% if score is none %}{{ text }}{% else %}"
    '<span title="{{ "%+.4f" | format(score) }}" style="border-radius: 3px; background: '
    'rgb({{ for_ if share > 0 else against }} / {{ "%.2f" | format(0.75 * share | abs) }})">{{ text }}</span>'
    "{% endif %}{% endfor %}</p>"
)
_COLOURS = {"for_": " ".join(map(str, FOR)), "against": " ".join(map(str, AGAINST))}


def coloured(explanation: Explanation) -> str:
    """Return the coloured text as an HTML paragraph, which is readable on light and on dark pages.

    Args:
        explanation: Explanation of the text.
    """
    return _TEXT.render(pieces=list(pieces(explanation)), **_COLOURS)


def _wrapped(text: str) -> Iterator[str]:
    """Yield the parts between which a line may break: words with a following space, and line breaks.

    White space at the ends of a line is reduced to one space, and words are cut into parts of 80 characters.
    """
    for number, line in enumerate(text.split("\n")):
        if number:
            yield "\n"
        if line.strip() != line or not line:
            line = (" " if line[:1].isspace() else "") + line.strip() + (" " if line[-1:].isspace() else "")
        for word in line.replace(" ", " \0").split("\0"):
            yield from (word[at : at + 80] for at in range(0, len(word), 80))


__all__ = ["FORMS", "Explanation", "check_ending", "coloured", "pieces", "save", "strongest", "title"]
