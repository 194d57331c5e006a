"""Which method propagates labels best, told by the labels that there are."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from fewlabel.arrays import Array, Floats, Ints
from fewlabel.engine import Shared, run_parts
from fewlabel.methods import Pool, PropagationMethod
from fewlabel.propagation.held_out import HeldOut, label_weights, surely_best
from fewlabel.storage import StoredArray

MIN_Z = 2.0
_FOLD_LABELS = 1000
_MAX_FOLDS = 5
_MIN_LABELS = 10
_PREDICTED = np.dtype([("label", np.int64), ("confidence", np.float32)])
_logger = logging.getLogger(__name__)


def best_method(
    pool: Pool, methods: Mapping[str, PropagationMethod], *, files: Sequence[str | Path] = ()
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
    files
        What the pool's functions and features read.

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
    shared = Shared("spread/pool", pool)
    predict = partial(_predict, shared, labeled=labeled, files=files)
    predicted = predict(methods)
    right = {name: weights * (found == pool.y[labeled]) for name, (found, _) in predicted.items()}
    choice = surely_best(right, MIN_Z)
    shares = ", ".join(f"{name} {values.sum():.1%}" for name, values in right.items())
    _logger.info("propagation: %s (labels predicted from others are right: %s)", choice, shares)
    by_half, _ = predict({choice: methods[choice]}, step=2)[choice]
    return methods[choice], HeldOut(labeled, *predicted[choice], by_half)


def _predict(
    pool: Shared,
    methods: Mapping[str, PropagationMethod],
    *,
    labeled: Ints,
    files: Sequence[str | Path] = (),
    step: int = 1,
) -> dict[str, tuple[Ints, Floats]]:
    """Return class and confidence of each labeled image, from every `step`-th other label."""
    n_folds = min(max(_FOLD_LABELS // len(labeled), 2), _MAX_FOLDS)
    parts = [(name, fold) for name in methods for fold in range(n_folds)]
    arguments = pool, methods, n_folds, step
    made = run_parts(f"spread/held_out-{step}", _predict_fold, parts, *arguments, inputs=files)
    predicted = {
        name: (np.full(len(labeled), -1), np.zeros(len(labeled), np.float32)) for name in methods
    }
    for (name, fold), file in zip(parts, made, strict=True):
        found, (classes, confidence) = StoredArray(file)[:], predicted[name]
        classes[fold::n_folds], confidence[fold::n_folds] = found["label"], found["confidence"]
    return predicted


def _predict_fold(
    part: tuple[str, int],
    shared: Shared,
    methods: Mapping[str, PropagationMethod],
    n_folds: int,
    step: int,
) -> Array:
    """Return the same of every `n_folds`-th labeled image, from those of the other folds."""
    (name, fold), pool = part, shared.get()
    labeled = np.flatnonzero(pool.y >= 0)
    is_held_out = np.arange(len(labeled)) % n_folds == fold
    images, others = labeled[is_held_out], labeled[~is_held_out]
    pseudo_labels, confidence = methods[name].propagate(with_labels_of(pool, others[::step]))
    found = np.empty(len(images), _PREDICTED)
    found["label"], found["confidence"] = pseudo_labels[images], confidence[images]
    return found


def with_labels_of(pool: Pool, kept: Ints) -> Pool:
    """Take other labels away, and give each cluster that has none now to that of the nearest.

    `kept` are positions of labeled images.
    """
    gone = np.setdiff1d(np.flatnonzero(pool.y >= 0), kept)
    if not len(gone):
        return pool
    y = pool.y.copy()
    y[gone] = -1
    rows, others = pool.features[gone], pool.features[kept]
    squares = (others**2).sum(axis=1) - 2 * rows @ others.T
    nearest = kept[squares.argmin(axis=1)]
    assignment = np.arange(pool.assignment.max() + 1)
    still = np.isin(pool.assignment[gone], pool.assignment[kept])
    assignment[pool.assignment[gone[~still]]] = pool.assignment[nearest[~still]]
    return replace(pool, y=y, assignment=assignment[pool.assignment])
