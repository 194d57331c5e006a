"""The most confident pseudo-labels: a percentile of each cluster."""

import numpy as np

from fewlabel.arrays import Bools, Floats, Ints


def most_confident(confidence: Floats, assignment: Ints, percentile: float) -> Bools:
    """Choose the most confident share of each cluster.

    Taken within each cluster, since over all images at once the hard classes would starve. A
    cluster of n images keeps ceil(n * percentile / 100): at least one, so a cluster of one image
    keeps it. Of equally confident images the first are chosen.

    All arrays are of shape (n_images,), `assignment` has clusters; 0 < percentile <= 100.

    Examples
    --------
    >>> most_confident(np.array([3, 1, 2, 0]), np.array([0, 0, 0, 1]), percentile=50)
    array([ True, False,  True,  True])
    """
    by_confidence = np.lexsort((-confidence, assignment))
    _, first, cluster, size = np.unique(
        assignment[by_confidence], return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.arange(len(confidence)) - first[cluster]
    # Less a hair: 8.8 % of 375 images is 33.000000000000004 in floating point, and is 33.
    quota = np.ceil(size * percentile / 100 - 1e-9)
    chosen = np.zeros(len(confidence), bool)
    chosen[by_confidence] = rank < quota[cluster]
    return chosen


def evenly_spaced(kept: Bools, max_images: int) -> Bools:
    """Choose at most so many of the images that are kept, of shape (n_images,).

    The most confident ones instead, of each class or cluster, teach a worse classifier, the worse
    the fewer they are (docs/decisions/percentile.md).

    Examples
    --------
    >>> evenly_spaced(np.array([True, True, False, True, True]), 2)
    array([ True, False, False, False,  True])
    """
    positions = np.flatnonzero(kept)
    if len(positions) <= max_images:
        return kept
    chosen = np.zeros(len(kept), bool)
    chosen[positions[np.linspace(0, len(positions) - 1, max_images).round().astype(int)]] = True
    return chosen
