"""What embeddings of pixels have in common as transformers of scikit-learn."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import validate_data

from fewlabel.arrays import Array
from fewlabel.rows import ImageRows, Rows


class PixelTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Maps rows of pixels to float32 features, a scaled component in each column.

    Attributes
    ----------
    scale_ : ndarray of shape (n_components,)
        What each component was multiplied by.
    """

    scale_: Array

    def _rows_to_fit(self, X: ArrayLike) -> Rows:
        """Return rows of pixels, two at least, of which memory need not hold all."""
        if isinstance(X, ImageRows):
            self.n_features_in_ = X.shape[1]
            return X
        rows: Rows = validate_data(self, X, dtype=np.float32, ensure_min_samples=2)
        return rows

    @property
    def _n_features_out(self) -> int:
        return len(self.scale_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
