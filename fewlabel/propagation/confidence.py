"""How much labels count, and how confident their spread makes of each image."""

import numpy as np

from fewlabel.arrays import Array, Floats, Ints


def cluster_weights(assignment: Ints, labeled: Array) -> Array:
    """Return how much the label of each image counts: its cluster's size per label in it.

    The cluster of each image and the result are of shape (n_images,). Images with a label are given
    by their positions, or by a mask of that shape.

    Examples
    --------
    >>> cluster_weights(np.array([0, 0, 0, 1]), np.array([0, 1, 3]))
    array([1.5, 1.5, 1.5, 1. ])
    """
    n_labels = np.bincount(assignment[labeled], minlength=assignment.max() + 1)
    weights: Array = (np.bincount(assignment) / np.maximum(n_labels, 1))[assignment]
    return weights


def by_cluster(assignment: Ints) -> Ints:
    """Return positions of images, those of a cluster beside each other, as most neighbors are.

    Examples
    --------
    >>> by_cluster(np.array([1, 0, 1, 0]))
    array([1, 3, 0, 2])
    """
    return np.argsort(assignment, kind="stable")


def best_class(probabilities: Floats, y: Ints) -> tuple[Ints, Floats]:
    """Return the most probable class of each image, and its margin over the second as confidence.

    Probabilities are of shape (n_images, n_classes); labels in `y` stay, with infinite confidence.
    Images whose best classes are equal get -1.

    Examples
    --------
    >>> best_class(np.array([[0.25, 0.75], [0.5, 0.5], [1, 0]]), np.array([-1, -1, 1]))
    (array([ 1, -1,  1]), array([0.5, 0. , inf]))
    """
    second, best = np.partition(probabilities, (-2, -1), axis=1)[:, -2:].T
    confidence = best - second
    classes = np.where(confidence > 0, probabilities.argmax(axis=1), -1)
    labeled = y >= 0
    confidence[labeled] = np.inf
    return np.where(labeled, y, classes), confidence
