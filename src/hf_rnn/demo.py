# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""A page on which a trained classifier answers, shows its reasons, and labels files."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2

from .bulk_prediction import predict_file
from .errors import UserError
from .explanation_views import coloured
from .explanations import METHODS, explain
from .prediction import Predictor
from .reading_curve import ReadingCurve, how_it_read

# The method that a page begins with: docs/benchmarks.md says which are to be trusted, and what they cost.
METHOD = "input_x_gradient"
# Labels whose curves are drawn.
CURVES = 4
COLOURS = ("#1565c0", "#e65100", "#2e7d32", "#6a1b9a")
HEAD = """
# {title}
{kind}. Every answer is computed here: nothing that is written leaves this machine.
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
    low, high = min(0.0, float(scores.min())), max(1.0, float(scores.max()))
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
    """What the page asks of a model."""

    def __init__(self, predictor: Predictor):
        if predictor.task.problem_type == "language_modeling":
            raise UserError("this is a language model, and the page shows the labels of a classifier: name one.")
        self.predictor = predictor

    @property
    def methods(self) -> list[str]:
        """Those that the model has."""
        pooling = self.predictor.model.config.pooling
        return [method for method in METHODS if method != "attention" or pooling == "attention"]

    def answer(self, text: str, method: str, target: str | None = None) -> tuple[dict[str, float] | str, str, str]:
        """The scores of all labels (of a number, that), the coloured text and the curve of how it was read.

        Raises:
            UserError: there is nothing to read.
        """
        predictor = self.predictor
        if not text.strip():
            raise UserError("there is no text yet: write one, and ask again.")
        model, tokenizer, cut = predictor.model, predictor.tokenizer, predictor.task.cut
        (answer,) = predictor([text], top_k=None)
        scores = dict(zip(answer["labels"], answer["scores"], strict=True)) if "labels" in answer else None
        explanation = explain(model, tokenizer, text, target or None, method, cut=cut)
        read = how_it_read(model, tokenizer, text, cut=cut)
        return scores or f"{answer['value']:.4f}", coloured(explanation), curve_svg(read)

    def answer_file(self, path: str, text_column: str | None) -> tuple[str, str]:
        """The answers for all rows of a file, as JSON Lines, and a sentence that says what was done.

        Raises:
            UserError: the file cannot be read, or no column of it is a text.
        """
        data = self.predictor.task.data
        data = data.elsewhere(path)
        given = []
        if text_column:
            data, given = replace(data, text_column=text_column), ["text_column"]
        output = Path(tempfile.mkdtemp(), f"{Path(path).stem}.answers.jsonl")
        rows = predict_file(self.predictor, data, output, given=given, overwrite=True)
        return str(output), f"{rows:,} rows were answered."


def build(predictor: Predictor, title: str = "hf_rnn") -> Any:
    """The page, as `gradio.Blocks`.

    Args:
        predictor: a classifier.
        title: what stands at its top.

    Raises:
        UserError: a language model, or gradio is not installed.
    """
    # Before it is imported: the page asks nothing of a network.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio as gr
    except ImportError:
        raise UserError('the page needs gradio: pip install gradio captum (or "hf-rnn[demo]").') from None
    page = Page(predictor)
    config: Any = predictor.model.config

    def told(function):
        def run(*arguments):
            try:
                return function(*arguments)
            except UserError as error:
                raise gr.Error(str(error), print_exception=False) from error

        return run

    labels = [config.id2label[n] for n in range(config.num_labels)]
    kind = f"A recurrent network of {sum(p.numel() for p in predictor.model.parameters()):,} parameters"
    with gr.Blocks(title=title, analytics_enabled=False) as blocks:
        gr.Markdown(HEAD.format(title=title, kind=kind))
        with gr.Tab("A text"):
            text = gr.Textbox(label="Text", lines=6, max_lines=20, elem_id="text", placeholder="Write or paste a text.")
            with gr.Row():
                method = gr.Dropdown(
                    [(name.replace("_", " "), name) for name in page.methods], value=METHOD, label="Explained by"
                )
                target = gr.Dropdown(
                    [("the likeliest label", ""), *((label, label) for label in labels)],
                    value="",
                    label="Explained label",
                    visible=len(labels) > 1,
                )
            ask = gr.Button("Answer", variant="primary", elem_id="ask")
            with gr.Row():
                with gr.Column(scale=1):
                    bars = gr.Label(label="Answer", elem_id="answer", num_top_classes=min(len(labels), 20))
                with gr.Column(scale=2):
                    gr.Markdown("**Which words speak for it** (blue), **and against it** (orange)")
                    words = gr.HTML(elem_id="words")
            gr.Markdown("**How it read**: the answer after each word")
            curve = gr.HTML(elem_id="curve")
            for event in (ask.click, text.submit):
                event(told(page.answer), [text, method, target], [bars, words, curve], api_name="answer")
        with gr.Tab("A file"):
            file = gr.File(
                label="CSV, TSV, JSON, JSON Lines or Parquet",
                file_types=[".csv", ".tsv", ".json", ".jsonl", ".parquet", ".txt"],
                elem_id="file",
            )
            column = gr.Textbox(label="Column of the text", placeholder="found by itself", elem_id="column")
            ask_file = gr.Button("Answer all rows", variant="primary", elem_id="ask-file")
            said = gr.Markdown(elem_id="said")
            answers = gr.File(label="Answers", elem_id="answers", interactive=False)
            ask_file.click(
                told(lambda path, name: page.answer_file(_chosen(path), name)),
                [file, column],
                [answers, said],
                api_name="answer_file",
            )
    return blocks


def _chosen(path: str | None) -> str:
    if path is None:
        raise UserError("there is no file yet: choose one, and ask again.")
    return path


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
    predictor = Predictor.from_pretrained(model, revision=revision)
    # Once before the first visitor: what a process does first, it does slowly.
    page = Page(predictor)
    page.answer("warm up", METHOD)
    blocks = build(predictor, title=Path(model).name)
    try:
        blocks.launch(server_name=host, server_port=port, share=False, ssr_mode=False, footer_links=[])
    except OSError as error:
        raise UserError(f"the page cannot be served on {host}:{port}: {error} Write another --port.") from error


__all__ = ["build", "demo"]
