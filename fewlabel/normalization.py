"""Scaling of pixel values and of rows of features."""

import math

import numpy as np
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler


def to_unit(pixels):
    """Map 0..255 to [0, 1], float32, whatever values occur."""
    return np.asarray(pixels, np.float32) / 255


def normalizer(method):
    """Unfitted transformer of rows of pixels in 0..255.

    Parameters
    ----------
    method : {"unit", "minmax", "standard"}
        Divide by 255; map the range of each pixel's training values to [0, 1], others cut to it;
        or give each pixel zero mean and unit variance (a pixel that never changes becomes 0).
    """
    return {
        "unit": FunctionTransformer(to_unit),
        "minmax": MinMaxScaler(clip=True),
        "standard": StandardScaler(),
    }[method]


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
