"""What a classifier and a propagation were worth, measured after the fact with all labels."""

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from fewlabel.propagation.percentile import most_confident


def classification_metrics(labels, probabilities):
    """Return accuracy, F1 and calibration of predicted class probabilities.

    Parameters
    ----------
    labels : ndarray of shape (n_images,), int
    probabilities : ndarray of shape (n_images, n_classes), float

    Returns
    -------
    dict of str to float
        All between 0 and 1. F1 is averaged over the classes that images have: that of another
        class is not 0 but unknown.
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


def expected_calibration_error(labels, probabilities, n_bins=15):
    """Mean distance of confidence from accuracy over bins of equal width of confidence.

    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Parameters
    ----------
    labels : ndarray of shape (n_images,), int
    probabilities : ndarray of shape (n_images, n_classes), float
    n_bins : int, default=15
        The paper's.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    # Bins are open to the left, as in the paper: (0, 1/15], (1/15, 2/15], ...
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    gap = np.bincount(bins, weights=right - confidence, minlength=n_bins)
    return float(np.abs(gap).sum() / len(labels))


def per_class_table(labels, predicted, class_names):
    """Return precision, recall, F1 and number of images of each class, as columns.

    The scores of a class without images are NaN; without any image, the columns are empty.
    """
    if not len(labels):
        return {name: [] for name in ("class", "precision", "recall", "f1", "images")}
    classes = range(len(class_names))
    scores = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    *scores, images = scores
    precision, recall, f1 = np.where(images, scores, np.nan)
    return {
        "class": list(class_names),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "images": images,
    }


def propagation_metrics(labels, propagated):
    """Return coverage and accuracy of pseudo-labels.

    Parameters
    ----------
    labels, propagated : ndarray of shape (n_images,), int
        True classes, -1 where unknown; pseudo-labels, -1 where there is none.

    Returns
    -------
    dict of str to number
        Without label_accuracy where no true class of a pseudo-label is known.
    """
    given = propagated >= 0
    right = (propagated == labels)[given & (labels >= 0)]
    return {
        "coverage": float(given.mean()),
        **({"label_accuracy": float(right.mean())} if len(right) else {}),
        "classes_represented": len(np.unique(propagated[given])),
    }


def propagation_curve(labels, pseudo_labels, confidence, assignment, percentiles):
    """Coverage and label accuracy at each percentile, as columns.

    Parameters
    ----------
    labels, pseudo_labels, confidence, assignment : ndarray of shape (n_images,)
        True classes (-1 where unknown), pseudo-labels (-1 where none), confidence, clusters.
    percentiles : sequence of float
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
