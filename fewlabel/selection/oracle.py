"""An oracle that is asked for labels in place of a person."""

import numpy as np
from numpy.typing import NDArray

from fewlabel.arrays import Ints
from fewlabel.errors import FewlabelError


def oracle_labels(labels: Ints, chosen: Ints, *, error_rate: float, seed: int) -> NDArray[np.int64]:
    """Return the labels of a person who is asked for the chosen images and errs at `error_rate`.

    An image gets the same answer whoever chose it, so that two ways of choosing meet the same
    person. `labels` are the true classes, -1 of an image of no class; `chosen` are the indices of
    images. Each wrong class is as likely. The answers are of shape (n_images,), -1 where nobody was
    asked, or the answer is that the image is of no class.

    Raises
    ------
    FewlabelError
        Where no image is of a class, so that the true classes are not known; where all are of one,
        so that no answer can be wrong.

    Examples
    --------
    >>> oracle_labels(np.array([2, 0, 1, 1]), np.array([0, 3]), error_rate=0, seed=0)
    array([ 2, -1, -1,  1])
    """
    if (labels < 0).all():
        raise FewlabelError(
            "label.source is oracle, but must be human where the data set has no labels of the "
            "training images; an .npz may hold train_labels"
        )
    rng = np.random.default_rng([seed, 2])
    errs = rng.random(len(labels)) < error_rate
    n_classes = labels.max() + 1
    if n_classes < 2 and error_rate > 0:
        raise FewlabelError("an oracle that errs needs at least two classes")
    shift = rng.integers(1, max(n_classes, 2), size=len(labels))
    any_class = rng.integers(n_classes, size=len(labels))
    wrong = np.where(labels < 0, any_class, (labels + shift) % n_classes)
    answers = np.where(errs, wrong, labels)
    asked = np.full(len(labels), -1)
    asked[chosen] = answers[chosen]
    return asked
