# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Evaluate a trained model on a labelled data set.

hf-rnn evaluate MODEL
hf-rnn evaluate MODEL --data reviews.csv
hf-rnn evaluate MODEL --split test --output metrics.json
"""

import json
from pathlib import Path
from typing import Any

from ..options import (
    CommandParser,
    add_answer_options,
    add_data,
    add_model,
    check_least,
    check_max_length,
    data_of,
    given_columns,
    load_predictor,
    metrics_line,
    new_file,
)
from ..terminal import print_metrics


def parser() -> CommandParser:
    parser = CommandParser()
    add_model(parser)
    add_data(parser)
    parser.add_argument(
        "--split",
        type=str,
        help="split to evaluate on; if left out, the test split, or the validation rows of the training run",
    )
    add_answer_options(parser, labels=True)
    parser.add_argument("--output", type=str, help="JSON file for all metrics")
    return parser


def check(options: Any) -> None:
    check_max_length(options)
    check_least(options, 1, "batch_tokens")
    new_file(options.output)


def run(options: Any) -> None:
    from ...inference.evaluation import evaluate

    predictor = load_predictor(options)
    data = data_of(predictor, options, options.data)
    if options.data is None:
        predictor.task, data = predictor.task.with_data(data), None
    results = evaluate(predictor, data, options.split, options.batch_tokens, given_columns(options))
    print(f"{results['rows']} rows: {metrics_line(results)}")
    print_metrics(results)
    if options.output:
        text = json.dumps(results, indent=2, ensure_ascii=False)
        Path(options.output).write_text(text + "\n", encoding="utf-8")
