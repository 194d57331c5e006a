"""What the labels themselves say of the pseudo-labels: how good, where weak, which label is odd."""

from collections.abc import Sequence

import numpy as np

from fewlabel.arrays import Array, Ints
from fewlabel.propagation.comparison import HeldOut, label_weights

_MIN_LABELS = 3
_MIN_RECALL = 0.5
_SHARE_RATIO = 2.0
_MIN_SHARE = 0.05
MAX_SUSPICIOUS = 0.15
"""Most labels that are called suspicious, as a share of all."""
_Z = 1.96


def wilson_interval(share: float, n: float) -> tuple[float, float]:
    """Return the 95 % interval of a share of n cases.

    E. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    Examples
    --------
    >>> [round(limit, 3) for limit in wilson_interval(0.5, 100)]
    [0.404, 0.596]
    """
    center = share + _Z**2 / (2 * n)
    half = _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    low, high = ((center + sign * half) / (1 + _Z**2 / n) for sign in (-1, 1))
    return max(float(low), 0.0), min(float(high), 1.0)


def verdict(
    y: Ints,
    pseudo_labels: Ints,
    assignment: Ints,
    held_out: HeldOut,
    class_names: Sequence[str],
    names: Sequence[str],
) -> tuple[dict[str, float], list[str]]:
    """Say how far pseudo-labels can be trusted, by the labels that they come from.

    Parameters
    ----------
    y, pseudo_labels, assignment : shape (n_images,)
        Labels (-1 where unlabeled), pseudo-labels (-1 where there is none), and clusters.
    held_out
        Each label predicted from the others; none where there are too few labels.
    class_names, names
        Of the classes and of the images.

    Returns
    -------
    metrics
        Numbers for `dvc metrics`; without predictions, only those of labels and classes.
    sentences
        The same for people.
    """
    labeled = np.flatnonzero(y >= 0)
    missing = [name for i, name in enumerate(class_names) if i not in y[labeled]]
    metrics: dict[str, float] = {"labels": len(labeled), "missing_classes": len(missing)}
    sentences = [f"No label is of {', '.join(missing)}: no image will be called so."] * bool(
        missing
    )
    if not len(held_out.images):
        return metrics, [*sentences, "There are too few labels to say how good the others are."]
    is_right = held_out.predicted == y[held_out.images]
    weights = label_weights(assignment, held_out.images)
    accuracy = min(float(weights @ is_right), 1.0)
    low, high = wilson_interval(accuracy, 1 / float(weights @ weights))
    weak = _weak_classes(y[held_out.images], is_right, class_names)
    suspicious = _suspicious(y, held_out)
    metrics |= {
        "held_out_accuracy": accuracy,
        "held_out_low": low,
        "held_out_high": high,
        "weak_classes": len(weak),
        "suspicious_labels": len(suspicious),
    }
    sentences = [
        f"Of the labels, {accuracy:.0%} (95 % interval {low:.0%} to {high:.0%}) are predicted "
        "right from the others, each counted as its cluster has images. New images may be right "
        "more or less often: labeled images are the easy ones of their clusters, but are predicted "
        "here without the label of their own cluster.",
        *sentences,
        *[f"Weak classes: {', '.join(weak)}. More labels of them would help most."] * bool(weak),
        *_shares(y, pseudo_labels, weights, held_out.images, class_names),
    ]
    if suspicious:
        odd = ", ".join(
            f"{names[image]} ({class_names[y[image]]}, by the others {class_names[other]})"
            for image, other in suspicious
        )
        sentences.append(f"Look again at these labels, the most suspicious first: {odd}.")
    return metrics, sentences


def _weak_classes(labels: Ints, is_right: Array, class_names: Sequence[str]) -> list[str]:
    """Name the classes of whose labels less than half are predicted, of three labels or more."""
    return [
        f"{class_names[i]} ({is_right[labels == i].sum()} of {n} labels are predicted)"
        for i, n in enumerate(np.bincount(labels, minlength=len(class_names)))
        if n >= _MIN_LABELS and is_right[labels == i].mean() < _MIN_RECALL
    ]


def _suspicious(y: Ints, held_out: HeldOut) -> list[tuple[int, int]]:
    """Return image and class of the labels that others contradict, the surest first, 15 % at most.

    The class is what the others say.
    """
    contradicted = (held_out.predicted >= 0) & (held_out.predicted != y[held_out.images])
    order = np.lexsort((-held_out.confidence, ~contradicted))
    n_most = int(np.ceil(MAX_SUSPICIOUS * len(order)))
    first = order[: min(n_most, contradicted.sum())]
    pairs = zip(held_out.images[first].tolist(), held_out.predicted[first].tolist(), strict=True)
    return list(pairs)


def _shares(
    y: Ints, pseudo_labels: Ints, weights: Array, labeled: Ints, class_names: Sequence[str]
) -> list[str]:
    """Name the classes that pseudo-labels have far more or less of than labels stand for."""
    n = len(class_names)
    of_labels = np.bincount(y[labeled], weights, n)
    given = pseudo_labels[pseudo_labels >= 0]
    of_pseudo_labels = np.bincount(given, minlength=n) / max(len(given), 1)
    larger = np.maximum(of_labels, of_pseudo_labels)
    smaller = np.minimum(of_labels, of_pseudo_labels)
    far = (larger >= _MIN_SHARE) & (larger > _SHARE_RATIO * smaller) & (of_labels > 0)
    named = [
        f"{class_names[i]} {of_pseudo_labels[i]:.0%} (labels stand for {of_labels[i]:.0%})"
        for i in np.flatnonzero(far).tolist()
    ]
    return [f"Pseudo-labels have far from the labels' shares of {', '.join(named)}."] * bool(named)
