"""Principal components, learned from a block of rows at a time."""

from typing import Any, Self

from sklearn.decomposition import IncrementalPCA
from sklearn.utils import gen_batches

from fewlabel.arrays import blocks
from fewlabel.parallel import progress
from fewlabel.rows import ImageRows


class BlockPCA(IncrementalPCA):
    """scikit-learn's incremental PCA, fitted to rows of which memory holds a block only.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0, 0], [1, 1], [2, 2]], np.float32)
    >>> BlockPCA(1).fit(X).explained_variance_ratio_.round(6)
    array([1.])
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to rows of shape (n_rows, n_columns), at least as many as components."""
        if not isinstance(X, ImageRows):
            return super().fit(X)  # type: ignore[no-any-return]  # scikit-learn has no types
        # A block needs a row for each component.
        n_block = max(blocks(X.shape)[0].stop, 2 * self.n_components)
        batches = list(gen_batches(len(X), n_block, min_batch_size=self.n_components))
        for rows in progress(batches, f"PCA of {len(X):,} images"):
            self.partial_fit(X[rows])
        return self
