# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Report on a trained text classifier: tables and sentences for the terminal and for the model card."""

from collections.abc import Callable, Iterator
from typing import Any

from .card_words import METRICS, clean, escape, figure

# The maximum number of classes that a sentence names.
NAMED = 8
# Metrics whose differences are given in percentage points.
_POINTS = ("accuracy", "f1_macro", "f1_micro")


def report_text(report: dict) -> str:
    """Return the report for the terminal: a table of scores, sentences, and the worst errors.

    Args:
        report: Section `report` of metrics.json.
    """
    lines = []
    rows = scores_rows(report, clean)
    if rows:
        splits = [f"{of_split['rows']:,} {split}" for split, of_split in report["scores"].items()]
        lines.append(f"report     on {' and '.join(splits)} rows")
        wide, width = (max(len(row[part]) for row in rows) for part in (0, 1))
        lines += [
            f"{metric:<{max(wide, 9)}}  {name:<{width}}  {'  '.join(f'{v:>10}' for v in values)}"
            for metric, name, values in rows
        ]
    lines += [f"- {sentence}" for sentence in sentences(report, lambda text: f"'{clean(text)}'")]
    worst = (report.get("errors") or {}).get("worst", [])
    lines += ["worst errors on validation rows:"] if worst else []
    for error in worst:
        lines.append(f"  {_error(error, clean)}")
    return "\n".join(lines)


def report_section(facts: dict) -> dict | None:
    """Return the parts of the report for the template of the model card; None if there is no report.

    Args:
        facts: Contents of metrics.json.
    """
    report = facts.get("report")
    if not report:
        return None
    worst = (report.get("errors") or {}).get("worst", [])
    return {
        "splits": [f"{split} ({of_split['rows']:,} rows)" for split, of_split in report["scores"].items()],
        "rows": scores_rows(report, escape),
        "sentences": list(sentences(report, lambda text: f"“{escape(text)}”")),
        "errors": [
            [
                escape(" / ".join(e[k] for k in ("text", "text_pair") if k in e)),
                *(escape(e[k] or "no label") for k in _ANSWER),
            ]
            for e in worst
        ],
    }


_ANSWER = ("label", "predicted", "score")


def scores_rows(report: dict, quote: Callable[[object], str]) -> list[tuple[str, str, list[str]]]:
    """Return the rows of the table of scores: metric, contender, and one figure for each split.

    The contenders are the model, the baseline and the most frequent answer. Only the first row of a metric names it.

    Args:
        report: Section `report` of metrics.json.
        quote: Function that makes a user's text safe for the place where it is shown.
    """
    rows = []
    contenders = {"model": "this model", "baseline": (report.get("baseline") or {}).get("name", "")}
    contenders["majority"] = quote(report.get("majority", ""))
    for metric in report["metrics"]:
        shown = METRICS[metric][0]
        for contender, name in contenders.items():
            found = [of_split.get(contender) for of_split in report["scores"].values()]
            if all(found):
                rows.append((shown, name, [figure(metric, each[metric]) for each in found]))
                shown = ""
    return rows


def sentences(report: dict, quote: Callable[[object], str]) -> Iterator[str]:
    """Yield the findings about a trained classifier as sentences, the most important first.

    Args:
        report: Section `report` of metrics.json.
        quote: Function that makes a user's text safe and puts it in quotes.
    """
    yield from _comparison(report)
    steps = report.get("few_steps")
    if steps:
        few = f"only {steps['steps']} optimizer steps, which may be too few"
        yield f"Training had {few}: write {steps['advice']}."
    never = report.get("never_predicted")
    if never:
        where, remedy = " and ".join(report["scores"]), report.get("remedy")
        yield (
            f"The model never predicts {_classes(never, quote)} on the {where} rows: more such rows"
            + (f", or {remedy}, may help." if remedy else " may help.")
        )
    coverage = report.get("coverage")
    if coverage:
        yield _coverage(coverage, "test" if "test" in report["scores"] else "validation")
    few = report.get("few_rows")
    if few:
        yield f"Classes with few training rows: {_classes(few, quote)}."
    for row in report.get("duplicates", []):
        yield from _duplicates(row, quote)
    curve = report.get("learning_curve")
    if curve:
        metric = report["metrics"][0]
        points = ", ".join(f"{figure(metric, each[metric])} with {each['rows']:,}" for each in curve)
        yield f"{METRICS[metric][0].capitalize()} of the baseline on the validation rows by training rows: {points}."
    errors = report.get("errors")
    if errors and errors["wrong"] is not None:
        wrong = f"{errors['wrong']:,} of {errors['rows']:,}"
        yield f"{wrong} validation rows are answered wrongly; errors.csv in the folder of the run has the worst."
    for pair in (errors or {}).get("confused", []):
        label, predicted = quote(pair["label"]), quote(pair["predicted"])
        yield f"{label} is taken for {predicted} in {pair['rows']:,} of its {pair['of']:,} validation rows."


def _comparison(report: dict) -> Iterator[str]:
    metric, better = report["metrics"][0], report["greater_is_better"]
    split = "test" if "test" in report["scores"] else "validation"
    of_split = report["scores"][split]
    baseline = report.get("baseline")
    if baseline and "baseline" in of_split:
        rows = of_split.get("sample", of_split["rows"])
        ours = of_split.get("model_on_sample", of_split["model"])[metric]
        theirs = of_split["baseline"][metric]
        first, second = "The model", baseline["name"]
        if (ours < theirs) == better:
            first, second = second, "the model"
        by = _difference(metric, abs(ours - theirs))
        if ours == theirs:
            yield f"The model and {baseline['name']} have the same {METRICS[metric][0]} on the {rows:,} {split} rows."
        else:
            chance = _chance(of_split, ours - theirs) if metric == "accuracy" else ""
            yield f"{first} is better than {second} by {by} on the {rows:,} {split} rows{chance}."
        sample = ""
        if baseline["all_rows"] is None:
            sample = ", the first ones of the stream"
        elif baseline["rows"] < baseline["all_rows"]:
            sample = f", a sample of {baseline['all_rows']:,}"
        most = f", the {baseline['most_frequent']:,} most frequent" if baseline.get("most_frequent") else ""
        yield (
            f"{baseline['name']} of scikit-learn, n-grams of {baseline['ngrams']}{most}: fitted on "
            f"{baseline['rows']:,} training rows{sample} and measured in {baseline['seconds']:.1f} s."
        )
        if split == "test" and baseline.get("ngrams_saw_validation"):
            yield "The n-grams of the model, but not the baseline, were fitted to the validation rows too."
    ours, majority = of_split.get("model"), of_split.get("majority")
    # A model that finds some rows of a rare class may have a lower accuracy than the most frequent answer, but a higher
    # F1. It is reported as useless only if no metric is better.
    metrics = report["metrics"] if better else [metric]
    if ours and majority and not any(_is_better(ours[each], majority[each], better) for each in metrics):
        yield f"The model is no better than one constant answer on the {split} rows: it has learnt nothing yet."


def _coverage(coverage: list[dict], split: str) -> str:
    parts = [
        f"with min_score={each['min_score']:g}, the model answers {each['coverage']:.0%} of the {split} rows with an "
        f"accuracy of {each['accuracy']:.2%}"
        for each in coverage
    ]
    return f"Abstaining: {'; '.join(parts)}."


def _is_better(ours: float, theirs: float, greater: bool) -> bool:
    return ours > theirs if greater else ours < theirs


def _difference(metric: str, value: float) -> str:
    name = METRICS[metric][0]
    return f"{100 * value:.2f} points of {name}" if metric in _POINTS else f"{value:.4f} of {name}"


def _chance(of_split: dict, difference: float) -> str:
    """Return the 95 % interval of a difference in brackets, with a warning if the difference is within it."""
    if "margin" not in of_split:
        return ""
    width = f"95 % interval ± {100 * of_split['margin']:.2f}"
    return f" ({width}: it may be chance)" if abs(difference) <= of_split["margin"] else f" ({width})"


def _classes(rows: dict[str, int], quote: Callable[[object], str]) -> str:
    named = [f"{quote(name)} ({count:,} row{'s' if count != 1 else ''})" for name, count in list(rows.items())[:NAMED]]
    return ", ".join(named) + (f" and {len(rows) - NAMED} more" if len(rows) > NAMED else "")


def _duplicates(row: dict[str, Any], quote: Callable[[object], str]) -> Iterator[str]:
    split, other = row["split"], row["other"]
    if split == other:
        yield (
            f"{row['same']:,} of {row['rows']:,} training rows have the text of an earlier one with another label: "
            f"{_example(row['example'], quote)}."
        )
        return
    of_rows = f"of {row['rows']:,} {split} rows"
    if row["same"]:
        stand = "is" if row["same"] == 1 else "are"
        labels = f", {row['other_label']:,} with another label" if row["other_label"] else ""
        yield (
            f"{row['same']:,} {of_rows} {stand} in the {other} split too{labels}: {_example(row['example'], quote)}."
        )
    if row["near"]:
        differ = "differs" if row["near"] == 1 else "differ"
        yield (
            f"{row['near']:,} {of_rows} {differ} from one of the {other} split only in case, spaces, punctuation or "
            f"digits: {_example(row['near_example'], quote)}."
        )


def _example(example: dict[str, str], quote: Callable[[object], str]) -> str:
    text = f", {quote(example['text'])}" if "text" in example else ""
    return f"{example['row']} and {example['other_row']}{text}"


def _error(error: dict[str, str], quote: Callable[[object], str]) -> str:
    text = " / ".join(quote(error[name]) for name in ("text", "text_pair") if name in error)
    label, predicted, score = (quote(error[name] or "no label") for name in _ANSWER)
    return f"{label} answered as {predicted} ({score}): {text}"


__all__ = ["report_section", "report_text", "scores_rows", "sentences"]
