"""Rows of pixels and of features."""

import math

import numpy as np


def scale_to_length(rows, length):
    """Scale rows to a length; rows of zeros stay.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
    length : float or ndarray of shape (n_rows, 1)

    Returns
    -------
    ndarray of the same shape and type
    """
    own = np.linalg.norm(rows, axis=1, keepdims=True)
    # Shorter rows would need a factor that float32 does not have.
    return rows * (length / np.maximum(own, 1e-30)).astype(rows.dtype)


def transform_images(transformer, images):
    """Apply a fitted transformer of rows of pixels.

    Parameters
    ----------
    transformer : scikit-learn transformer
    images : ndarray of shape (n_images, ...)
        There may be none.

    Returns
    -------
    ndarray of shape (n_images, n_features), float32
    """
    rows = images.reshape(len(images), math.prod(images.shape[1:]))
    # scikit-learn refuses to transform nothing.
    some = rows if len(rows) else np.zeros((1, rows.shape[1]), rows.dtype)
    return transformer.transform(some).astype(np.float32)[: len(rows)]
