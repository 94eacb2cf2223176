"""Texts and kinds of classifiers with which exported models are compared with the models themselves."""

TEXTS = [
    "the film was not good .",
    "the soup was bad , but the lamp was lovely .",
    "",
    "  \n ",
    None,
    float("nan"),
    3.5,
    12,
    "half a \ud83d",
    "unseen words: 你好，世界 ﷽ zażółć 🙂",
    "the film was good . " * 40,
]
KINDS = {
    "one_label": {"num_labels": 3, "bidirectional": True, "pooling": "concat"},
    "threshold": {"num_labels": 2, "thresholds": {"LABEL_1": 0.2}, "temperature": 2.0},
    "several_labels": {
        "num_labels": 4,
        "problem_type": "multi_label_classification",
        "thresholds": {"LABEL_0": 0.3, "LABEL_2": 0.7},
    },
    "number": {"num_labels": 1, "problem_type": "regression", "target_mean": 20.0, "target_std": 5.0},
    "pairs": {"num_labels": 2, "cell_type": "gru", "pooling": "max"},
}
