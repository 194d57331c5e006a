"""The label of a representative for its whole cluster."""

import numpy as np

from fewlabel.methods import PropagationMethod


class Settings(PropagationMethod):
    """Nothing to set."""

    def propagate(self, pool):
        return spread_over_clusters(pool.assignment, pool.distance(), pool.y)


def spread_over_clusters(assignment, distance, y):
    """Give each image the label of its cluster's labeled image, with confidence in the near ones.

    Of several labels in a cluster, the most frequent counts, the smallest of equals; an image that
    has a label keeps it.

    Parameters
    ----------
    assignment : ndarray of shape (n_images,), int
    distance : ndarray of shape (n_images,), float
        To the centroid of the image's cluster.
    y : ndarray of shape (n_images,), int
        Labels, -1 where unlabeled.

    Returns
    -------
    pseudo_labels : ndarray of shape (n_images,), int64
        -1 in a cluster without a label.
    confidence : ndarray of shape (n_images,), float32
        The negative distance; infinite where `y` has a label.
    """
    labeled = np.flatnonzero(y >= 0)
    votes = np.zeros((assignment.max() + 1, max(y.max() + 1, 1)), int)
    np.add.at(votes, (assignment[labeled], y[labeled]), 1)
    class_of_cluster = np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
    confidence = -distance.astype(np.float32)
    confidence[labeled] = np.inf
    return np.where(y >= 0, y, class_of_cluster[assignment]), confidence
