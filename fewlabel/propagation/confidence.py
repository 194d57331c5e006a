"""How much labels count, and how confident their spread makes of each image."""

import numpy as np


def cluster_weights(assignment, y):
    """Return how much the label of each image counts: its cluster's size per label in it.

    Parameters
    ----------
    assignment, y : ndarray of shape (n_images,), int

    Returns
    -------
    ndarray of shape (n_images,), float
    """
    n_labels = np.bincount(assignment[y >= 0], minlength=assignment.max() + 1)
    return (np.bincount(assignment) / np.maximum(n_labels, 1))[assignment]


def best_class(probabilities, y):
    """Return the most probable class of each image, and its margin as confidence.

    Parameters
    ----------
    probabilities : ndarray of shape (n_images, n_classes), float32
    y : ndarray of shape (n_images,), int
        Labels, which stay; -1 where unlabeled.

    Returns
    -------
    pseudo_labels, confidence
        As of `fewlabel.methods.PropagationMethod.propagate`.
    """
    second, best = np.partition(probabilities, (-2, -1), axis=1)[:, -2:].T
    confidence = best - second
    classes = np.where(confidence > 0, probabilities.argmax(axis=1), -1)
    labeled = y >= 0
    confidence[labeled] = np.inf
    return np.where(labeled, y, classes), confidence
