"""Class scores of all images by kernel ridge regression on the labeled ones."""

import numpy as np
from scipy import ndimage
from sklearn.kernel_ridge import KernelRidge

from fewlabel.arrays import Floats, Indexed, Ints, Transformer, blocks
from fewlabel.parallel import for_each_block, log_duration
from fewlabel.rows import ImageRows, scale_to_length, transformed

RIDGE = 0.1
GAMMA = 0.5
# Its kernel matrix takes 400 MB, and ten seconds to solve on two cores.
MAX_EXAMPLES = 10_000
# With fewer labels than that, more components of the features tell less: see
# docs/decisions/leading-components.md.
MIN_COMPONENTS = 128
_BLOCK_ROWS = 512
_PIXELS_PER_SHIFT = 28


def examples(
    labeled: Ints, features: Indexed, images: ImageRows, embedding: Transformer
) -> tuple[Ints, Floats]:
    """Choose what a regression learns from: labeled images and shifted copies, 10,000 at most.

    Where the copies would be too many, it is the images alone, or evenly spaced ones.

    Parameters
    ----------
    labeled : shape (n_labeled,)
        Positions of the labeled images.
    features, images
        Of all images, of shape (n_images, n_features), and their normalized pixels.
    embedding
        Fitted transformer from the pixels to the features.

    Returns
    -------
    positions : shape (n_examples,)
        Which image each example is, or is a copy of.
    features : shape (n_examples, n_features)
    """
    labeled = labeled[:: max(-(-len(labeled) // MAX_EXAMPLES), 1)]
    moves = shifts(images.image_shape)
    if (1 + len(moves)) * len(labeled) > MAX_EXAMPLES:
        moves = []
    copies = np.repeat(features[labeled][None], 1 + len(moves), axis=0)
    for part in blocks((len(labeled), images.shape[1])) if moves else ():
        pixels = images[labeled[part]].reshape(-1, *images.image_shape)
        for copy, offsets in zip(copies[1:], moves, strict=True):
            moved = ndimage.shift(pixels, offsets, order=0, mode="nearest")
            copy[part] = transformed(embedding, moved.reshape(len(moved), -1))
    return np.tile(labeled, len(copies)), copies.reshape(-1, copies.shape[2])


def shifts(image_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return how far copies are moved: up, down, left and right, by a 28th of an image's side.

    What a label says of an image, it says of these, too. Images of fewer than 14 pixels have no
    such copies. `image_shape` is height, width and maybe channels; a move begins with 0, for the
    axis of the images.

    Examples
    --------
    >>> shifts((56, 28))
    [(0, -2, 0), (0, 2, 0), (0, 0, -1), (0, 0, 1)]
    """
    steps = [round(side / _PIXELS_PER_SHIFT) for side in image_shape[:2]]
    return [
        (0, *(shift if a == axis else 0 for a in range(len(image_shape))))
        for axis, step in enumerate(steps)
        if step
        for shift in (-step, step)
    ]


def class_scores(features: Indexed, labeled_features: Floats, y: Ints, n_classes: int) -> Floats:
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
