"""The published recipe as one classifier, whose `y` is -1 where there is no label."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from fewlabel.selection.clusters import fit_clusters
from study.estimators.labels import encode_labels
from study.estimators.propagation_classifier import PropagationClassifier


class LabelPropagation(PropagationClassifier):
    """By this name, scikit-learn's checks do not ask it to take -1 for a class."""


@parametrize_with_checks([LabelPropagation()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


@pytest.fixture(scope="module")
def represented(digits):
    """Return the images, 40 clusters of them, and labels of their representatives only."""
    X, y = digits
    clustering = KMeans(40, random_state=0)
    _, assignment, distance, representatives = fit_clusters(clustering, X)
    labels = np.full(len(y), -1)
    labels[representatives] = y[representatives]
    return X, labels, FrozenEstimator(clustering), assignment, distance


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        ([-1, 7, 3, -1, 7], [3, 7], [-1, 1, 0, -1, 1]),
        ([0.0, -1.0, 2.0], [0.0, 2.0], [0, -1, 1]),
        (["b", "a", "-1"], ["-1", "a", "b"], [2, 1, 0]),
        ([True, False], [False, True], [1, 0]),
    ],
)
def test_encode_labels(y, classes, codes):
    found = encode_labels(np.array(y))
    np.testing.assert_array_equal(found[0], classes)
    np.testing.assert_array_equal(found[1], codes)


def test_all_unlabeled_is_an_error():
    with pytest.raises(ValueError, match="y has no label"):
        encode_labels(np.full(3, -1))


def test_only_a_classifier_with_probabilities_has_them(represented):
    X, labels, *_ = represented
    assert not hasattr(PropagationClassifier(SVC()).fit(X, labels), "predict_proba")


@pytest.mark.parametrize("percentile", [20, 100])
def test_propagation_over_clusters(represented, percentile):
    X, labels, clustering, assignment, distance = represented
    fitted = PropagationClassifier(KNeighborsClassifier(1), clustering, percentile=percentile).fit(
        X, labels
    )
    for cluster in range(40):
        members = np.flatnonzero(assignment == cluster)
        (label,) = labels[members][labels[members] >= 0]
        assert (fitted.transduction_[members] == label).all()
        nearest = members[np.argsort(distance[members], kind="stable")]
        quota = -(-len(members) * percentile // 100)
        assert set(np.flatnonzero(fitted.propagated_ & (assignment == cluster))) == set(
            nearest[:quota]
        )
    expected = KNeighborsClassifier(1).fit(
        X[fitted.propagated_], fitted.transduction_[fitted.propagated_]
    )
    np.testing.assert_array_equal(fitted.predict(X), expected.predict(X))


def test_what_no_label_reaches_stays_unlabeled():
    X = np.repeat(np.float32([[0, 0], [9, 0], [0, 9]]), 5, axis=0)
    y = np.full(15, -1)
    y[[0, 5]] = [4, 6]
    clustering = KMeans(3, random_state=0)
    fitted = PropagationClassifier(KNeighborsClassifier(1), clustering).fit(X, y)
    np.testing.assert_array_equal(fitted.transduction_, np.repeat([4, 6, -1], 5))
    np.testing.assert_array_equal(fitted.propagated_, np.arange(15) < 10)
