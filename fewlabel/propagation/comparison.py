"""Which method propagates labels best, told by the labels that there are."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fewlabel.arrays import Array, Floats, Ints
from fewlabel.methods import Pool, PropagationMethod
from fewlabel.parallel import progress

MIN_Z = 2.0
_FOLD_LABELS = 1000
_MAX_FOLDS = 5
_MIN_LABELS = 10
_TINY = 1e-9
_logger = logging.getLogger(__name__)


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


def best_method(
    pool: Pool, methods: Mapping[str, PropagationMethod]
) -> tuple[PropagationMethod, HeldOut]:
    """Return the first method, or the one that predicts labels best if it surely does.

    Each labeled image is predicted from the others, and counts as much as its cluster has images.
    Surely means that the difference of accuracy from the first method is over two of its standard
    errors. Images nearest to a centroid are easier to predict than others, whatever the method:
    the accuracies flatter all, and only their difference counts.

    Parameters
    ----------
    pool
        With fewer than 10 labels, nothing is predicted.
    methods
        Their names, for the log, and settings.

    Returns
    -------
    method
    held_out
        Its predictions.
    """
    labeled, first = np.flatnonzero(pool.y >= 0), next(iter(methods))
    if len(labeled) < _MIN_LABELS:
        nothing = labeled[:0]
        return methods[first], HeldOut(nothing, nothing, np.zeros(0, np.float32), nothing)
    weights = label_weights(pool.assignment, labeled)
    predicted = {
        name: _predict(pool, method, labeled)
        for name, method in progress(methods.items(), "predict each label from others")
    }
    right = {name: weights * (found == pool.y[labeled]) for name, (found, _) in predicted.items()}
    choice = surely_best(right, MIN_Z)
    shares = ", ".join(f"{name} {values.sum():.1%}" for name, values in right.items())
    _logger.info("propagation: %s (labels predicted from others are right: %s)", choice, shares)
    by_half, _ = _predict(pool, methods[choice], labeled, step=2)
    return methods[choice], HeldOut(labeled, *predicted[choice], by_half)


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


def load_held_out() -> HeldOut:
    """Read what the stage `spread` wrote, if it is `verified`."""
    import pandas as pd

    from fewlabel.storage import verified

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


def label_weights(assignment: Ints, labeled: Ints) -> Array:
    """Return the share of each labeled image: as its cluster has images; they sum to 1.

    Examples
    --------
    >>> label_weights(np.array([0, 0, 0, 1]), np.array([1, 3]))
    array([0.75, 0.25])
    """
    weights = np.bincount(assignment)[assignment[labeled]]
    share: Array = weights / weights.sum()
    return share


def _predict(
    pool: Pool, method: PropagationMethod, labeled: Ints, *, step: int = 1
) -> tuple[Ints, Floats]:
    """Return class and confidence of each labeled image, from every `step`-th other label."""
    n_folds = min(max(_FOLD_LABELS // len(labeled), 2), _MAX_FOLDS)
    predicted = np.full(len(labeled), -1)
    confidence = np.zeros(len(labeled), np.float32)
    for fold in range(n_folds):
        is_held_out = np.arange(len(labeled)) % n_folds == fold
        images, others = labeled[is_held_out], labeled[~is_held_out]
        pseudo_labels, confidences = method.propagate(_only(pool, labeled, others[::step]))
        predicted[is_held_out], confidence[is_held_out] = pseudo_labels[images], confidences[images]
    return predicted, confidence


def _only(pool: Pool, labeled: Ints, kept: Ints) -> Pool:
    """Take other labels away, and give each cluster that has none now to that of the nearest."""
    gone = np.setdiff1d(labeled, kept)
    y = pool.y.copy()
    y[gone] = -1
    nearest = kept[_nearest(pool.features()[gone], pool.features()[kept])]
    assignment = np.arange(pool.assignment.max() + 1)
    still = np.isin(pool.assignment[gone], pool.assignment[kept])
    assignment[pool.assignment[gone[~still]]] = pool.assignment[nearest[~still]]
    return replace(pool, y=y, assignment=assignment[pool.assignment])


def _nearest(rows: Floats, others: Floats) -> Ints:
    squares = (others**2).sum(axis=1) - 2 * rows @ others.T
    nearest: Ints = squares.argmin(axis=1)
    return nearest
