# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Figures in a model's folder: training curves, the confusion matrix and the calibration of the scores."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

# Classes in a confusion matrix: the names of more would overlap.
MOST_CLASSES = 30


def new_figure(width: float, height: float):
    """Return an empty figure.

    Args:
        width: Width in inches.
        height: Height in inches.
    """
    # The object interface needs no display, and does not change the global state of pyplot in a notebook.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@cache
def font_families() -> list[str]:
    """Return the installed font families that cover texts of many scripts, for fallback in this order."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    if not any("CJK" in font.name for font in manager.ttflist):
        # matplotlib's font cache may be older than the installed fonts.
        for file in font_manager.findSystemFonts():
            if "CJK" in file:
                manager.addfont(file)
    installed = {font.name for font in manager.ttflist}
    wanted = ("Noto Sans CJK SC", "Noto Sans CJK JP", "PingFang SC", "Microsoft YaHei", "Arial Unicode MS")
    return ["DejaVu Sans", *(name for name in wanted if name in installed)]


@contextmanager
def boxes_for_missing_glyphs() -> Iterator[None]:
    """Hide the warnings for missing glyphs inside the block.

    matplotlib draws characters that no installed font has as boxes.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def draw_curves(log_history: list[dict], metric: str, path: Path) -> None:
    """Draw the training and validation loss, and the validation metric, over the epochs.

    Args:
        log_history: `log_history` of the Trainer's state.
        metric: Metric that selects the best checkpoint, such as `accuracy`, with or without the prefix `eval_`.
        path: Path of the PNG file to write.
    """
    metric = metric.removeprefix("eval_")
    figure = new_figure(9, 3.5)
    left, right = figure.subplots(1, 2)
    panels = ((left, "loss", "training"), (left, "eval_loss", "validation"), (right, f"eval_{metric}", "validation"))
    for axes, key, label in panels:
        points = [(row["epoch"], row[key]) for row in log_history if key in row]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
    for axes, title in ((left, "loss"), (right, metric)):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_title(title)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    figure.savefig(path, dpi=120)


def draw_confusion(predicted: np.ndarray, labels: np.ndarray, names: list[str], split: str, path: Path) -> None:
    """Draw the confusion matrix: rows are true classes, columns are predicted classes.

    Colors show the share of each row. Counts are written into the cells for up to 15 classes. If there are
    more than `MOST_CLASSES` classes, those with the most errors are drawn.

    Args:
        predicted: Predicted class indices, `[N]`.
        labels: True class indices, `[N]`.
        names: Names of the classes.
        split: Name of the split, for the title.
        path: Path of the PNG file to write.
    """
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, predicted, labels=range(len(names)))
    shares = counts / counts.sum(1, keepdims=True).clip(min=1)
    # The font may lack other scripts, so names beyond ASCII become numbers. An unescaped dollar would start a formula.
    shown = [
        name.replace("$", r"\$") if name.isascii() and len(name) <= 24 else f"#{i}" for i, name in enumerate(names)
    ]
    title = f"confusion matrix, {split}"
    if len(names) > MOST_CLASSES:
        errors = counts - np.diag(np.diag(counts))
        kept = np.sort(np.argsort(-(errors.sum(0) + errors.sum(1)), kind="stable")[:MOST_CLASSES])
        counts, shares, shown = counts[np.ix_(kept, kept)], shares[np.ix_(kept, kept)], [shown[place] for place in kept]
        title += f":\nthe {MOST_CLASSES} of {len(names)} classes with the most errors"
    side = min(max(3.6, 0.55 * len(shown) + 2), 16)
    figure = new_figure(side + 0.8, side)
    axes = figure.subplots()
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    figure.colorbar(image, ax=axes, label="share of the true class")
    axes.set(xlabel="predicted", ylabel="true", title=title)
    ticks = range(len(shown))
    axes.set_xticks(ticks, shown, rotation=45 if len(shown) > 4 else 0, ha="right" if len(shown) > 4 else "center")
    axes.set_yticks(ticks, shown)
    if len(shown) <= 15:
        for i, j in np.ndindex(counts.shape):
            axes.text(j, i, counts[i, j], ha="center", va="center", color="white" if shares[i, j] > 0.5 else "black")
    figure.savefig(path, dpi=120)


def draw_calibration(
    bins: list[tuple[int, float, float]], coverage: tuple[np.ndarray, np.ndarray] | None, split: str, path: Path
) -> None:
    """Draw the reliability diagram of a classifier, and the accuracy of its most confident answers by their share.

    Args:
        bins: Rows, mean score and share of right answers of each bin of scores.
        coverage: Share of the rows that are answered and accuracy on them, each `[N]`; None for no second panel.
        split: Name of the split, for the titles.
        path: Path of the PNG file to write.
    """
    figure = new_figure(9 if coverage else 4.6, 4)
    panels = figure.subplots(1, 2 if coverage else 1, squeeze=False)[0]
    rows, mean, right = (np.array(part) for part in zip(*bins, strict=True))
    # The areas of the dots show where the rows are.
    panels[0].plot([0, 1], [0, 1], color="gray", linestyle="--", linewidth=1, label="calibrated")
    panels[0].plot(mean, right, color="C0", linewidth=1)
    panels[0].scatter(mean, right, s=20 + 180 * rows / rows.max(), color="C0", alpha=0.7, label="this model")
    panels[0].set(xlabel="score", ylabel="share of right answers", title=f"reliability, {split}")
    panels[0].set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    panels[0].legend(loc="upper left")
    if coverage:
        answered, accuracy = coverage
        # The first few answers say little, and would stretch the axis.
        first = min(len(answered) - 1, max(20, len(answered) // 20))
        panels[1].plot(answered[first:], accuracy[first:])
        panels[1].set(xlabel="share of rows answered, the most confident first", ylabel="accuracy on them")
        panels[1].set(title=f"accuracy and coverage, {split}", xlim=(0, 1))
    for axes in panels:
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def draw_folds(values: dict[str, list[float]], path: Path) -> None:
    """Draw each metric of a cross-validation in a panel: a point for each fold, and the mean ± standard deviation.

    Args:
        values: Values of each metric in the order of the folds, by the name of the metric.
        path: Path of the PNG file to write.
    """
    figure = new_figure(max(4.0, 3.2 * len(values)), 3.4)
    for axes, (name, of_folds) in zip(figure.subplots(1, len(values), squeeze=False)[0], values.items(), strict=True):
        mean, spread, folds = np.mean(of_folds), np.std(of_folds, ddof=1), np.arange(1, len(of_folds) + 1)
        axes.axhspan(mean - spread, mean + spread, alpha=0.15, label="± standard deviation")
        axes.axhline(mean, label="mean")
        axes.plot(folds, of_folds, "o", color="black", label="fold")
        axes.set(title=f"{name}\n{mean:.4g} ± {spread:.2g}", xlabel="fold", xlim=(0.5, len(of_folds) + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    figure.savefig(path, dpi=120)
