"""What the labels themselves say: how good the others are, where weak, which label is odd."""

from collections.abc import Mapping, Sequence

import numpy as np

from fewlabel.arrays import Array, Bools, Ints
from fewlabel.estimate import wilson_interval
from fewlabel.propagation.held_out import (
    HeldOut,
    held_out_accuracy,
    label_weights,
    refuted_labels,
    surely_best,
)

_MIN_LABELS = 3
_MIN_RECALL = 0.5
_SHARE_RATIO = 2.0
_MIN_SHARE = 0.05
_MIN_Z = 1.0
MAX_SUSPICIOUS = 0.15
"""Most labels that are called suspicious, as a share of all."""


def verdict(
    y: Ints,
    excluded: Bools,
    pseudo_labels: Ints,
    assignment: Ints,
    held_out: HeldOut,
    class_names: Sequence[str],
    names: Sequence[str],
) -> tuple[dict[str, float], list[str]]:
    """Say how far pseudo-labels can be trusted, by the labels that they come from.

    Parameters
    ----------
    y, excluded, pseudo_labels, assignment : shape (n_images,)
        Labels (-1 where unlabeled), which images are to get none, pseudo-labels (-1 where there is
        none), and clusters.
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
    n_strange, sentences = _of_no_class(y, excluded, pseudo_labels, assignment)
    metrics["representatives_of_no_class"] = n_strange
    if missing:
        sentences.append(f"No label is of {', '.join(missing)}: no image will be called so.")
    accuracy = held_out_accuracy(held_out, y)
    if accuracy is None:
        return metrics, [*sentences, "There are too few labels to say how good the others are."]
    is_right = held_out.predicted == y[held_out.images]
    low, high = wilson_interval(accuracy, len(is_right))
    weak = _weak_classes(y[held_out.images], is_right, class_names)
    suspicious = suspicious_labels(y, held_out)
    n_refuted = len(refuted_labels(held_out, y))
    more, sentence_of_more = _more_labels(y, held_out)
    metrics |= {
        "held_out_accuracy": accuracy,
        "held_out_low": low,
        "held_out_high": high,
        "gain_of_twice_the_labels": more,
        "weak_classes": len(weak),
        "suspicious_labels": len(suspicious),
        "refuted_labels": n_refuted,
    }
    sentences = [
        f"Of the labels, {accuracy:.0%} (95 % interval {low:.0%} to {high:.0%}) are predicted "
        "right from the others. New images may be right more or less often: labeled images are the "
        "easy ones of their clusters, but are predicted here without the label of their own "
        "cluster.",
        sentence_of_more,
        *sentences,
        *[f"Weak classes: {', '.join(weak)}. More labels of them would help most."] * bool(weak),
        *_shares(y, pseudo_labels, label_weights(assignment, held_out.images), class_names),
    ]
    if suspicious:
        odd = ", ".join(
            f"{names[image]} ({class_names[y[image]]}, by the others {class_names[other]})"
            for image, other in suspicious
        )
        sentences.append(f"Look again at these labels, the most suspicious first: {odd}.")
    if n_refuted:
        sentences.append(
            f"The others refute {n_refuted} labels, which are not propagated. If they are right, "
            "more labels of images like these would show it."
        )
    return metrics, sentences


def preferred(
    check: Ints, predictions: Mapping[str, tuple[Ints, Ints]], accuracy: Mapping[str, str]
) -> tuple[str, list[str]]:
    """Choose the classifier to ship, by the images that only measure.

    Parameters
    ----------
    check : shape (n_images,)
        Labels of the images that only measure, -1 of others.
    predictions
        Name of a training set -> images that measured its classifier, and the class of each. The
        first is shipped, unless another is better by over a standard error.
    accuracy
        Name -> its accuracy on them, in words.

    Returns
    -------
    training_set
    sentences
    """
    names = list(predictions)
    first, (images, _) = names[0], predictions[names[0]]
    if not len(images):
        return first, [
            f"The classifier of {first} is shipped. Whether it is the better one, and how good, "
            "only random images with labels can tell: set label.check_size to 100 or more."
        ]
    right = {name: predicted == check[i] for name, (i, predicted) in predictions.items()}
    choice = surely_best(right, _MIN_Z)
    known = "; ".join(f"{name} {accuracy[name]}" for name in names)
    return choice, [
        f"The classifier of {choice} is shipped. Expect it to be right as often as on the "
        f"{len(images)} random images that nothing was trained on: {known}."
    ]


def _more_labels(y: Ints, held_out: HeldOut) -> tuple[float, str]:
    """Say what more labels would bring, if errors fall again as from half of the labels to all."""
    labels = y[held_out.images]
    by_half, by_all = held_out.predicted_by_half != labels, held_out.predicted != labels
    fall = by_half.astype(float) - by_all
    is_sure = fall.sum() > _MIN_Z * np.linalg.norm(fall)
    ratio = by_all.sum() / by_half.sum() if is_sure else 1.0
    twice, four_times = (float(by_all.mean() * (1 - ratio**times)) for times in (1, 2))
    advice = (
        f"{2 * len(labels)} labels would raise this by about {100 * twice:.0f} points, and "
        f"{4 * len(labels)} by {100 * four_times:.0f}, if errors fall as they fell."
        if is_sure
        else "More labels may help little."
    )
    return twice, f"From half as many labels, {1 - by_half.mean():.0%} are predicted. {advice}"


def _of_no_class(
    y: Ints, excluded: Bools, pseudo_labels: Ints, assignment: Ints
) -> tuple[int, list[str]]:
    """Count clusters whose representative is of no class, as others of them get pseudo-labels."""
    is_strange = np.isin(assignment, np.setdiff1d(assignment[excluded], assignment[y >= 0]))
    of_others = is_strange & (pseudo_labels >= 0)
    n_strange = len(np.unique(assignment[of_others]))
    return n_strange, [
        f"{n_strange} of {len(np.unique(assignment))} representatives are of no class. Their "
        f"clusters hold {of_others.mean():.0%} of all images, which get a class all the same; one "
        "of their own in the class names would keep them apart."
    ] * bool(n_strange)


def _weak_classes(labels: Ints, is_right: Array, class_names: Sequence[str]) -> list[str]:
    """Name the classes of whose labels less than half are predicted, of three labels or more."""
    return [
        f"{class_names[i]} ({is_right[labels == i].sum()} of {n} labels are predicted)"
        for i, n in enumerate(np.bincount(labels, minlength=len(class_names)))
        if n >= _MIN_LABELS and is_right[labels == i].mean() < _MIN_RECALL
    ]


def suspicious_labels(y: Ints, held_out: HeldOut) -> list[tuple[int, int]]:
    """Return image and class of the labels that others contradict, the surest first, 15 % at most.

    The class is what the others say.
    """
    contradicted = (held_out.predicted >= 0) & (held_out.predicted != y[held_out.images])
    order = np.lexsort((-held_out.confidence, ~contradicted))
    n_most = int(np.ceil(MAX_SUSPICIOUS * len(order)))
    first = order[: min(n_most, contradicted.sum())]
    pairs = zip(held_out.images[first].tolist(), held_out.predicted[first].tolist(), strict=True)
    return list(pairs)


def _shares(y: Ints, pseudo_labels: Ints, weights: Array, class_names: Sequence[str]) -> list[str]:
    """Name the classes that pseudo-labels have far more or less of than labels stand for."""
    n = len(class_names)
    of_labels = np.bincount(y[y >= 0], weights, n)
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
