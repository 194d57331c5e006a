"""Scaling of pixel values: fitted once, and applied wherever pixels are read."""

from types import ModuleType
from typing import Any

import numpy as np
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from fewlabel.arrays import Array, Floats, Ints, Transformer, blocks
from fewlabel.keras_layers import affine
from fewlabel.parallel import progress
from fewlabel.rows import ImageRows, transformed
from fewlabel.storage import load_joblib, stored_array


def to_unit(pixels: Array) -> Floats:
    """Map 0..255 to [0, 1], whatever values occur."""
    return np.divide(pixels, np.float32(255), dtype=np.float32)


def fit_normalization(method: str, images: Any) -> Transformer:
    """Fit a transformer of rows of pixels in 0..255, to a block of images at a time.

    "unit" divides by 255; "minmax" maps the range of each pixel's training values to [0, 1], others
    cut to it; "standard" gives each zero mean and unit variance (0 if the pixel never changes).
    `images` gives uint8 images, of shape (n_images, height, width, ...), where it is indexed.

    Examples
    --------
    >>> images = np.array([[[0, 51]], [[255, 102]]], np.uint8)
    >>> fit_normalization("unit", images).transform(images[:, 0])
    array([[0. , 0.2],
           [1. , 0.4]], dtype=float32)
    """
    transformers: dict[str, Transformer] = {
        "unit": FunctionTransformer(to_unit),
        "minmax": MinMaxScaler(clip=True),
        "standard": StandardScaler(),
    }
    transformer = transformers[method]
    if hasattr(transformer, "partial_fit"):  # else there is nothing to learn
        for rows in progress(blocks(images.shape), f"fit {method}"):
            block = images[rows]
            transformer.partial_fit(block.reshape(len(block), -1))
    return transformer


def to_keras(keras: ModuleType, method: str, normalization: Any, rows: Any) -> Any:
    """Return what a fitted transformer makes of rows of pixels, both Keras tensors of float32."""
    if method == "unit":
        return rows / 255.0
    if method == "minmax":
        scaled = affine(keras, rows, normalization.scale_, normalization.min_)
        return keras.ops.clip(scaled, 0.0, 1.0)
    factor = 1 / normalization.scale_
    return affine(keras, rows, factor, -normalization.mean_ * factor)


def load_rows(split: str, positions: Ints | None = None) -> ImageRows:
    """Return rows of pixels of the images, or of some, of "train" or "test"; none is read yet."""
    return ImageRows(
        images=stored_array(f"data/raw/{split}_images.npy"),
        normalization=load_joblib("models/normalization.joblib"),
        positions=positions,
    )


def embed_part(part: slice, split: str, embedding: Any) -> Floats:
    """Return features of the images in these rows; the embedding is `fewlabel.engine.Shared`."""
    return transformed(embedding.get(), load_rows(split, np.arange(part.start, part.stop)))
