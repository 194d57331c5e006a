"""What a classifier and a propagation were worth, measured after the fact with all labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from fewlabel.arrays import Floats, Ints
from fewlabel.propagation.percentile import most_confident


def classification_metrics(labels: Ints, probabilities: Floats) -> dict[str, float]:
    """Return accuracy, F1 and calibration of probabilities of shape (n_images, n_classes).

    All are between 0 and 1. F1 is averaged over the classes that images have: that of another class
    is not 0 but unknown.

    Examples
    --------
    >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    >>> classification_metrics(np.array([0, 0, 1]), probabilities)["macro_f1"]
    0.6666666666666666
    """
    predicted = probabilities.argmax(axis=1)
    classes = np.unique(labels)
    macro, weighted = (
        f1_score(labels, predicted, labels=classes, average=average, zero_division=0)
        for average in ("macro", "weighted")
    )
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "macro_f1": float(macro),
        "weighted_f1": float(weighted),
        "expected_calibration_error": expected_calibration_error(labels, probabilities),
    }


def expected_calibration_error(labels: Ints, probabilities: Floats, *, n_bins: int = 15) -> float:
    """Return the mean distance of confidence from accuracy over bins of equal width of confidence.

    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3, with their
    number of bins; arrays are as of `classification_metrics`.

    Examples
    --------
    >>> expected_calibration_error(np.array([0, 1]), np.array([[0.75, 0.25], [0.75, 0.25]]))
    0.25
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    # Bins are open to the left, as in the paper: (0, 1/15], (1/15, 2/15], ...
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    gap = np.bincount(bins, weights=right - confidence, minlength=n_bins)
    return float(np.abs(gap).sum() / len(labels))


def per_class_table(labels: Ints, predicted: Ints, class_names: Sequence[str]) -> dict[str, Any]:
    """Return precision, recall, F1 and number of images of each class, as columns.

    The scores of a class without images are NaN; without any image, the columns are empty.
    """
    names = ("class", "precision", "recall", "f1", "images")
    if not len(labels):
        return {name: [] for name in names}
    *scores, images = precision_recall_fscore_support(
        labels, predicted, labels=range(len(class_names)), zero_division=0
    )
    columns = (list(class_names), *np.where(images, scores, np.nan), images)
    return dict(zip(names, columns, strict=True))


def propagation_metrics(labels: Ints, propagated: Ints) -> dict[str, float]:
    """Return coverage and accuracy of pseudo-labels, and the number of their classes.

    A pseudo-label is -1 where there is none, a true class where an image is of none: a pseudo-label
    of it is wrong. Where all true classes are -1, they are unknown, and label_accuracy is missing.

    Examples
    --------
    >>> propagation_metrics(np.array([0, 1, 1, 1]), np.array([0, 1, 0, -1]))
    {'coverage': 0.75, 'label_accuracy': 0.6666666666666666, 'classes_represented': 2}
    """
    given = propagated >= 0
    is_known = (labels >= 0).any() and given.any()
    accuracy = {"label_accuracy": float((propagated == labels)[given].mean())} if is_known else {}
    return {
        "coverage": float(given.mean()),
        **accuracy,
        "classes_represented": len(np.unique(propagated[given])),
    }


def propagation_curve(
    labels: Ints,
    pseudo_labels: Ints,
    confidence: Floats,
    assignment: Ints,
    *,
    percentiles: Sequence[float],
) -> dict[str, Sequence[float]]:
    """Return coverage and label accuracy at each percentile, as columns.

    `labels` are the true classes, as of `propagation_metrics`, and all arrays of shape (n_images,).
    """
    points = [
        propagation_metrics(
            labels, np.where(most_confident(confidence, assignment, percentile), pseudo_labels, -1)
        )
        for percentile in percentiles
    ]
    return {
        "percentile": percentiles,
        "coverage": [point["coverage"] for point in points],
        "label_accuracy": [point.get("label_accuracy", np.nan) for point in points],
    }
