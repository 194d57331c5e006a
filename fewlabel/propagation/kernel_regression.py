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

    Where the copies would be too many, it is the images alone, or evenly spaced ones. Images are
    of shape (n_images, height, width, ...).
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
    such copies. The edge is repeated where an image of shape (height, width, ...) was moved away
    from it, and each copy of all of them is in their order.

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

    The scores, of shape (n_images, n_classes), are about probabilities, but below 0 and above 1,
    too; `y` has the classes of the labeled images.

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
