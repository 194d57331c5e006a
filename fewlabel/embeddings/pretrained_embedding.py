"""Features of a pretrained network, decorrelated."""

from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.arrays import Array, Floats, blocks
from fewlabel.embeddings.frozen_network import FrozenNetwork
from fewlabel.embeddings.onnx_network import OnnxNetwork
from fewlabel.embeddings.pixel_transformer import PixelTransformer
from fewlabel.keras_layers import dense
from fewlabel.parallel import for_each_block, log_duration
from fewlabel.rows import scale_to_length

PCA_IMAGES = 10_000
_BLOCK_ROWS = 512
_LEAST_VARIANCE = 1e-6


class PretrainedEmbedding(PixelTransformer):
    """All principal components of a network's features, of the same length for all images.

    Parameters
    ----------
    network : bytes
        Content of a .keras file, as of `fewlabel.embeddings.frozen_network.FrozenNetwork`, or of an
        ONNX file, as of `fewlabel.embeddings.onnx_network.OnnxNetwork`.
    image_shape : tuple of ints or None, default=None
        Height, width and optionally channels of the images whose pixels are the rows of ``X``.
        None takes a row as an image of one pixel's height.
    variance_power : float, default=0.25
        Components are divided by this power of their variance: 0 is PCA, 0.5 is whitening.
    random_state : int, RandomState instance or None, default=None
        Draws the images from which principal components are learned, 10,000 at most.

    Attributes
    ----------
    network_ : FrozenNetwork or OnnxNetwork
    pca_ : sklearn.decomposition.PCA
        Of the network's features.
    scale_ : ndarray of shape (n_components,)
        Multiplies its components.
    """

    def __init__(
        self,
        network: bytes,
        image_shape: tuple[int, ...] | None = None,
        *,
        variance_power: float = 0.25,
        random_state: int | RandomState | None = None,
    ):
        self.network = network
        self.image_shape = image_shape
        self.variance_power = variance_power
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit principal components to rows of pixels in [0, 1]."""
        rng = check_random_state(self.random_state)
        rows = self._rows_to_fit(X)
        kind = FrozenNetwork if self.network.startswith(b"PK") else OnnxNetwork  # .keras is a zip
        self.network_ = kind(self.network, self.image_shape or (1, rows.shape[1]))
        sampled = np.sort(rng.permutation(len(rows))[:PCA_IMAGES])
        parts = blocks((len(sampled), rows.shape[1]))
        features = [self.network_.transform(rows[sampled[part]]) for part in parts]
        sample = np.vstack(features).astype(np.float64)
        self.pca_ = PCA(min(len(sample) - 1, sample.shape[1]), svd_solver="covariance_eigh")
        with log_duration(f"PCA of {sample.shape[1]:,} features"):
            self.pca_.fit(sample)
        variance = self.pca_.explained_variance_
        least = max(variance[0] * _LEAST_VARIANCE, np.finfo(np.float32).tiny)
        self.scale_ = np.maximum(variance, least) ** -self.variance_power
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Return a row of n_components features, as long as their root, for each row of pixels."""
        check_is_fitted(self)
        features = self.network_.transform(validate_data(self, X, dtype=np.float32, reset=False))
        projection, offset = self._projection()
        components = np.empty((len(features), len(offset)), np.float32)

        def project(rows: slice) -> None:
            # In float32, the last bits would depend on how many rows there are.
            components[rows] = features[rows].astype(np.float64) @ projection - offset

        for_each_block(project, len(features), block_rows=_BLOCK_ROWS, description="components")
        return scale_to_length(components, self._n_features_out**0.5)

    def to_keras(self, keras: ModuleType, rows: Any) -> Any:
        """Return features of rows of pixels, both Keras tensors, by Keras's own layers.

        Of a network in ONNX, `rows` are what it gives.
        """
        projection, offset = self._projection()
        components = dense(keras, self.network_.to_keras(keras, rows), projection, -offset)
        unit = keras.layers.UnitNormalization()(components)
        return unit * self._n_features_out**0.5

    def _projection(self) -> tuple[Array, Array]:
        # In C order, whether it was fitted here or loaded: products differ in the last bits.
        projection = np.ascontiguousarray(self.pca_.components_.T * self.scale_)
        return projection, self.pca_.mean_ @ projection
