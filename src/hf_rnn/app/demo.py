# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""A page on which a trained classifier answers, shows its reasons, and labels files."""

import os
import re
import tempfile
from contextlib import suppress
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import datasets
import jinja2

from ..inference.bulk import predict_file
from ..inference.predictor import Predictor
from ..interpret.attribution import METHODS, explain, explainable
from ..interpret.reading_curve import ReadingCurve, how_it_read
from ..interpret.views import coloured
from ..models.label_checks import labels_of
from ..text.encodings import COMPRESSIONS
from ..text.formats import READERS
from ..text.labels import is_regression
from ..utils.errors import UserError
from ..utils.machine import one_thread

# The method that a page begins with: docs/benchmarks.md says which are to be trusted, and what they cost.
METHOD = "input_x_gradient"
# Labels whose curves are drawn.
CURVES = 4
# Words after which a model that reads from right to left too is asked for its answer.
ASKED = 24
# Seconds after which files that were brought, and their answers, are deleted.
FORGOTTEN = 3600
COLOURS = ("#1565c0", "#e65100", "#2e7d32", "#6a1b9a")
HEAD = """
# {title}
{kind}. What is written is answered by this server, and sent no further.
"""
_CURVE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    """<svg viewBox="0 0 480 {{ 190 + 18 * lines | length }}" role="img" aria-label="answer after each word"
 style="width: 100%; max-width: 680px; font: 13px system-ui, sans-serif" fill="currentColor">
{% for share in (0, 0.5, 1) %}
<line x1="40" x2="470" y1="{{ 150 - 130 * share }}" y2="{{ 150 - 130 * share }}" stroke="currentColor" opacity=".25"/>
<text x="34" y="{{ 154 - 130 * share }}" text-anchor="end">{{ "%.3g" | format(low + (high - low) * share) }}</text>
{% endfor %}
{% for line in lines %}
<polyline fill="none" stroke="{{ line.colour }}" stroke-width="2" points="{{ line.points }}"/>
<rect x="40" y="{{ 182 + 18 * loop.index0 }}" width="12" height="12" fill="{{ line.colour }}"/>
<text x="58" y="{{ 193 + 18 * loop.index0 }}">{{ line.label }}</text>
{% endfor %}
{% for word in words %}
<circle cx="{{ word.x }}" cy="{{ word.y }}" r="6" opacity="0"><title>{{ word.title }}</title></circle>
{% endfor %}
<text x="40" y="168">{{ words[0].word }}</text><text x="470" y="168" text-anchor="end">{{ words[-1].word }}</text>
</svg>"""
)


def curve_svg(curve: ReadingCurve) -> str:
    """The curve as a drawing in HTML, which takes the colours of the page around it."""
    scores = curve.scores
    low, high = min(0.0, float(scores.min())), float(scores.max())
    # Of very many labels, none may come near to certainty.
    high = max(1.0, high) if high > 0.5 or curve.kind == "value" else 1.2 * high
    count = len(curve.words)

    def place(n: int, score: float) -> tuple[float, float]:
        x = 40 + 430 * (n / (count - 1) if count > 1 else 0.5)
        return round(x, 1), round(150 - 130 * (score - low) / (high - low), 1)

    shown = (-scores[-1]).argsort()[:CURVES].tolist()
    lines = []
    for colour, label in zip(COLOURS, shown, strict=False):
        points = [place(n, float(score)) for n, score in enumerate(scores[:, label])]
        points += [(points[0][0] + 1, points[0][1])] if count == 1 else []
        drawn = " ".join(f"{x},{y}" for x, y in points)
        lines.append({"colour": colour, "label": curve.labels[label], "points": drawn})
    words = []
    for n, word in enumerate(curve.words):
        x, y = place(n, float(scores[n, shown[0]]))
        words.append({"x": x, "y": y, "word": word[:24], "title": f"{word} {scores[n, shown[0]]:.3f}"})
    return _CURVE.render(lines=lines, words=words, low=low, high=high)


class Page:
    """What the page asks of a model.

    Raises:
        UserError: a language model, or one of pairs of texts.
    """

    def __init__(self, predictor: Predictor):
        self.predictor = predictor
        self.model, self.tokenizer, self.cut = explainable(predictor)

    @property
    def methods(self) -> list[str]:
        """Those that the model has."""
        return [method for method in METHODS if method != "attention" or self.model.config.pooling == "attention"]

    def answer(self, text: str, method: str, target: str | None = None) -> tuple[dict[str, float] | str, str, str]:
        """The scores of all labels (of a number, that), the coloured text and the curve of how it was read.

        Raises:
            UserError: there is nothing to read.
        """
        if not text.strip():
            raise UserError("there is no text yet: write one, and ask again.")
        with one_thread():
            explanation = explain(self.model, self.tokenizer, text, target or None, method, cut=self.cut)
            places = ASKED if self.model.config.bidirectional else None
            read = how_it_read(self.model, self.tokenizer, text, places, cut=self.cut)
        scores = f"{explanation.score:.4f}" if is_regression(self.model.config) else explanation.scores
        return scores, coloured(explanation), curve_svg(read)

    def answer_file(self, path: str | None, text_column: str | None) -> tuple[str, str]:
        """The answers for all rows of a file, as JSON Lines beside it, and a sentence that says what was done.

        Raises:
            UserError: the file cannot be read, or no column of it is a text.
        """
        if path is None:
            raise UserError("there is no file yet: choose one, and ask again.")
        data, given = self.predictor.task.data.elsewhere(path), []
        if text_column:
            data, given = replace(data, text_column=text_column), ["text_column"]
        # The page forgets what stands beside what it was given.
        output = Path(path).with_name(f"{Path(path).stem}.answers.jsonl")
        try:
            rows = predict_file(self.predictor, data, output, given=given, overwrite=True)
        except UserError as error:
            # Here the file has a name, and the column a field.
            told = str(error).replace(path, Path(path).name)
            raise UserError(re.sub(r"--(data\.)?text_column \S+", "its name above", told)) from error
        return str(output), f"{rows:,} rows were answered."


def build(predictor: Predictor, title: str = "hf_rnn") -> Any:
    """The page, as `gradio.Blocks`.

    Args:
        predictor: a classifier.
        title: what stands at its top.

    Raises:
        UserError: a language model, one of pairs of texts, or gradio is not installed.
    """
    # Before it is imported: the page asks nothing of a network.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio as gr
    except ImportError:
        raise UserError('the page needs gradio: pip install gradio captum (or "hf-rnn[demo]").') from None
    page = Page(predictor)
    # Before the first visitor: what a process does first, it does slowly.
    with suppress(UserError):
        page.answer("warm up", METHOD)
    kind = f"A recurrent network of {sum(p.numel() for p in predictor.model.parameters()):,} parameters"
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(FORGOTTEN, FORGOTTEN)) as blocks:
        gr.Markdown(HEAD.format(title=title, kind=kind))
        with gr.Tab("A text"):
            _text_tab(gr, page)
        with gr.Tab("A file"):
            _file_tab(gr, page)
    return blocks


def _text_tab(gr: Any, page: Page) -> None:
    labels = labels_of(page.model.config)
    text = gr.Textbox(label="Text", lines=6, max_lines=20, elem_id="text", placeholder="Write or paste a text.")
    with gr.Row():
        methods = [(name.replace("_", " "), name) for name in page.methods]
        method = gr.Dropdown(methods, value=METHOD, label="Explained by")
        targets = [("the likeliest label", ""), *((label, label) for label in labels)]
        target = gr.Dropdown(targets, value="", label="Explained label", visible=len(labels) > 1)
    ask = gr.Button("Answer", variant="primary", elem_id="ask")
    with gr.Row():
        with gr.Column(scale=1):
            bars = gr.Label(label="Answer", elem_id="answer", num_top_classes=min(len(labels), 20))
        with gr.Column(scale=2):
            gr.Markdown("**Which words speak for it** (blue), **and against it** (orange)")
            words = gr.HTML(elem_id="words")
    gr.Markdown("**How it read**: the answer after each word")
    curve = gr.HTML(elem_id="curve")

    def answer(*arguments):
        try:
            return page.answer(*arguments)
        except UserError as error:
            return None, f'<p role="alert">{escape(str(error))}</p>', ""

    # A queue and a spinner would take as long as the answer.
    at_once = {"queue": False, "show_progress": "hidden", "trigger_mode": "always_last", "api_name": "answer"}
    gr.on([ask.click, text.submit], answer, [text, method, target], [bars, words, curve], **at_once)


def _file_tab(gr: Any, page: Page) -> None:
    kinds = [*READERS, *COMPRESSIONS]
    file = gr.File(label="CSV, TSV, JSON, JSON Lines, Parquet, Excel or text", file_types=kinds, elem_id="file")
    column = gr.Textbox(label="Column of the text", placeholder="found by itself", elem_id="column")
    ask = gr.Button("Answer all rows", variant="primary", elem_id="ask-file")
    said = gr.Markdown(elem_id="said")
    answers = gr.File(label="Answers", elem_id="answers", interactive=False)

    def answer_file(*arguments):
        try:
            return page.answer_file(*arguments)
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from error

    ask.click(answer_file, [file, column], [answers, said], api_name="answer_file")


def demo(model: str, host: str = "127.0.0.1", port: int | None = None, revision: str | None = None) -> None:
    """Serves the page until it is interrupted.

    Args:
        model: folder or Hub id of a classifier.
        host: 127.0.0.1 for this machine alone, 0.0.0.0 for all.
        port: a free one from 7860 on if None.
        revision: branch, tag or commit of a model on the Hub.

    Raises:
        UserError: no such model, a language model, a port that is taken, or no gradio.
    """
    blocks = build(Predictor.from_pretrained(model, revision=revision), title=Path(model).resolve().name)
    with tempfile.TemporaryDirectory() as cache:
        # What visitors bring is read through a cache, and goes with the page.
        datasets.config.HF_DATASETS_CACHE = Path(cache)
        try:
            blocks.launch(server_name=host, server_port=port, share=False, ssr_mode=False, footer_links=[])
        except OSError as error:
            raise UserError(f"the page cannot be served on {host}:{port}: {error} Write another --port.") from error


__all__ = ["build", "demo"]
