"""Rows of pixels and of features."""

import math

import numpy as np

from fewlabel.arrays import Array, Floats, Transformer


def scale_to_length(rows: Floats, length: float | Floats) -> Floats:
    """Scale rows to a length, or each to its own, of shape (n_rows, 1); rows of zeros stay.

    Examples
    --------
    >>> scale_to_length(np.array([[3, 4], [0, 0]], np.float32), 10)
    array([[6., 8.],
           [0., 0.]], dtype=float32)
    """
    own = np.linalg.norm(rows, axis=1, keepdims=True)
    # Shorter rows would need a factor that float32 does not have.
    scaled: Floats = rows * (length / np.maximum(own, 1e-30)).astype(rows.dtype)
    return scaled


def transform_images(transformer: Transformer, images: Array) -> Floats:
    """Return a fitted transformer's features, a row for each image; there may be no image."""
    rows = images.reshape(len(images), math.prod(images.shape[1:]))
    # scikit-learn refuses to transform nothing.
    some = rows if len(rows) else np.zeros((1, rows.shape[1]), rows.dtype)
    features: Floats = transformer.transform(some).astype(np.float32)
    return features[: len(rows)]
