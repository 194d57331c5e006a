"""The label of a representative for its whole cluster."""

import numpy as np

from fewlabel.arrays import Floats, Ints
from fewlabel.methods import Pool, PropagationMethod


class Settings(PropagationMethod):
    """Nothing to set."""

    def propagate(self, pool: Pool) -> tuple[Ints, Floats]:
        return spread_over_clusters(pool.assignment, pool.distance(), pool.y)


def spread_over_clusters(assignment: Ints, distance: Floats, y: Ints) -> tuple[Ints, Floats]:
    """Give each image the label of its cluster's labeled image, with confidence in the near ones.

    Of several labels in a cluster, the most frequent counts, the smallest of equals; an image that
    has a label keeps it.

    Arguments are as of `fewlabel.methods.Pool`, results as of `PropagationMethod.propagate` there:
    the class is -1 in a cluster without a label, the confidence the negative distance.

    Examples
    --------
    >>> assignment, y = np.array([0, 0, 1]), np.array([7, -1, -1])
    >>> spread_over_clusters(assignment, np.array([1, 2, 3]), y)
    (array([ 7,  7, -1]), array([inf, -2., -3.], dtype=float32))
    """
    labeled = np.flatnonzero(y >= 0)
    votes = np.zeros((assignment.max() + 1, max(y.max() + 1, 1)), int)
    np.add.at(votes, (assignment[labeled], y[labeled]), 1)
    class_of_cluster = np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
    confidence = -distance.astype(np.float32)
    confidence[labeled] = np.inf
    return np.where(y >= 0, y, class_of_cluster[assignment]), confidence
