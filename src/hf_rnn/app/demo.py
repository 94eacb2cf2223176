# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Demo page of a text classifier: predictions, attributions and reading curves of texts, and predictions for files."""

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
from ..models.decisions import labels_of
from ..text.encodings import COMPRESSIONS
from ..text.formats import READERS
from ..text.labels import is_regression
from ..utils.errors import HfRnnError
from ..utils.machine import one_thread

# The attribution method that is selected first. docs/benchmarks.md compares the methods' faithfulness and cost.
METHOD = "input_x_gradient"
# The maximum number of labels in a reading curve.
CURVES = 4
# The maximum number of words after which a bidirectional model is evaluated, each in a forward pass of its own.
ASKED = 24
# Seconds after which uploaded files and their answers are deleted.
FORGOTTEN = 3600
COLOURS = ("#1565c0", "#e65100", "#2e7d32", "#6a1b9a")
# The argument in messages that the field of the page for the column sets.
_TEXT_COLUMN = re.compile(r"""data\.text_column=('[^']*'|"[^"]*"|\w+)""")
HEAD = """
# {title}
{kind}. This server answers your texts and sends them nowhere else.
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
    """Return a reading curve as SVG for an HTML page. Text and axes take the text colour of the page.

    Args:
        curve: Reading curve to draw.
    """
    scores = curve.scores
    low, high = min(0.0, float(scores.min())), float(scores.max())
    # With very many labels, all probabilities may be small.
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
    """Functions that the demo page calls.

    Args:
        predictor: Predictor with a text classifier.

    Raises:
        HfRnnError: The model is not a text classifier, or it reads pairs of texts.
    """

    def __init__(self, predictor: Predictor):
        self.predictor = predictor
        self.model, self.tokenizer, self.cut = explainable(predictor)

    @property
    def methods(self) -> list[str]:
        """The attribution methods that the model supports."""
        return [method for method in METHODS if method != "attention" or self.model.config.pooling == "attention"]

    def answer(self, text: str, method: str, target: str | None = None) -> tuple[dict[str, float] | str, str, str]:
        """Classify a text, explain the prediction and compute the reading curve.

        Args:
            text: Text to classify.
            method: Attribution method.
            target: Label to explain; None or an empty string for the one that the model chooses.

        Returns:
            Probabilities of all labels (in regression, the value as a string), the coloured text as HTML, and the
            reading curve as SVG.

        Raises:
            HfRnnError: The text is empty or has no tokens.
        """
        if not text.strip():
            raise HfRnnError("there is no text yet: write one, and ask again.")
        with one_thread():
            explanation = explain(self.model, self.tokenizer, text, target or None, method, cut=self.cut)
            places = ASKED if self.model.config.bidirectional else None
            read = how_it_read(self.model, self.tokenizer, text, places, cut=self.cut)
        scores = f"{explanation.score:.4f}" if is_regression(self.model.config) else explanation.scores
        return scores, self._decision(read) + coloured(explanation), curve_svg(read)

    def _decision(self, read: ReadingCurve) -> str:
        """Return the labels that thresholds choose, as HTML; the bars above it show the most probable label first."""
        thresholds = self.model.config.thresholds
        if not thresholds:
            return ""
        chosen = ", ".join(read.labels[n] for n in read.chosen[-1]) or "no label"
        shown = ", ".join(f"{name} {value:.3g}" for name, value in list(thresholds.items())[:CURVES])
        return f"<p>Answer with the thresholds of the model ({escape(shown)}): <b>{escape(chosen)}</b></p>"

    def answer_file(self, path: str | None, text_column: str | None) -> tuple[str, str]:
        """Compute the answers for all rows of a file, and write them as JSON Lines into the same folder.

        Args:
            path: Path of the uploaded file; None if there is none.
            text_column: Column of the text; found by itself if None or empty.

        Returns:
            Path of the file with the answers, and a message for the page.

        Raises:
            HfRnnError: There is no file, it cannot be read, or its text column is not clear.
        """
        if path is None:
            raise HfRnnError("there is no file yet: choose one, and ask again.")
        data, given = self.predictor.task.data.elsewhere(path), []
        if text_column:
            data, given = replace(data, text_column=text_column), ["text_column"]
        # gradio deletes old files in the folder of an upload, so the answers go there.
        output = Path(path).with_name(f"{Path(path).stem}.answers.jsonl")
        try:
            rows = predict_file(self.predictor, data, output, given=given, overwrite=True)
        except HfRnnError as error:
            # Visitors know the file by its name and set the column in a field, not with an argument.
            told = str(error).replace(path, Path(path).name)
            raise HfRnnError(_TEXT_COLUMN.sub("its name above", told)) from error
        return str(output), f"{rows:,} rows were answered."


def build(predictor: Predictor, title: str = "hf_rnn") -> Any:
    """Build the demo page as `gradio.Blocks`.

    Args:
        predictor: Predictor with a text classifier.
        title: Title of the page.

    Raises:
        HfRnnError: The model is not a text classifier, it reads pairs of texts, or gradio is not installed.
    """
    # Set before gradio is imported, so that it sends no analytics.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio as gr
    except ImportError:
        raise HfRnnError('the page needs gradio: pip install gradio captum (or "hf-rnn[demo]").') from None
    page = Page(predictor)
    # The first prediction of a process is slow, so one runs before the first visitor comes.
    with suppress(HfRnnError):
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
        targets = [("the label of the answer", ""), *((label, label) for label in labels)]
        target = gr.Dropdown(targets, value="", label="Explained label", visible=len(labels) > 1)
    ask = gr.Button("Answer", variant="primary", elem_id="ask")
    with gr.Row():
        with gr.Column(scale=1):
            bars = gr.Label(label="Answer", elem_id="answer", num_top_classes=min(len(labels), 20))
        with gr.Column(scale=2):
            gr.Markdown("**Words for the label** (blue) **and against it** (orange)")
            words = gr.HTML(elem_id="words")
    gr.Markdown("**Reading curve**: the answer after each word")
    curve = gr.HTML(elem_id="curve")

    def answer(*arguments):
        try:
            return page.answer(*arguments)
        except HfRnnError as error:
            return None, f'<p role="alert">{escape(str(error))}</p>', ""

    # A queue and a spinner would take as long as the prediction.
    at_once = {"queue": False, "show_progress": "hidden", "trigger_mode": "always_last", "api_name": "answer"}
    gr.on([ask.click, text.submit], answer, [text, method, target], [bars, words, curve], **at_once)


def _file_tab(gr: Any, page: Page) -> None:
    kinds = [*READERS, *COMPRESSIONS]
    file = gr.File(label="CSV, TSV, JSON, JSON Lines, Parquet, Excel or text", file_types=kinds, elem_id="file")
    column = gr.Textbox(label="Column of the text", placeholder="detected if empty", elem_id="column")
    ask = gr.Button("Answer all rows", variant="primary", elem_id="ask-file")
    said = gr.Markdown(elem_id="said")
    answers = gr.File(label="Answers", elem_id="answers", interactive=False)

    def answer_file(*arguments):
        try:
            return page.answer_file(*arguments)
        except HfRnnError as error:
            raise gr.Error(str(error), print_exception=False) from error

    ask.click(answer_file, [file, column], [answers, said], api_name="answer_file")


def demo(model: str, host: str = "127.0.0.1", port: int | None = None, revision: str | None = None) -> None:
    """Serve the demo page until the process is interrupted.

    Args:
        model: Folder or Hub id of a text classifier.
        host: Address to listen on: 127.0.0.1 for this machine only, 0.0.0.0 for all machines.
        port: Port to listen on; None for the first free one from 7860 on.
        revision: Branch, tag or commit of a model on the Hub; main if None.

    Raises:
        HfRnnError: The model does not exist or is not a text classifier, the port is taken, or gradio is not installed.
    """
    blocks = build(Predictor.from_pretrained(model, revision=revision), title=Path(model).resolve().name)
    with tempfile.TemporaryDirectory() as cache:
        # `datasets` caches uploaded files. A temporary cache is deleted when the page stops.
        datasets.config.HF_DATASETS_CACHE = Path(cache)
        try:
            blocks.launch(server_name=host, server_port=port, share=False, ssr_mode=False, footer_links=[])
        except OSError as error:
            raise HfRnnError(
                f"the page cannot be served on {host}:{port}: {error} Write another port, port=NUMBER."
            ) from error


__all__ = ["build", "demo"]
