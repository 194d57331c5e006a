"""What is said of pseudo-labels by the labels that they come from."""

import numpy as np
import pytest
from scipy.stats import binomtest

from fewlabel.estimate import wilson_interval
from fewlabel.propagation.held_out import HeldOut
from fewlabel.verdict import preferred, verdict

CLASSES = ["cat", "dog", "cow"]
N = 60


@pytest.fixture
def y():
    """Return labels of 20 of 60 images, a cluster of three images for each: cats, then dogs."""
    labels = np.full(N, -1)
    labels[:20] = np.arange(20) // 10
    return labels


def judge(y, predicted, confidence=None, pseudo_labels=None, by_half=None, excluded=()):
    labeled = np.flatnonzero(y >= 0)
    by_half = predicted if by_half is None else by_half
    confidence = np.ones(len(labeled)) if confidence is None else confidence
    pseudo_labels = np.arange(N) % 20 // 10 if pseudo_labels is None else pseudo_labels
    names = [f"{i}.png" for i in range(N)]
    held_out = HeldOut(labeled, *map(np.array, (predicted, confidence, by_half)))
    given = y, np.isin(np.arange(N), excluded), pseudo_labels, np.arange(N) % 20
    metrics, sentences = verdict(*given, held_out, CLASSES, names)
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
        "representatives_of_no_class": 0,
        "held_out_accuracy": 1.0,
        "held_out_low": pytest.approx(0.839, abs=1e-3),
        "held_out_high": pytest.approx(1),
        "gain_of_twice_the_labels": 0.0,
        "weak_classes": 0,
        "suspicious_labels": 0,
        "refuted_labels": 0,
    }
    assert "No label is of cow" in text
    assert "100% (95 % interval 84% to 100%)" in text
    assert "Look again" not in text
    assert "Weak" not in text
    assert "far from" not in text


def test_representatives_of_no_class_are_counted_where_their_clusters_get_a_class(y):
    y[[0, 1, 2, 19]] = -1  # about the cluster of 2, nobody was asked
    pseudo_labels = np.arange(N) % 20 // 10
    excluded = [0, 1, 19, 39, 59]  # they themselves, and a cluster of which nobody was sure
    pseudo_labels[excluded] = -1
    metrics, text = judge(y, y[y >= 0], pseudo_labels=pseudo_labels, excluded=excluded)
    assert metrics["representatives_of_no_class"] == 2
    assert "2 of 20 representatives are of no class. Their clusters hold 7% of all images" in text


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
    assert metrics["refuted_labels"] == 0
    metrics, text = judge(y, predicted)
    assert metrics["refuted_labels"] == 3
    assert "The others refute 3 labels, which are not propagated." in text


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


def test_more_labels_help_as_they_did(y):
    by_all, by_half = y[:20].copy(), y[:20].copy()
    by_all[:5], by_half[:10] = 1, 1
    metrics, text = judge(y, by_all, by_half=by_half)
    # Errors fell from a half to a quarter, so to an eighth, then to a sixteenth.
    assert metrics["gain_of_twice_the_labels"] == 0.125
    assert (
        "From half as many labels, 50% are predicted. 40 labels would raise this by about 12 "
        "points, and 80 by 19, if errors fall as they fell."
    ) in text
    by_half[:10] = y[:10]
    metrics, text = judge(y, by_all, by_half=by_half)
    assert metrics["gain_of_twice_the_labels"] == 0
    assert "From half as many labels, 100% are predicted. More labels may help little." in text


@pytest.mark.parametrize(
    ("n_first", "n_second", "expected"),
    [(10, 10, "a"), (12, 10, "a"), (10, 11, "a"), (10, 12, "b"), (0, 20, "b")],
)
def test_another_is_shipped_where_it_is_better_by_over_a_standard_error(
    n_first, n_second, expected
):
    check = np.where(np.arange(N) < 40, -1, 1)
    images = np.arange(40, N)
    found = {
        name: (images, (np.arange(20) < n).astype(int))
        for name, n in (("a", n_first), ("b", n_second))
    }
    name, (sentence,) = preferred(check, found, {"a": "50%", "b": "60%"})
    assert name == expected
    assert sentence.startswith(f"The classifier of {name} is shipped. Expect it")
    assert "20 random images that nothing was trained on: a 50%; b 60%." in sentence


def test_without_images_that_only_measure_the_first_is_shipped(y):
    nothing = np.zeros(0, int)
    name, (sentence,) = preferred(y, {"a": (nothing, nothing), "b": (nothing, nothing)}, {})
    assert name == "a"
    assert "set label.check_size to 100 or more" in sentence


def test_without_predictions_it_says_so(y):
    nothing = HeldOut(*(np.zeros(0, int),) * 4)
    metrics, sentences = verdict(
        y, np.zeros(N, bool), y, np.zeros(N, int), nothing, CLASSES, [""] * N
    )
    counts = {"labels": 20, "missing_classes": 1, "representatives_of_no_class": 0}
    assert metrics == counts
    assert "too few labels" in sentences[-1]
