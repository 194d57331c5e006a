"""Scaling of pixel values."""

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
