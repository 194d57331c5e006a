"""Labels that the others refute are not propagated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from fewlabel.propagation.held_out import HeldOut, load_held_out, refuted_labels

N_LABELS, N_CLASSES = 160, 4


def held_out(predicted, confidence):
    return HeldOut(np.arange(len(predicted)) * 2, predicted, confidence, predicted)


def labels_of(given_labels):
    """Return the labels of all images, of which every other one is labeled."""
    y = np.full(2 * len(given_labels), -1)
    y[::2] = given_labels
    return y


@given(
    stn.arrays(int, N_LABELS, elements=st.integers(0, N_CLASSES - 1)),
    stn.arrays(int, N_LABELS, elements=st.integers(-1, N_CLASSES - 1)),
    stn.arrays(np.float32, N_LABELS, elements=st.integers(0, 9)),
)
def test_refuted_labels_are_as_a_loop_finds_them(labels, predicted, confidence):
    agreed = sorted(c for c, a, b in zip(confidence, labels, predicted, strict=True) if a == b)
    middle = (agreed[(len(agreed) - 1) // 2] + agreed[len(agreed) // 2]) / 2 if agreed else np.inf
    sure = [
        i for i in range(N_LABELS)
        if predicted[i] not in (-1, labels[i]) and confidence[i] >= middle
    ]  # fmt: skip
    expected = []
    for i in sure:
        of_class = [j for j in range(N_LABELS) if labels[j] == labels[i]]
        if 2 * len(set(of_class) & set(sure)) < len(of_class):
            expected.append(2 * i)
    if len(expected) <= max(2, 0.02 * N_LABELS):
        expected = []
    found = refuted_labels(held_out(predicted, confidence), labels_of(labels))
    assert found.tolist() == expected


@pytest.mark.parametrize(("n_contradicted", "n_refuted"), [(1, 0), (2, 0), (3, 3), (9, 9)])
def test_a_few_of_a_hundred_are_contradicted_by_chance(n_contradicted, n_refuted):
    labels = np.arange(100) % 5
    predicted = labels.copy()
    predicted[:n_contradicted] = (predicted[:n_contradicted] + 1) % 5
    confidence = np.ones(100, np.float32)
    assert len(refuted_labels(held_out(predicted, confidence), labels_of(labels))) == n_refuted
    # Nobody is sure of what is less confident than what half of the others confirm.
    confidence[:n_contradicted] = 0.9
    assert not len(refuted_labels(held_out(predicted, confidence), labels_of(labels)))


def test_the_only_labels_of_a_class_stay():
    labels = np.repeat([0, 1, 2], [50, 48, 2])
    predicted = np.repeat([0, 0, 1, 0], [50, 4, 44, 2])
    found = refuted_labels(held_out(predicted, np.ones(100, np.float32)), labels_of(labels))
    assert found.tolist() == [100, 102, 104, 106]


def test_where_nothing_is_predicted_nothing_is_refuted():
    nothing = np.zeros(0, int)
    empty = held_out(nothing, np.zeros(0, np.float32))
    assert not len(refuted_labels(empty, np.full(9, -1)))
    none_right = held_out(np.ones(9, int), np.ones(9, np.float32))
    assert not len(refuted_labels(none_right, labels_of(np.zeros(9, int))))


def test_the_pipeline_teaches_no_label_that_the_others_refute(reproduced, tmp_path, monkeypatch):
    project = reproduced.copy(tmp_path / "project")
    project.set({"label.oracle_error_rate": 0.1, "label_budget": 100})
    project.repro("propagate", "evaluate_propagation")

    def load(name):
        return np.load(project.folder / f"data/{name}.npy")

    truth, labels, pseudo_labels = map(
        load, ("raw/train_labels", "representatives/labels", "spread/pseudo_labels")
    )
    monkeypatch.chdir(project.folder)
    refuted = refuted_labels(load_held_out(), labels)
    kept = np.setdiff1d(np.flatnonzero(labels >= 0), refuted)
    assert len(refuted) > 2
    assert (labels[refuted] != truth[refuted]).mean() > 0.7
    np.testing.assert_array_equal(pseudo_labels[kept], labels[kept])
    assert (pseudo_labels[refuted] == truth[refuted]).mean() > 0.7
    taught, weights = load("propagated/labels"), load("propagated/weights")
    np.testing.assert_array_equal(taught[kept], labels[kept])
    assert ((taught[refuted] == pseudo_labels[refuted]) | (taught[refuted] == -1)).all()
    assert weights[kept].min() > weights[refuted].max()
