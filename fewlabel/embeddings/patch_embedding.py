"""Unsupervised features from k-means on image patches.

A. Coates, H. Lee, A. Ng, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning",
AISTATS 2011. No label, no network and no GPU is needed.
"""

import itertools
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from fewlabel.arrays import Array, Floats, blocks
from fewlabel.embeddings.patches import PCA_IMAGES, positions, problems_of_patches
from fewlabel.embeddings.pixel_transformer import PixelTransformer
from fewlabel.keras_layers import convolution, dense
from fewlabel.kernels import N_THREADS
from fewlabel.parallel import for_each_block, log_duration, progress
from fewlabel.rows import Rows, scale_to_length

BLOCK_PATCHES = 2048
CONTRAST_EPSILON = 0.01
WHITENING_EPSILON = 0.1


def contrast_normalize(patches: Floats) -> Floats:
    """Give each patch, a row of pixels in [0, 1], zero mean and about unit variance, in place.

    The 0.01 that is added to the variance keeps flat patches flat.
    """
    patches -= patches.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", patches, patches) / patches.shape[1]
    patches /= np.sqrt(variance + CONTRAST_EPSILON)[:, None]
    return patches


def local_deviation(images: Floats, patch_shape: tuple[int, int]) -> Floats:
    """Return the root of variance plus 0.01 of each patch: the divisor of `contrast_normalize`.

    Images have shape (n_images, height, width, n_channels); the result has a row and a column for
    each position of a patch.
    """
    height, width = patch_shape
    n_rows, n_columns = images.shape[1] - height + 1, images.shape[2] - width + 1

    def patch_mean(values: Floats) -> Any:
        gray = values.mean(axis=3)
        rows: Any = sum(gray[:, i : i + n_rows] for i in range(height))
        return sum(rows[:, :, j : j + n_columns] for j in range(width)) / (height * width)

    variance = patch_mean(images**2) - patch_mean(images) ** 2
    deviation: Floats = np.sqrt(np.maximum(variance, 0) + CONTRAST_EPSILON)
    return deviation


def zca_whitening(patches: Array) -> tuple[Array, Array]:
    """Return mean and matrix that whiten patches, one a row, and turn them back to pixels (ZCA).

    ``(patches - mean) @ matrix`` has about unit covariance; 0.1 is added to each eigenvalue.
    """
    mean = patches.mean(axis=0)
    centered = patches - mean
    eigenvalues, eigenvectors = np.linalg.eigh(centered.T @ centered / len(patches))
    scale = 1 / np.sqrt(np.maximum(eigenvalues, 0) + WHITENING_EPSILON)
    return mean, (eigenvectors * scale) @ eigenvectors.T


def spherical_kmeans(
    vectors: Array, *, n_centroids: int, n_iterations: int, rng: RandomState
) -> Array:
    """Fit unit-length centroids that maximize the summed dot product with the vectors they own.

    Vectors and centroids are rows; a centroid that owns nothing restarts at a random vector.
    """
    centroids = rng.standard_normal((n_centroids, vectors.shape[1])).astype(vectors.dtype)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    owner = np.empty(len(vectors), np.intp)

    def assign(rows: slice) -> None:
        np.argmax(vectors[rows] @ centroids.T, axis=1, out=owner[rows])

    for iteration in range(n_iterations):
        description = f"patch k-means {iteration + 1}/{n_iterations}"
        for_each_block(assign, len(vectors), block_rows=BLOCK_PATCHES, description=description)
        by_owner = np.argsort(owner, kind="stable")
        owners, starts = np.unique(owner[by_owner], return_index=True)
        centroids[owners] = np.add.reduceat(vectors[by_owner], starts)
        empty = np.setdiff1d(np.arange(n_centroids), owners)
        centroids[empty] = vectors[rng.randint(len(vectors), size=len(empty))]
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True) + 1e-12
    return centroids


class PatchEmbedding(PixelTransformer):
    """Pooled responses of an image's patches to patch centroids, reduced by PCA.

    Patches are contrast-normalized and ZCA-whitened; spherical k-means learns the centroids. An
    image's features are ``max(0, patch . centroid - 1)`` averaged over each cell of a grid of
    pooling regions, their square root, principal components of that, and last the same length for
    all images, so that Euclidean distance orders images as cosine does.

    Parameters
    ----------
    image_shape
        Height, width and optionally channels of the images whose pixels are the rows of ``X``.
        None takes a row as an image of one pixel's height.
    patch_size
        Side of a patch in pixels, at most that of the image; without `image_shape`, cut to the
        length of the row.
    n_sampled_patches
        Patches drawn from all images to learn whitening and centroids.
    pooling_grid
        The image is pooled over this many regions per side, at most as many as a patch has
        positions there; without `image_shape`, over fewer where there are fewer. Of more than 64
        positions per side, only every second, third and so on is looked at.
    n_components
        Principal components kept (fewer where there are fewer images or features).
    variance_power
        Components are divided by this power of their variance: 0 is PCA, 0.5 is whitening.

    Attributes
    ----------
    filters_ : ndarray of shape (n_channels * patch_height * patch_width + 1, n_centroids)
        Maps a raw patch and its standard deviation to its responses times that deviation:
        contrast normalization, whitening, centroids and the threshold of 1 in one matrix.
    scale_ : ndarray of shape (n_components,)
        Multiplies the components of `pca_`.

    Examples
    --------
    >>> images = np.random.default_rng(0).random((20, 8 * 8))
    >>> small = {"n_centroids": 16, "n_sampled_patches": 500, "n_components": 5}
    >>> PatchEmbedding((8, 8), patch_size=3, **small).fit_transform(images).shape
    (20, 5)
    """

    _N_ITERATIONS = 10
    _BLOCK_IMAGES = 64
    _BLOCK_BYTES = 2**24
    _CACHED_IMAGES = 4

    def __init__(
        self,
        image_shape: tuple[int, ...] | None = None,
        *,
        patch_size: int = 6,
        n_centroids: int = 400,
        n_sampled_patches: int = 200_000,
        pooling_grid: int = 3,
        n_components: int = 128,
        variance_power: float = 0.25,
        random_state: int | RandomState | None = None,
    ):
        self.image_shape = image_shape
        self.patch_size = patch_size
        self.n_centroids = n_centroids
        self.n_sampled_patches = n_sampled_patches
        self.pooling_grid = pooling_grid
        self.n_components = n_components
        self.variance_power = variance_power
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit whitening, centroids and principal components to rows of pixels in [0, 1].

        Raises
        ------
        ValueError
            If images of `image_shape` have no such patches or regions, or patches of one gray
            pixel, which have no contrast.
        """
        rows = self._rows_to_fit(X)
        # Nearly twice as fast for large matrices.
        with threadpool_limits(N_THREADS, user_api="blas"):
            self._fit(rows, check_random_state(self.random_state))
        return self

    def _fit(self, rows: Rows, rng: RandomState) -> None:
        _, height, width, _ = self._as_images(rows[:1]).shape
        shape = self.image_shape or ()
        if problems := problems_of_patches(shape, self.patch_size, self.pooling_grid):
            raise ValueError(problems[0])
        self.patch_shape_ = (min(self.patch_size, height), min(self.patch_size, width))
        self.filters_ = self._learn_filters(rows, rng)
        sampled = rng.permutation(len(rows))[:PCA_IMAGES]
        parts = blocks((len(sampled), rows.shape[1]))
        features = np.vstack([self._pooled_responses(rows[sampled[part]]) for part in parts])
        n_components = min(self.n_components, *features.shape)
        solver = "randomized" if n_components < min(features.shape) / 4 else "full"
        self.pca_ = PCA(n_components, svd_solver=solver, random_state=rng.randint(2**31))
        with log_duration(f"PCA of {features.shape[1]:,} pooled responses"):
            self.pca_.fit(features)
        variance = np.maximum(self.pca_.explained_variance_, np.finfo(np.float32).tiny)
        self.scale_ = variance**-self.variance_power

    def transform(self, X: ArrayLike) -> Floats:
        """Return a row of n_components features, as long as their root, for each row of pixels."""
        check_is_fitted(self)
        pixels = validate_data(self, X, dtype=np.float32, reset=False)
        embedding = np.empty((len(pixels), self._n_features_out), np.float32)
        # In C order, whether it was fitted here or loaded: products differ in the last bits.
        projection = (self.pca_.components_.T * self.scale_).astype(np.float32, order="C")
        with threadpool_limits(N_THREADS, user_api="blas"):
            offset = self.pca_.mean_ @ projection
            # A slice at a time, so that memory does not grow with the responses of all images.
            for rows in blocks(pixels.shape):
                embedding[rows] = self._pooled_responses(pixels[rows]) @ projection - offset
        return scale_to_length(embedding, self._n_features_out**0.5)

    def to_keras(self, keras: ModuleType, rows: Any) -> Any:
        """Return features of rows of pixels, both Keras tensors, by Keras's own layers."""
        layers, ops = keras.layers, keras.ops
        shape = self._as_images(np.zeros((1, rows.shape[1]), np.float32)).shape[1:]
        n_channels = shape[2]
        images = layers.Reshape(shape)(rows)
        n = self.n_centroids
        by_channel = self.filters_[:-1].reshape(n_channels, *self.patch_shape_, n)
        mean = np.full((*self.patch_shape_, n_channels, 1), 1 / (len(self.filters_) - 1))
        steps = [places.step for places in self._positions(shape)]
        squares = convolution(keras, ops.square(images), mean, steps)
        variance = squares - ops.square(convolution(keras, images, mean, steps))
        deviation = ops.sqrt(ops.maximum(variance, 0.0) + CONTRAST_EPSILON)
        products = convolution(keras, images, by_channel.transpose(1, 2, 0, 3), steps)
        thresholds = dense(keras, deviation, self.filters_[-1:])
        responses = ops.relu(products + thresholds) / deviation
        n_rows, n_columns = responses.shape[1:3]
        cells = [
            layers.Cropping2D(((top, n_rows - bottom), (left, n_columns - right)))(responses)
            for top, bottom in itertools.pairwise(self._edges(n_rows))
            for left, right in itertools.pairwise(self._edges(n_columns))
        ]
        pooled = [layers.GlobalAveragePooling2D()(cell) for cell in cells]
        joined = layers.Concatenate()(pooled) if len(pooled) > 1 else pooled[0]
        projection = (self.pca_.components_.T * self.scale_).astype(np.float32)
        components = dense(keras, ops.sqrt(joined), projection, -self.pca_.mean_ @ projection)
        return layers.UnitNormalization()(components) * len(self.scale_) ** 0.5

    def _as_images(self, X: Floats) -> Floats:
        shape = (1, X.shape[1]) if self.image_shape is None else tuple(self.image_shape)
        if math.prod(shape) != X.shape[1]:
            raise ValueError(f"X has {X.shape[1]} features, which is not image_shape {shape}.")
        return X.reshape(-1, *shape[:2], math.prod(shape[2:]))

    def _learn_filters(self, rows: Rows, rng: RandomState) -> Floats:
        patches = contrast_normalize(self._sampled_patches(rows, rng))
        mean, whitening = zca_whitening(patches)
        centroids = spherical_kmeans(
            (patches - mean) @ whitening,
            n_centroids=self.n_centroids,
            n_iterations=self._N_ITERATIONS,
            rng=rng,
        )
        filters = whitening @ centroids.T
        threshold = mean @ filters + 1
        return np.vstack([filters - filters.mean(axis=0), -threshold]).astype(np.float32)

    def _sampled_patches(self, rows: Rows, rng: RandomState) -> Floats:
        n, one_image = self.n_sampled_patches, self._as_images(rows[:1])
        corners = [
            rng.randint(places.stop, size=n) for places in self._positions(one_image.shape[1:])
        ]
        images, image_of = np.unique(rng.randint(len(rows), size=n), return_inverse=True)
        patches = np.empty((n, one_image.shape[3], *self.patch_shape_), np.float32)
        parts = blocks((len(images), rows.shape[1]))
        for part in progress(parts, f"sample {n:,} patches"):
            read = self._as_images(rows[images[part]])
            windows = sliding_window_view(read, self.patch_shape_, axis=(1, 2))
            here = np.flatnonzero((image_of >= part.start) & (image_of < part.stop))
            patches[here] = windows[image_of[here] - part.start, *(c[here] for c in corners)]
        return patches.reshape(n, -1)

    def _positions(self, image_shape: Sequence[int]) -> list[range]:
        """Return the rows and the columns where patches begin."""
        return list(map(positions, image_shape[:2], self.patch_shape_))

    def _edges(self, n_positions: int) -> list[int]:
        n_cells = min(self.pooling_grid, n_positions)
        edges: list[int] = np.linspace(0, n_positions, n_cells + 1).round().astype(int).tolist()
        return edges

    def _pooled_responses(self, rows: Floats) -> Floats:
        images = self._as_images(rows)
        rows_of, columns_of = self._positions(images.shape[1:])
        row_edges, column_edges = self._edges(len(rows_of)), self._edges(len(columns_of))
        n_rows, n_columns = len(row_edges) - 1, len(column_edges) - 1
        pooling = np.repeat(np.eye(n_columns, dtype=np.float32), np.diff(column_edges), axis=1)
        pooling /= pooling.sum(axis=1, keepdims=True)
        pooled = np.empty((len(images), n_rows, n_columns, self.n_centroids), np.float32)

        def encode(block: slice) -> None:
            deviation = local_deviation(images[block], self.patch_shape_)[
                :, :: rows_of.step, :: columns_of.step
            ]
            windows = sliding_window_view(images[block], self.patch_shape_, axis=(1, 2))
            windows = windows[:, :: rows_of.step, :: columns_of.step]
            patches = np.empty((*deviation.shape, len(self.filters_)), np.float32)
            patches[..., :-1].reshape(windows.shape)[...] = windows
            patches[..., -1] = deviation
            for cell_row, (top, bottom) in enumerate(itertools.pairwise(row_edges)):
                strip = patches[:, top:bottom].reshape(len(patches), -1, len(self.filters_))
                weights = np.tile(pooling, bottom - top) / np.float32(bottom - top)
                weights = weights / deviation[:, top:bottom].reshape(len(patches), 1, -1)
                # A few images at a time keep their responses in the processor's cache.
                n_cached = min(self._CACHED_IMAGES, len(patches))
                shape = (n_cached, strip.shape[1], self.n_centroids)
                buffer = np.empty(shape, np.float32)
                for start in range(0, len(patches), self._CACHED_IMAGES):
                    few = slice(start, start + self._CACHED_IMAGES)
                    responses = buffer[: len(strip[few])]
                    np.matmul(strip[few], self.filters_, out=responses)
                    np.maximum(responses, 0, out=responses)
                    np.matmul(weights[few], responses, out=pooled[block][few, cell_row])

        image_bytes = len(rows_of) * len(columns_of) * self.filters_[:, :1].nbytes
        n_block = max(min(self._BLOCK_BYTES // image_bytes, self._BLOCK_IMAGES), 1)
        for_each_block(encode, len(images), block_rows=n_block, description="patch responses")
        features = pooled.reshape(len(images), -1)
        return np.sqrt(features, out=features)
