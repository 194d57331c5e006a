"""Types of what functions take and return, and the blocks in which they take much of it."""

from collections.abc import Sequence
from math import prod
from types import ModuleType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]
Graph = Any  # scipy.sparse.csr_array of shape (n_images, n_images); SciPy has no types

BLOCK_BYTES = 2**26
_MAX_BLOCK_ROWS = 10_000
FLOAT_BYTES, INDEX_BYTES = 4, 8


class Indexed(Protocol):
    """An array, or what gives one where it is indexed, so that memory need not hold all of it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As of an array."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Array: ...


class Transformer(Protocol):
    """A scikit-learn transformer of rows."""

    def fit(self, X: Any) -> Self:
        """Learn from rows."""

    def transform(self, X: Array) -> Array:
        """Return transformed rows."""


class Classifier(Protocol):
    """A scikit-learn classifier of rows; a network's `fit` takes Keras's callbacks, too."""

    classes_: Array

    def fit(self, X: Any, y: Array, **kwargs: Any) -> Self:
        """Learn from rows and their classes."""

    def predict_proba(self, X: Any) -> Array:
        """Return probabilities, columns as in `classes_`."""

    def score(self, X: Any, y: Array) -> float:
        """Return the accuracy."""


class OnnxPart(Protocol):
    """A part of an embedding that Keras cannot express, between two that it can.

    Attributes
    ----------
    content
        Of an ONNX file.
    output_shape
        Of what it gives for an image, which goes to `EmbeddingMethod.to_keras` in place of pixels.
    """

    content: bytes

    @property
    def output_shape(self) -> tuple[int, ...]:
        """As above."""

    def to_input(self, keras: ModuleType, rows: Any) -> Any:
        """Return what it takes of rows of pixels, both Keras tensors."""


def blocks(shape: Sequence[int]) -> list[slice]:
    """Cut rows into blocks of 64 MB of float32, and of 10,000 rows, at most.

    Examples
    --------
    >>> blocks((5, 10_000_000))
    [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None), slice(3, 4, None), slice(4, 5, None)]
    """
    n_rows, row_bytes = shape[0], max(prod(shape[1:]), 1) * FLOAT_BYTES
    size = min(max(BLOCK_BYTES // row_bytes, 1), _MAX_BLOCK_ROWS)
    return [slice(i, min(i + size, n_rows)) for i in range(0, n_rows, size)]
