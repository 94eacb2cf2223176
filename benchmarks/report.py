"""Save benchmark results as JSON, one file per question, and render docs/benchmarks.md from them."""

import argparse
import itertools
import json
import shlex
import statistics
import subprocess
import sys
from collections import Counter
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from hf_rnn.utils.figures import new_figure
from hf_rnn.utils.machine import hardware, versions

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "benchmarks"
QUESTIONS = (
    "accuracy",
    "parts",
    "scores",
    "calibration",
    "several_labels",
    "going_on",
    "tune",
    "students",
    "training_step",
    "wide_step",
    "time_to_accuracy",
    "prediction",
    "growth",
    "limit",
    "memory",
    "start_up",
    "runtime",
    "runtime_seed",
    "reading",
    "preparation",
    "objectives",
    "scaling",
    "long_text",
    "explanations",
    "gradient_flow",
    "page",
    "static_page",
    "translation",
    "gpu_probe",
    "gpu",
)


PRINT = "--print"


def parser(doc: str, rounds: int, needs_data: bool = True) -> argparse.ArgumentParser:
    """Return a parser with the command line options of every question."""
    options = argparse.ArgumentParser(description=doc.splitlines()[0])
    options.add_argument("--rounds", type=_positive, default=rounds)
    options.add_argument(
        "--data", type=_folder if needs_data else Path, default="../shared/data", help="folder with imdb"
    )
    options.add_argument(PRINT, action="store_true", help="print the tables, and leave docs/ as it is")
    return options


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _folder(text: str) -> Path:
    if not Path(text, "imdb").is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(Path(text, 'imdb'))!r}: name that of the data sets")
    return Path(text)


def table(title: str, columns: list[str], rows: list[list], note: str = "") -> dict:
    """Return a table as [`save`] stores it; the note stands below the table."""
    return {"title": title, "columns": columns, "rows": [[str(cell) for cell in row] for row in rows], "note": note}


def figure(value: float) -> str:
    """Return a number as text with three or four digits and without powers of ten."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}" if value >= 100 else f"{value:.3g}"


def comparison(title: str, figures: dict[str, list[float]], unit: str, ours: str, note: str = "", scale=1.0) -> dict:
    """Return a table of medians, ranges and ratios to the median of the contender `ours`."""
    medians = {name: statistics.median(values) * scale for name, values in figures.items()}
    rows = [
        [
            name,
            figure(medians[name]),
            f"{figure(min(values) * scale)} to {figure(max(values) * scale)}",
            f"{medians[name] / medians[ours]:.2f}",
        ]
        for name, values in figures.items()
    ]
    return {
        **table(title, ["contender", f"median {unit}", "range", f"ratio to {ours}"], rows, note),
        "bars": {"unit": unit, "medians": medians},
    }


def save(
    question: str, title: str, tables: list[dict], notes: str = "", lines: dict | None = None, command: str = ""
) -> None:
    """Write the JSON of one question and render the page again; with `--print`, only print the tables.

    Args:
        question: Name of the question, which is also the name of the JSON file.
        title: Heading of the question on the page.
        tables: Tables from [`table`] or [`comparison`].
        notes: Markdown below the heading.
        lines: Line charts as `{"panels": [...]}`; None for none.
        command: Command below the tables; the command line of this process if empty. A question whose runs are kept
            names it, because its runs come from several commands.
    """
    if PRINT in sys.argv:
        print("\n\n".join(_markdown(one) for one in tables))
        return
    packages = {**versions()}
    for name in ("keras", "jax", "tensorflow-cpu", "fasttext-wheel", "model2vec", "scikit-learn"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    FOLDER.mkdir(parents=True, exist_ok=True)
    result = {
        "title": title,
        "notes": notes,
        "tables": tables,
        "lines": lines,
        "date": date.today().isoformat(),
        "hardware": f"{hardware()}, {torch.get_num_threads()} threads",
        "versions": packages,
        "command": command or _command(),
    }
    (FOLDER / f"{question}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    render()


def _command() -> str:
    """Return the command line of this process, with DATA for the folder of the data sets."""
    options = ["DATA" if before == "--data" else option for before, option in itertools.pairwise(sys.argv)]
    return shlex.join(["python", str(Path(sys.argv[0]).resolve().relative_to(ROOT)), *options])


def runs_of(question: str) -> dict:
    """Return the kept figures of each run of a question, by data set, contender and seed.

    The figures of a run from an earlier command count until that run is repeated.
    """
    file = FOLDER / f"{question}_runs.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def keep_runs(question: str, runs: dict) -> None:
    """Write the runs that [`runs_of`] reads; do nothing with `--print`.

    It is called after each run, so that an interrupted command loses only one run.
    """
    if PRINT not in sys.argv:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{question}_runs.json").write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")


def origin() -> dict[str, str]:
    """Return the commit of the code and the machine, which are stored with each run."""
    return {"commit": commit(), "hardware": hardware()}


def commit() -> str:
    """Return the short commit hash of the code, with a + if files in src/ have changed since."""
    git = ["git", "-C", str(ROOT)]
    name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "src"], capture_output=True, text=True).stdout.strip()
    return f"{name or 'unknown'}{'+' if changed else ''}"


def origins_of(of_set: dict[str, dict]) -> str:
    """Return the note below a data set's table: commits, machines, vector files and remarks of its runs."""
    all_runs = [run for runs in of_set.values() for run in runs.values()]
    commits, machines = (sorted({run[key] for run in all_runs}) for key in ("commit", "hardware"))
    note = f"Commit{'s' if len(commits) > 1 else ''} of these runs: {', '.join(commits)}; on {'; '.join(machines)}."
    for name, runs in of_set.items():
        words = [", ".join(run[key] for key in ("vectors", "remark") if key in run) for run in runs.values()]
        remarks = Counter(filter(None, words))
        note += "".join(f" {name}, {count} of {len(runs)} runs: {remark}." for remark, count in remarks.items())
    return note


def tables_of_runs(runs: dict, columns: list[str], order: list[str]) -> list[dict]:
    """Return one table per data set, with the contenders in the given order.

    Contenders that `order` does not name come last.
    """
    tables = []
    for name, of_set in runs.items():
        names = sorted(of_set, key=lambda each: order.index(each) if each in order else len(order))
        rows = [row_of_runs(each, of_set[each], columns) for each in names]
        tables.append(table(name, ["contender", "runs", *columns], rows, origins_of(of_set)))
    return tables


def row_of_runs(name: str, runs: dict[str, dict], columns: list[str]) -> list[str]:
    """Return the table row of one contender: its number of runs, and one cell per column.

    Accuracy, F1 and precision are means in per cent, with their range over several runs. Losses are means. All other
    columns are medians. A column that no run has gets a dash.
    """
    cells = [name, str(len(runs))]
    for column in columns:
        values = [run[column] for run in runs.values() if column in run]
        if not values:
            cells.append("–")
        elif column.endswith(("accuracy", "F1", "precision", "agreement")):
            spread = f" ({100 * min(values):.2f} to {100 * max(values):.2f})" if len(values) > 1 else ""
            cells.append(f"{100 * statistics.mean(values):.2f}{spread}")
        elif column.endswith("loss"):
            cells.append(f"{statistics.mean(values):.4f}")
        else:
            cells.append(figure(statistics.median(values)))
    return cells


def series(question: str) -> dict[str, np.ndarray]:
    """Return the saved points `[n, 2]` of each line in the first panel of a question's chart."""
    panel = json.loads((FOLDER / f"{question}.json").read_text(encoding="utf-8"))["lines"]["panels"][0]
    return {name: np.array(points).T for name, points in panel["series"].items()}


def _chart(question: str, result: dict) -> str:
    """Draw the bars of all comparisons, or the line charts, as PNG; return the Markdown that shows it."""
    bars = [t for t in result["tables"] if "bars" in t]
    panels = bars or (result["lines"] or {}).get("panels", [])
    if not panels:
        return ""
    columns = 1 if bars else min(3, len(panels))
    rows = -(-len(panels) // columns)
    height = sum(0.32 * len(t["bars"]["medians"]) + 0.9 for t in bars) if bars else 2.8 * rows
    drawing = new_figure(9, height)
    ratios = [len(t["bars"]["medians"]) + 2 for t in bars] if bars else None
    axes = drawing.subplots(rows, columns, squeeze=False, gridspec_kw={"height_ratios": ratios}).ravel()
    for ax, panel in zip(axes, panels, strict=False):
        ax.set_title(panel["title"], fontsize=9, loc="left")
        if bars:
            medians = panel["bars"]["medians"]
            names = list(medians)[::-1]
            colors = ["#d95f02" if name.startswith("hf_rnn") else "#7f8fa6" for name in names]
            drawn = ax.barh(names, [medians[name] for name in names], color=colors)
            ax.bar_label(drawn, [figure(medians[name]) for name in names], padding=3, fontsize=8)
            ax.set_xlabel(panel["bars"]["unit"], fontsize=8)
            ax.margins(x=0.12)
        else:
            for name, (x, y) in panel["series"].items():
                ax.plot(x, y, marker="o", markersize=3, label=name)
            ax.set(xlabel=panel["x"], ylabel=panel["y"])
            if panel.get("log", True):
                ax.set_xscale("log", base=2)
                ax.set_yscale("log", base=2)
                for axis in (ax.xaxis, ax.yaxis):
                    axis.set_major_formatter(lambda value, _: figure(value))
            else:
                ax.set_ylim(*panel.get("limits", (None, None)))
            ax.grid(alpha=0.3)
            if len(panel["series"]) > 1:
                ax.legend(fontsize=7)
        ax.tick_params(labelsize=8)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    drawing.savefig(FOLDER / f"{question}.png", dpi=110)
    return f"![{result['title']}](benchmarks/{question}.png)"


def _markdown(table: dict) -> str:
    """Return a table as Markdown."""
    lines = [f"**{table['title']}**", ""]
    lines += [f"| {' | '.join(table['columns'])} |", "|" + "---|" * len(table["columns"])]
    lines += [f"| {' | '.join(row)} |" for row in table["rows"]]
    return "\n".join([*lines, *(["", table["note"]] if table["note"] else [])])


def render() -> None:
    """Write docs/benchmarks.md from all saved results."""
    parts = [
        "# Benchmarks",
        "",
        "The command below each table writes it. `make bench` measures speed, `make bench-accuracy` compares the",
        "accuracy of text classifiers, and `make bench-parts` runs an ablation. `make bench-scores` and",
        "`make bench-several-labels` measure rare classes, calibration and thresholds, `make bench-going-on` adds a",
        "class to a classifier, and `make bench-tune` searches settings. `make bench-gpu` and `make gpu-check` measure",
        "on a GPU. In a benchmark of speed, each contender has its own process. It first checks that the answers of",
        "the contenders agree, and then times them in turn, round by round. The tables give medians, the range of the",
        "rounds and ratios. Only ratios carry over to other machines. [speed.md](speed.md) and",
        "[accuracy.md](accuracy.md) explain the figures and state where they miss their targets.",
        "",
    ]
    for question in QUESTIONS:
        file = FOLDER / f"{question}.json"
        if not file.exists():
            continue
        result = json.loads(file.read_text(encoding="utf-8"))
        parts += [f"## {result['title']}", ""]
        if result["notes"]:
            parts += [result["notes"], ""]
        for one in result["tables"]:
            parts += [_markdown(one), ""]
        if chart := _chart(question, result):
            parts += [chart, ""]
        packages = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
        parts += [f"{result['date']}, {result['hardware']}; {packages}. Command: `{result['command']}`.", ""]
    (ROOT / "docs" / "benchmarks.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    render()
