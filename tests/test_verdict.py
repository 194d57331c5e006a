"""What is said of pseudo-labels by the labels that they come from."""

import numpy as np
import pytest
from scipy.stats import binomtest

from fewlabel.propagation.comparison import HeldOut
from fewlabel.verdict import verdict, wilson_interval

CLASSES = ["cat", "dog", "cow"]
N = 60


@pytest.fixture
def y():
    """Return labels of 20 of 60 images, a cluster of three images for each: cats, then dogs."""
    labels = np.full(N, -1)
    labels[:20] = np.arange(20) // 10
    return labels


def judge(y, predicted, confidence=None, pseudo_labels=None, classes=CLASSES):
    labeled = np.flatnonzero(y >= 0)
    confidence = np.ones(len(labeled)) if confidence is None else confidence
    pseudo_labels = np.arange(N) % 20 // 10 if pseudo_labels is None else pseudo_labels
    names = [f"{i}.png" for i in range(N)]
    held_out = HeldOut(labeled, np.array(predicted), np.array(confidence))
    metrics, sentences = verdict(y, pseudo_labels, np.arange(N) % 20, held_out, classes, names)
    return metrics, " ".join(sentences)


@pytest.mark.parametrize(("n_right", "n"), [(0, 7), (3, 10), (50, 100), (999, 1000), (4, 4)])
def test_the_interval_is_wilsons(n_right, n):
    expected = binomtest(n_right, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson_interval(n_right / n, n), expected, atol=1e-4)


def test_where_all_labels_agree_nothing_is_odd(y):
    metrics, text = judge(y, y[:20])
    assert metrics == {
        "labels": 20,
        "missing_classes": 1,
        "held_out_accuracy": 1.0,
        "held_out_low": pytest.approx(0.839, abs=1e-3),
        "held_out_high": 1.0,
        "weak_classes": 0,
        "suspicious_labels": 0,
    }
    assert "No label is of cow" in text
    assert "100% (95 % interval 84% to 100%)" in text
    assert "Look again" not in text
    assert "Weak" not in text
    assert "far from" not in text


def test_the_surest_contradictions_are_named_first(y):
    predicted, confidence = y[:20].copy(), np.ones(20)
    predicted[[2, 5, 11, 12]] = 1, 1, 0, -1
    confidence[[2, 5, 11, 12]] = 0.1, 0.3, 0.2, 9
    metrics, text = judge(y, predicted, confidence)
    assert metrics["suspicious_labels"] == 3
    assert text.endswith(
        "first: 5.png (cat, by the others dog), 11.png (dog, by the others cat), 2.png (cat, by "
        "the others dog)."
    )


def test_no_more_labels_are_suspicious_than_a_person_looks_at(y):
    metrics, _ = judge(y, 1 - y[:20])
    assert metrics["suspicious_labels"] == 3
    assert metrics["held_out_accuracy"] == 0


def test_a_class_that_others_do_not_predict_is_weak(y):
    predicted = y[:20].copy()
    predicted[10:16] = 0
    metrics, text = judge(y, predicted)
    assert metrics["weak_classes"] == 1
    assert "Weak classes: dog (4 of 10 labels are predicted)" in text


def test_shares_that_labels_do_not_stand_for_are_named(y):
    pseudo_labels = np.where(np.arange(N) < 48, 0, 1)
    _, text = judge(y, y[:20], pseudo_labels=pseudo_labels)
    assert "shares of dog 20% (labels stand for 50%)." in text


def test_a_label_counts_as_much_as_its_cluster(y):
    held_out = HeldOut(np.array([0, 1]), np.array([0, 1]), np.ones(2))
    labels = np.full(N, -1)
    labels[:2] = 0
    metrics, _ = verdict(
        labels, np.zeros(N, int), np.arange(N).clip(0, 1), held_out, CLASSES, [""] * N
    )
    assert metrics["held_out_accuracy"] == pytest.approx(1 / N)


def test_without_predictions_it_says_so(y):
    nothing = HeldOut(*(np.zeros(0, int),) * 3)
    metrics, sentences = verdict(y, y, np.zeros(N, int), nothing, CLASSES, [""] * N)
    assert metrics == {"labels": 20, "missing_classes": 1}
    assert "too few labels" in sentences[-1]
