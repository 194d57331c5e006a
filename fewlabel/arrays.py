"""Types of what functions take and return."""

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]
Graph = Any  # scipy.sparse.csr_array of shape (n_images, n_images); SciPy has no types


class Transformer(Protocol):
    """A scikit-learn transformer of rows."""

    def fit(self, X: Array) -> Self:
        """Learn from rows."""

    def transform(self, X: Array) -> Array:
        """Return transformed rows."""


class Classifier(Protocol):
    """A scikit-learn classifier of rows; a network's `fit` takes Keras's callbacks, too."""

    classes_: Array

    def fit(self, X: Array, y: Array, **kwargs: Any) -> Self:
        """Learn from rows and their classes."""

    def predict_proba(self, X: Array) -> Array:
        """Return probabilities, columns as in `classes_`."""

    def score(self, X: Array, y: Array) -> float:
        """Return the accuracy."""
