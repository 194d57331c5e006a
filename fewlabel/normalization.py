"""Scaling of pixel values."""

import numpy as np
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from fewlabel.arrays import Array, Floats, Transformer


def to_unit(pixels: Array) -> Floats:
    """Map 0..255 to [0, 1], whatever values occur."""
    return np.divide(pixels, np.float32(255), dtype=np.float32)


def normalizer(method: str) -> Transformer:
    """Return an unfitted transformer of rows of pixels in 0..255.

    "unit" divides by 255; "minmax" maps the range of each pixel's training values to [0, 1], others
    cut to it; "standard" gives each zero mean and unit variance (0 if the pixel never changes).

    Examples
    --------
    >>> normalizer("unit").fit_transform(np.array([[0, 51], [255, 102]], np.uint8))
    array([[0. , 0.2],
           [1. , 0.4]], dtype=float32)
    """
    transformers: dict[str, Transformer] = {
        "unit": FunctionTransformer(to_unit),
        "minmax": MinMaxScaler(clip=True),
        "standard": StandardScaler(),
    }
    return transformers[method]
