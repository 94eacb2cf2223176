import numpy as np
import pytest

from hf_rnn.tasks.metrics import MultiLabelMetrics, RegressionMetrics, SingleLabelMetrics, average_precision


def test_single_label_metrics_by_hand():
    metrics = SingleLabelMetrics(["a", "b", "c"]).compute(predictions=[0, 1, 1, 1], references=[0, 0, 1, 1])
    assert metrics["accuracy"] == 0.75
    assert metrics["precision/b"] == pytest.approx(2 / 3)
    assert metrics["recall/a"] == 0.5
    assert metrics["support/a"] == 2
    # c is neither a reference nor a prediction. Its F1 counts as 0 in the mean over the classes.
    assert metrics["f1_macro"] == pytest.approx((2 / 3 + 0.8 + 0) / 3)
    assert metrics["matthews_correlation"] == pytest.approx(0.5773502691896258)


def test_multi_label_metrics_by_hand():
    metrics = MultiLabelMetrics(["a", "b"]).compute(predictions=[[1, 0], [1, 1]], references=[[1, 0], [0, 1]])
    assert metrics["subset_accuracy"] == 0.5
    assert metrics["f1_micro"] == pytest.approx(0.8)
    assert metrics["precision/a"] == 0.5
    assert metrics["recall/b"] == 1


def test_average_precision_by_hand():
    scores = np.array([[0.9, 0.1, 0.3], [0.8, 0.2, 0.3], [0.7, 0.3, 0.3]])
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
    # The relevant rows of a are the first and third by score, those of b the first two. No row has c.
    assert average_precision(scores, labels) == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    assert average_precision(scores, labels * 0) == 0
    assert np.isnan(average_precision(scores * np.nan, labels))


def test_regression_metrics_by_hand():
    metrics = RegressionMetrics().compute(predictions=[1.0, 2.0, 4.0], references=[1.0, 3.0, 5.0])
    assert metrics["mse"] == pytest.approx(2 / 3)
    assert metrics["mae"] == pytest.approx(2 / 3)
    assert metrics["spearman"] == pytest.approx(1)
    assert metrics["r2"] == pytest.approx(1 - 2 / 8)


def test_a_constant_prediction_has_no_correlation():
    metrics = RegressionMetrics().compute(predictions=[1.0, 1.0], references=[1.0, 3.0])
    assert metrics["pearson"] == metrics["spearman"] == 0


def test_rows_can_be_added_batch_by_batch():
    metric = SingleLabelMetrics(["a", "b"])
    metric.add_batch(predictions=[0, 1], references=[0, 1])
    metric.add_batch(predictions=[0], references=[1])
    assert metric.compute()["accuracy"] == pytest.approx(2 / 3)
