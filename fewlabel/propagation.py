"""From the labels of a few images to a class, and how far to trust it, for every image."""

import numpy as np

from fewlabel.graph import spread_labels


def spread_over_clusters(assignment, distance, y):
    """Give each image the label of its cluster's labeled image; trust the near ones.

    Parameters
    ----------
    assignment : ndarray of shape (n_images,), int
    distance : ndarray of shape (n_images,), float
        To the centroid of the image's cluster.
    y : ndarray of shape (n_images,), int
        Labels of the representatives, -1 elsewhere; at most one label a cluster.

    Returns
    -------
    classes : ndarray of shape (n_images,), int64
        -1 in a cluster without a label.
    trust : ndarray of shape (n_images,), float32
        The negative distance; infinite where `y` has a label.
    """
    labeled = np.flatnonzero(y >= 0)
    class_of_cluster = np.full(assignment.max() + 1, -1)
    class_of_cluster[assignment[labeled]] = y[labeled]
    trust = -distance.astype(np.float32)
    trust[labeled] = np.inf
    return class_of_cluster[assignment], trust


def spread_over_graph(affinity, assignment, y, n_classes, alpha, n_sweeps):
    """Spread labels over the kNN graph; trust images whose best class is far ahead.

    A label weighs as much as its cluster has images, since it stands for them. That makes class
    mass follow the data, where the usual normalization to the shares of the labels makes it follow
    the clustering (docs/choices.md has the measurements).

    Parameters
    ----------
    affinity : sparse array of shape (n_images, n_images)
        From `fewlabel.graph.affinity_graph`.
    assignment : ndarray of shape (n_images,), int
        Cluster of each image.
    y : ndarray of shape (n_images,), int
        Labels, -1 where unlabeled.
    n_classes, alpha, n_sweeps
        As in `fewlabel.graph.spread_labels`.

    Returns
    -------
    classes : ndarray of shape (n_images,), int64
        -1 where no label reaches; the image's own label where it has one.
    trust : ndarray of shape (n_images,), float32
        Probability of the best class less that of the second; infinite where `y` has a label.
    """
    weights = np.bincount(assignment)[assignment]
    probabilities = spread_labels(affinity, y, weights, n_classes, alpha, n_sweeps)
    second, best = np.partition(probabilities, (-2, -1), axis=1)[:, -2:].T
    trust = best - second
    classes = np.where(trust > 0, probabilities.argmax(axis=1), -1)
    labeled = y >= 0
    trust[labeled] = np.inf
    return np.where(labeled, y, classes), trust
