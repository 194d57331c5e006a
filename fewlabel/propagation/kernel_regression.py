"""Class scores of all images by kernel ridge regression on the labeled ones."""

import numpy as np
from scipy import ndimage
from sklearn.kernel_ridge import KernelRidge

from fewlabel.arrays import Floats, Ints
from fewlabel.parallel import for_each_block, log_duration
from fewlabel.rows import scale_to_length

RIDGE = 0.1
GAMMA = 0.5
# Its kernel matrix takes 400 MB, and ten seconds to solve on two cores.
MAX_EXAMPLES = 10_000
# With fewer labels than that, more components of the features tell less: see
# docs/decisions/leading-components.md.
MIN_COMPONENTS = 128
_BLOCK_ROWS = 512
_PIXELS_PER_SHIFT = 28


def examples(images: Floats, y: Ints) -> tuple[Floats, Ints]:
    """Choose what a regression learns from: images and shifted copies, 10,000 at most.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width, ...)
    y : ndarray of shape (n_images,)

    Returns
    -------
    images : ndarray of shape (n_examples, height, width, ...)
        With their copies; where those would be too many, the images alone, or evenly spaced ones.
    y : ndarray of shape (n_examples,)
    """
    step = max(-(-len(images) // MAX_EXAMPLES), 1)
    images, y = images[::step], y[::step]
    n_copies = len(shifted_copies(images[:1]))
    if n_copies * len(images) > MAX_EXAMPLES:
        return images, y
    return shifted_copies(images), np.tile(y, n_copies)


def shifted_copies(images: Floats) -> Floats:
    """Return images as they are, then moved left, right, up and down by a 28th of their side.

    What a label says of an image, it says of these, too. Images of fewer than 14 pixels have no
    such copies.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width, ...)

    Returns
    -------
    ndarray of shape (n_copies * n_images, height, width, ...)
        With n_copies 5 or 1, each in the order of the images; the edge is repeated where an image
        was moved away from it.

    Examples
    --------
    >>> shifted_copies(np.zeros((2, 28, 28))).shape
    (10, 28, 28)
    """
    copies = [images]
    for axis in (1, 2):
        step = round(images.shape[axis] / _PIXELS_PER_SHIFT)
        for shift in (-step, step) if step else ():
            offsets = [shift if a == axis else 0 for a in range(images.ndim)]
            copies.append(ndimage.shift(images, offsets, order=0, mode="nearest"))
    return np.concatenate(copies)


def class_scores(features: Floats, labeled_features: Floats, y: Ints, n_classes: int) -> Floats:
    """Return scores of each class for each image, from the labeled ones.

    Ridge regression (penalty 0.1) from the cosine of images, through the kernel
    exp(-0.5 |a - b|^2) of rows of unit length, to 1 for an image's class and 0 for the others.

    Parameters
    ----------
    features : ndarray of shape (n_images, n_features)
    labeled_features : ndarray of shape (n_labeled, n_features)
    y : ndarray of shape (n_labeled,)
        Their classes.
    n_classes

    Returns
    -------
    ndarray of shape (n_images, n_classes)
        About probabilities, but below 0 and above 1, too.

    Examples
    --------
    >>> features = np.array([[1, 0], [0, 1], [5, 1]], np.float32)
    >>> class_scores(features, features[:2], np.array([0, 1]), 2).argmax(axis=1)
    array([0, 1, 0])
    """
    labeled = scale_to_length(labeled_features, 1)
    even = np.float32(1 / n_classes)
    targets = np.eye(n_classes, dtype=np.float32)[y] - even
    regression = KernelRidge(alpha=RIDGE, kernel="rbf", gamma=GAMMA)
    with log_duration(f"kernel ridge regression on {len(labeled):,} labeled images and copies"):
        regression.fit(labeled, targets)
    scores = np.empty((len(features), n_classes), np.float32)

    def predict(rows: slice) -> None:
        scores[rows] = regression.predict(scale_to_length(features[rows], 1)) + even

    for_each_block(predict, len(features), block_rows=_BLOCK_ROWS, description="class scores")
    return scores
