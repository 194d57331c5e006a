"""Rows of pixels and of features, a block of them at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from fewlabel.arrays import Array, Floats, Indexed, Ints, Transformer, blocks
from fewlabel.parallel import progress


@dataclass(frozen=True, kw_only=True)
class ImageRows:
    """Normalized pixels of images, and maybe features after them, that are made where indexed.

    `rows[positions]` and `rows[start:stop]` are float32 arrays of shape (n_rows, n_columns), so
    memory holds the rows in use, however many and large the images are.

    Attributes
    ----------
    images
        What gives uint8 images, of shape (n_images, height, width, ...), where it is indexed.
    normalization
        Fitted transformer of rows of pixels.
    features : shape (n_rows, n_features) or None
    positions : shape (n_rows,) or None
        Image of each row; None stands for all images in their order.

    Examples
    --------
    >>> from fewlabel.normalization import fit_normalization
    >>> images = np.array([[[0, 51]], [[102, 255]]], np.uint8)
    >>> rows = ImageRows(images=images, normalization=fit_normalization("unit", images))
    >>> rows[:1]
    array([[0. , 0.2]], dtype=float32)
    """

    images: Any
    normalization: Transformer
    features: Floats | None = None
    positions: Ints | None = None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width and optionally channels."""
        shape: tuple[int, ...] = self.images.shape[1:]
        return shape

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        n_features = 0 if self.features is None else self.features.shape[1]
        return len(self), prod(self.image_shape) + n_features

    def __len__(self) -> int:
        return len(self.images if self.positions is None else self.positions)

    def __getitem__(self, rows: slice | Ints) -> Floats:
        images = self.images[rows if self.positions is None else self.positions[rows]]
        pixels = transformed(self.normalization, images.reshape(len(images), -1))
        return pixels if self.features is None else np.hstack([pixels, self.features[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype)


Rows = Floats | ImageRows


class MappedRows:
    """What a function gives of each row of an array, where it is indexed."""

    def __init__(self, rows: Indexed, function: Callable[[Floats], Floats]):
        self._rows, self._function = rows, function
        first = self[:1]
        self.shape = (len(rows), *first.shape[1:])
        self.dtype = first.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: slice | Ints) -> Floats:
        return self._function(self._rows[rows])


def transformed(transformer: Transformer, rows: Rows) -> Floats:
    """Return a fitted transformer's features, a row for each; there may be no row."""
    if not len(rows):  # scikit-learn refuses to transform nothing
        return transformed(transformer, np.zeros((1, rows.shape[1]), np.float32))[:0]
    parts = blocks(rows.shape)
    first = transformer.transform(rows[parts[0]]).astype(np.float32, copy=False)
    if len(parts) == 1:
        return first
    features = np.empty((len(rows), first.shape[1]), np.float32)
    features[parts[0]] = first
    for part in progress(parts[1:], f"transform {len(rows):,} images"):
        features[part] = transformer.transform(rows[part])
    return features


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
