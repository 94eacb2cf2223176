# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Settings of a run that only some tasks read."""

# Settings that text classifiers alone read; the other tasks name them in `no_use`.
OF_TEXT_CLASSIFIERS = (
    "report.baseline",
    "report.learning_curve",
    "report.label_errors",
    "data.text_pair_column",
    "data.group_column",
    *(
        f"training.{name}"
        for name in (
            "class_weights",
            "focal_gamma",
            "balanced_sampling",
            "calibrate",
            "thresholds",
            "min_precision",
            "positive_class",
        )
    ),
)

__all__ = ["OF_TEXT_CLASSIFIERS"]
