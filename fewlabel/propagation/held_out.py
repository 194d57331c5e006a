"""Labels predicted from the others: what they say of a method, and of each other."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fewlabel.arrays import Array, Floats, Ints
from fewlabel.propagation.confidence import cluster_weights
from fewlabel.storage import verified

_MAX_BY_CHANCE, _MAX_SHARE_BY_CHANCE = 2, 0.02
_TINY = 1e-9


class HeldOut(NamedTuple):
    """Labels predicted from the others.

    Attributes
    ----------
    images : shape (n_labels,)
        Positions of the labeled images.
    predicted : shape (n_labels,)
        Class, or -1.
    confidence : shape (n_labels,)
        As of the method.
    predicted_by_half : shape (n_labels,)
        Class by half of these others, or -1.
    """

    images: Ints
    predicted: Ints
    confidence: Floats
    predicted_by_half: Ints


def load_held_out() -> HeldOut:
    """Read what the stage `spread` wrote, if it is `verified`."""
    import pandas as pd

    dtypes = dict.fromkeys(HeldOut._fields, np.int64) | {"confidence": np.float32}
    table = pd.read_csv(verified("data/spread/held_out.csv"), dtype=dtypes)
    return HeldOut(*(table[name].to_numpy() for name in HeldOut._fields))


def held_out_accuracy(held_out: HeldOut, y: Ints) -> float | None:
    """Return the share of labels that the others predict, None where nothing was predicted.

    `y` is of shape (n_images,), -1 where unlabeled.

    Examples
    --------
    >>> labeled = np.array([1, 2])
    >>> found = HeldOut(labeled, np.array([3, 3]), np.ones(2), np.array([3, 3]))
    >>> held_out_accuracy(found, np.array([-1, 3, 4]))
    0.5
    """
    is_right = held_out.predicted == y[held_out.images]
    return float(is_right.mean()) if len(is_right) else None


def expected_accuracy(held_out: HeldOut, y: Ints) -> float | None:
    """Return the same, below 1: that n labels are all predicted right says no more than that.

    Examples
    --------
    >>> labeled = np.array([1, 2])
    >>> found = HeldOut(labeled, np.array([3, 4]), np.ones(2), np.array([3, 4]))
    >>> round(expected_accuracy(found, np.array([-1, 3, 4])), 3)
    0.833
    """
    accuracy, n = held_out_accuracy(held_out, y), len(held_out.images)
    return None if accuracy is None else min(accuracy, (n + 0.5) / (n + 1))


def refuted_labels(held_out: HeldOut, y: Ints) -> Ints:
    """Return positions of images whose labels are probably wrong.

    The others contradict them at least as confidently as they predict half of the labels that they
    predict right. Labels stay where these are half of their class or more, which is then rather one
    that others do not know, and where they are two in all, or 2 %: so many are so where none is
    wrong (docs/decisions/wrong-labels.md). `y` is of shape (n_images,), -1 where unlabeled.

    Examples
    --------
    >>> images, y = np.arange(20), np.repeat([0, 1], 10)
    >>> predicted = np.repeat([0, 1, 0, 1], [7, 3, 3, 7])
    >>> confidence = np.repeat([3, 1], [12, 8])
    >>> refuted_labels(HeldOut(images, predicted, confidence, predicted), y)
    array([ 7,  8,  9, 10, 11])
    """
    given = y[held_out.images]
    is_right = held_out.predicted == given
    if not is_right.any():
        return held_out.images[:0]
    is_sure = held_out.confidence >= np.median(held_out.confidence[is_right])
    is_refuted = is_sure & ~is_right & (held_out.predicted >= 0)
    refuted_of_class = np.bincount(given[is_refuted], minlength=given.max() + 1)
    is_refuted &= (2 * refuted_of_class < np.bincount(given))[given]
    if is_refuted.sum() <= max(_MAX_BY_CHANCE, _MAX_SHARE_BY_CHANCE * len(given)):
        is_refuted[:] = False
    refuted: Ints = held_out.images[is_refuted]
    return refuted


def label_weights(assignment: Ints, labeled: Ints) -> Array:
    """Return the share of each labeled image: its cluster's, divided by the labels in it.

    They sum to 1.

    Examples
    --------
    >>> label_weights(np.array([0, 0, 0, 1]), np.array([1, 3]))
    array([0.75, 0.25])
    >>> label_weights(np.array([0, 0, 0, 1]), np.array([0, 1, 3]))
    array([0.375, 0.375, 0.25 ])
    """
    weights = cluster_weights(assignment, labeled)[labeled]
    share: Array = weights / weights.sum()
    return share


def surely_best(right: Mapping[str, Array], min_z: float) -> str:
    """Return the first name, or that which is better by over `min_z` standard errors.

    `right` has, of each name, how much each case counts if it is right, else 0.

    Examples
    --------
    >>> surely_best({"a": np.array([1, 0, 0]), "b": np.array([1, 1, 1])}, 1.0)
    'b'
    """
    first = next(iter(right))
    gains = {name: np.subtract(values, right[first], dtype=float) for name, values in right.items()}
    z = {name: gain.sum() / max(np.linalg.norm(gain), _TINY) for name, gain in gains.items()}
    best = max(z, key=lambda name: z[name])
    return best if z[best] > min_z else first
