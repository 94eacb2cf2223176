# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Evaluate a trained model on a labelled data set.

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
from ..terminal import print_table


def parser() -> CommandParser:
    parser = CommandParser()
    add_model(parser)
    add_data(parser)
    parser.add_argument("--split", type=str, help="split to evaluate on; the test split if left out")
    add_answer_options(parser, labels=True)
    parser.add_argument("--output", type=str, help="JSON file for all metrics")
    return parser


def check(options: Any) -> None:
    check_max_length(options)
    check_least(options, 1, "batch_tokens")
    new_file(options.output)


def run(options: Any) -> None:
    from ...inference.predictor import evaluate

    predictor = load_predictor(options)
    # Without --data and --split, evaluate on the test split, never on rows of the training split.
    split = options.split or (predictor.task.data.test_split if options.data is None else None)
    data = data_of(predictor, options, options.data)
    results = evaluate(predictor, data, split, options.batch_tokens, given_columns(options))
    print(f"{results['rows']} rows: {metrics_line(results)}")
    per_class = {name: value for name, value in results.items() if "/" in name}
    print_table({name: value if isinstance(value, str) else f"{value:.4f}" for name, value in per_class.items()})
    if options.output:
        text = json.dumps(results, indent=2, ensure_ascii=False)
        Path(options.output).write_text(text + "\n", encoding="utf-8")
