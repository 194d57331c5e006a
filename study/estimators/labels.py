"""The labels of semi-supervised classifiers: `y` is -1 where there is none."""

import numpy as np
from sklearn.utils.multiclass import check_classification_targets


def encode_labels(y):
    """Replace classes by their numbers.

    Parameters
    ----------
    y : ndarray of shape (n_images,)
        -1 where unlabeled, if it is of numbers.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted, without -1.
    codes : ndarray of shape (n_images,), int
        Position in `classes`, -1 where unlabeled.

    Raises
    ------
    ValueError
        If no image is labeled.
    """
    check_classification_targets(y)
    labeled = y != -1 if y.dtype.kind in "if" else np.ones(len(y), bool)
    if not labeled.any():
        raise ValueError("y has no label: all of it is -1, and at least one class is needed")
    classes, codes_of_labeled = np.unique(y[labeled], return_inverse=True)
    codes = np.full(len(y), -1)
    codes[labeled] = codes_of_labeled
    return classes, codes
