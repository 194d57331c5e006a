"""scikit-learn's label propagation, refused before it is tried where its graph cannot fit."""

import psutil
from sklearn import semi_supervised

from fewlabel.errors import FewlabelError


def refuse_too_dense_a_graph(n_images, dtype):
    """Stop where the affinity of every pair of images does not fit into the free memory.

    Parameters
    ----------
    n_images : int
    dtype : numpy.dtype

    Raises
    ------
    FewlabelError
        With the memory that is needed: 2 matrices, since scikit-learn normalizes a copy.
    """
    needed = 2 * n_images**2 * dtype.itemsize
    free = psutil.virtual_memory().available
    if needed > free:
        raise FewlabelError(
            f"the dense graph of {n_images:,} images needs {needed / 1e9:.0f} GB, and "
            f'{free / 1e9:.0f} GB are free; use kernel="knn" or fewer images'
        )


class LabelPropagation(semi_supervised.LabelPropagation):
    """scikit-learn's, except for the check of memory: parameters and attributes are there."""

    def fit(self, X, y):
        """Fit as scikit-learn does, if the graph fits into memory."""
        return _fit(self, X, y, super().fit)


class LabelSpreading(semi_supervised.LabelSpreading):
    """scikit-learn's, except for the check of memory: parameters and attributes are there."""

    def fit(self, X, y):
        """Fit as scikit-learn does, if the graph fits into memory."""
        return _fit(self, X, y, super().fit)


def _fit(estimator, X, y, fit):
    if estimator.kernel != "knn" and hasattr(X, "dtype"):
        refuse_too_dense_a_graph(X.shape[0], X.dtype)
    return fit(X, y)
