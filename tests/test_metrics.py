"""Measures against scikit-learn, brute force and figures worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import classification_report, f1_score

from fewlabel.metrics import (
    classification_metrics,
    expected_calibration_error,
    per_class_table,
    propagation_curve,
    propagation_metrics,
)

NAMES = ["cat", "dog", "eel", "fox"]


@pytest.fixture(scope="module")
def predictions():
    """Return labels and probabilities of four classes, of which the last is never the label."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    scores = rng.normal(size=(200, 4)) + 1.5 * np.eye(4)[labels]
    return labels, np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def report(labels, probabilities):
    """Return scikit-learn's report of the three classes that images have."""
    return classification_report(
        labels,
        probabilities.argmax(axis=1),
        labels=range(3),
        target_names=NAMES[:3],
        output_dict=True,
        zero_division=0,
    )


def test_classification_metrics_equal_scikit_learns_report(predictions):
    labels, probabilities = predictions
    expected = report(labels, probabilities)
    metrics = classification_metrics(labels, probabilities)
    assert metrics["accuracy"] == np.mean(probabilities.argmax(axis=1) == labels)
    assert metrics["macro_f1"] == pytest.approx(expected["macro avg"]["f1-score"])
    assert metrics["weighted_f1"] == pytest.approx(expected["weighted avg"]["f1-score"])
    assert metrics["expected_calibration_error"] == expected_calibration_error(*predictions)
    # Plain floats: numpy's own do not go into JSON.
    assert {type(value) for value in metrics.values()} == {float}


@pytest.mark.parametrize("predicted", [[0, 1], [0, 3], [3, 3]])
def test_f1_is_averaged_over_the_classes_that_images_have(predicted):
    labels = np.array([0, 1])
    metrics = classification_metrics(labels, np.eye(4)[predicted])
    for average in ("macro", "weighted"):
        expected = f1_score(
            labels, predicted, labels=np.unique(labels), average=average, zero_division=0
        )
        assert metrics[f"{average}_f1"] == expected == np.mean(labels == predicted)


def test_per_class_table_equals_scikit_learns_report(predictions):
    labels, probabilities = predictions
    expected = report(labels, probabilities)
    table = per_class_table(labels, probabilities.argmax(axis=1), NAMES)
    assert table["class"] == NAMES
    for ours, theirs in (
        ("precision", "precision"),
        ("recall", "recall"),
        ("f1", "f1-score"),
        ("images", "support"),
    ):
        np.testing.assert_allclose(table[ours][:3], [expected[name][theirs] for name in NAMES[:3]])


def test_a_class_without_images_has_no_scores(predictions):
    labels, probabilities = predictions
    predicted = probabilities.argmax(axis=1)
    assert 3 in predicted
    table = per_class_table(labels, predicted, [*NAMES, "gnu"])
    assert table["class"] == [*NAMES, "gnu"]
    np.testing.assert_array_equal(table["images"][3:], 0)
    for name in ("precision", "recall", "f1"):
        np.testing.assert_array_equal(np.isnan(table[name]), [False, False, False, True, True])


def test_calibration_error_by_hand():
    # Bins of (0, 1/2] and (1/2, 1]. The first holds confidence 0.5, right: gap 0.5. The second
    # holds 0.6 wrong, 0.8 right, 1 right: accuracy 2/3, confidence 0.8, gap 2/15.
    # The error is 1/4 * 0.5 + 3/4 * 2/15 = 0.225.
    probabilities = np.array([[0.5, 0.5], [0.4, 0.6], [0.8, 0.2], [0.0, 1.0]])
    error = expected_calibration_error(np.array([0, 0, 0, 1]), probabilities, n_bins=2)
    assert error == pytest.approx(0.225)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 20))
def test_calibration_error_equals_a_loop_over_bins(seed, n_images, n_bins):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(3, 0.5), n_images)
    labels = rng.integers(0, 3, n_images)
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    expected = 0
    for i in range(n_bins):
        inside = (confidence > i / n_bins) & (confidence <= (i + 1) / n_bins)
        if inside.any():
            accuracy = (predicted == labels)[inside].mean()
            expected += inside.mean() * abs(accuracy - confidence[inside].mean())
    error = expected_calibration_error(labels, probabilities, n_bins=n_bins)
    assert error == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("right", "error"), [(True, 0.0), (False, 1.0)])
def test_calibration_error_of_certainty(right, error):
    labels = np.array([0, 1, 2])
    probabilities = np.eye(3, dtype=np.float32)[labels if right else (labels + 1) % 3]
    assert expected_calibration_error(labels, probabilities) == error


def test_propagation_metrics_by_hand():
    labels = np.array([0, 1, 2, 2, 1])
    propagated = np.array([0, 1, 1, -1, -1])
    assert propagation_metrics(labels, propagated) == {
        "coverage": 0.6,
        "label_accuracy": pytest.approx(2 / 3),
        "classes_represented": 2,
    }


def test_a_pseudo_label_of_an_image_of_no_class_is_wrong_unless_no_class_is_known():
    propagated = np.array([0, 1, 1, -1])
    found = propagation_metrics(np.array([0, 1, -1, -1]), propagated)
    assert found["label_accuracy"] == pytest.approx(2 / 3)
    assert "label_accuracy" not in propagation_metrics(np.full(4, -1), propagated)


def test_propagation_curve_by_hand():
    # Cluster 0 has four images and cluster 1 two, of which one got no class.
    curve = propagation_curve(
        labels=np.array([0, 0, 1, 0, 1, 1]),
        pseudo_labels=np.array([0, 0, 0, 0, 1, -1]),
        confidence=np.array([4, 3, 2, 1, np.inf, 0]),
        assignment=np.array([0, 0, 0, 0, 1, 1]),
        percentiles=[25, 50, 75, 100],
    )
    assert curve == {
        "percentile": [25, 50, 75, 100],
        "coverage": pytest.approx([2 / 6, 3 / 6, 4 / 6, 5 / 6]),
        "label_accuracy": pytest.approx([1, 1, 3 / 4, 4 / 5]),
    }
