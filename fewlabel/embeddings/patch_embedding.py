"""Unsupervised features from k-means on image patches.

A. Coates, H. Lee, A. Ng, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning",
AISTATS 2011. No label, no network and no GPU is needed.
"""

import itertools
import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.embeddings.patches import PCA_IMAGES
from fewlabel.parallel import for_each_block, log_duration
from fewlabel.rows import scale_to_length

CONTRAST_EPSILON = 0.01
WHITENING_EPSILON = 0.1
_BLOCK_PATCHES = 2048
_FLOAT_BYTES = 4
_INDEX_BYTES = 8
_TINY = np.finfo(np.float32).tiny


def contrast_normalize(patches):
    """Give each patch zero mean and about unit variance, in place.

    Parameters
    ----------
    patches : ndarray of shape (n_patches, n_pixels), float32
        Pixels in [0, 1]: the 0.01 added to the variance, which keeps flat patches flat, is for
        that scale.
    """
    patches -= patches.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", patches, patches) / patches.shape[1]
    patches /= np.sqrt(variance + CONTRAST_EPSILON)[:, None]
    return patches


def local_deviation(images, patch_shape):
    """Root of the variance plus 0.01 of each patch: what `contrast_normalize` divides it by.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width, n_channels), float32
    patch_shape : tuple of two ints

    Returns
    -------
    ndarray of shape (n_images, height - patch_height + 1, width - patch_width + 1)
    """
    height, width = patch_shape
    n_rows, n_columns = images.shape[1] - height + 1, images.shape[2] - width + 1

    def patch_mean(values):
        values = values.mean(axis=3)
        values = sum(values[:, i : i + n_rows] for i in range(height))
        return sum(values[:, :, j : j + n_columns] for j in range(width)) / (height * width)

    variance = patch_mean(images**2) - patch_mean(images) ** 2
    return np.sqrt(np.maximum(variance, 0) + CONTRAST_EPSILON)


def zca_whitening(patches):
    """Mean and matrix that whiten patches and turn them back to the pixel axes (ZCA).

    Parameters
    ----------
    patches : ndarray of shape (n_patches, n_pixels)

    Returns
    -------
    mean : ndarray of shape (n_pixels,)
    matrix : symmetric ndarray of shape (n_pixels, n_pixels)
        ``(patches - mean) @ matrix`` has about unit covariance; 0.1 is added to each eigenvalue.
    """
    mean = patches.mean(axis=0)
    centered = patches - mean
    eigenvalues, eigenvectors = np.linalg.eigh(centered.T @ centered / len(patches))
    scale = 1 / np.sqrt(np.maximum(eigenvalues, 0) + WHITENING_EPSILON)
    return mean, (eigenvectors * scale) @ eigenvectors.T


def spherical_kmeans(vectors, n_centroids, n_iterations, rng):
    """Unit-length centroids that maximize the summed dot product with the vectors they own.

    A centroid that owns nothing restarts at a random vector.

    Parameters
    ----------
    vectors : ndarray of shape (n_vectors, n_features)
    n_centroids, n_iterations : int
    rng : numpy.random.RandomState

    Returns
    -------
    ndarray of shape (n_centroids, n_features)
    """
    centroids = rng.standard_normal((n_centroids, vectors.shape[1])).astype(vectors.dtype)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    owner = np.empty(len(vectors), np.intp)

    def assign(rows):
        np.argmax(vectors[rows] @ centroids.T, axis=1, out=owner[rows])

    for iteration in range(n_iterations):
        for_each_block(
            assign, len(vectors), _BLOCK_PATCHES, f"patch k-means {iteration + 1}/{n_iterations}"
        )
        by_owner = np.argsort(owner, kind="stable")
        owners, starts = np.unique(owner[by_owner], return_index=True)
        centroids[owners] = np.add.reduceat(vectors[by_owner], starts)
        empty = np.setdiff1d(np.arange(n_centroids), owners)
        centroids[empty] = vectors[rng.randint(len(vectors), size=len(empty))]
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True) + 1e-12
    return centroids


def memory_needed(settings, image_shape, n_images, n_threads):
    """Return what `PatchEmbedding` needs in bytes, at least, by the setting that decides it.

    Parameters
    ----------
    settings : dict
        n_sampled_patches, patch_size, n_centroids and pooling_grid of `PatchEmbedding`.
    image_shape : tuple of ints
    n_images, n_threads : int

    Returns
    -------
    dict of str to int
    """
    n_values = settings["patch_size"] ** 2 * math.prod(image_shape[2:])
    # Patches, whitened patches and a copy of them; image, row, column and owner of each.
    of_patch = 3 * n_values * _FLOAT_BYTES + 4 * _INDEX_BYTES
    # Pooled responses and a centered copy of them; each thread compares a block of patches.
    n_pooled = 2 * min(n_images, PCA_IMAGES) * settings["pooling_grid"] ** 2
    of_centroid = (n_pooled + n_threads * _BLOCK_PATCHES + n_values) * _FLOAT_BYTES
    return {
        "n_sampled_patches": settings["n_sampled_patches"] * of_patch,
        "n_centroids": settings["n_centroids"] * of_centroid,
    }


class PatchEmbedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Pooled responses of an image's patches to patch centroids, reduced by PCA.

    Patches are contrast-normalized and ZCA-whitened; spherical k-means learns the centroids. An
    image's features are ``max(0, patch . centroid - 1)`` averaged over each cell of a grid of
    pooling regions, their square root, principal components of that, and last the same length for
    all images, so that Euclidean distance orders images as cosine does.

    Parameters
    ----------
    image_shape : tuple of ints or None, default=None
        Height, width and optionally channels of the images whose pixels are the rows of ``X``.
        None takes a row as an image of one pixel's height.
    patch_size : int, default=6
        Side of a patch in pixels, at most that of the image; without `image_shape`, cut to the
        length of the row.
    n_centroids : int, default=400
    n_sampled_patches : int, default=200_000
        Patches drawn from all images to learn whitening and centroids.
    pooling_grid : int, default=3
        The image is pooled over this many regions per side, at most as many as a patch has
        positions there; without `image_shape`, over fewer where there are fewer.
    n_components : int, default=128
        Principal components kept (fewer where there are fewer images or features).
    variance_power : float, default=0.25
        Components are divided by this power of their variance: 0 is PCA, 0.5 is whitening.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    patch_shape_ : tuple of two ints
    filters_ : ndarray of shape (n_channels * patch_height * patch_width + 1, n_centroids)
        Maps a raw patch and its standard deviation to its responses times that deviation:
        contrast normalization, whitening, centroids and the threshold of 1 in one matrix.
    pca_ : sklearn.decomposition.PCA
    scale_ : ndarray of shape (n_components,)

    References
    ----------
    A. Coates, H. Lee, A. Ng, "An Analysis of Single-Layer Networks in Unsupervised Feature
    Learning", AISTATS 2011.
    """

    _N_ITERATIONS = 10
    _BLOCK_IMAGES = 64
    _CACHED_IMAGES = 4

    def __init__(
        self,
        image_shape=None,
        patch_size=6,
        n_centroids=400,
        n_sampled_patches=200_000,
        pooling_grid=3,
        n_components=128,
        variance_power=0.25,
        random_state=None,
    ):
        self.image_shape = image_shape
        self.patch_size = patch_size
        self.n_centroids = n_centroids
        self.n_sampled_patches = n_sampled_patches
        self.pooling_grid = pooling_grid
        self.n_components = n_components
        self.variance_power = variance_power
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn whitening, centroids and principal components.

        Parameters
        ----------
        X : array-like of shape (n_images, n_pixels)
            Pixels in [0, 1].
        y : ignored

        Raises
        ------
        ValueError
            If images of `image_shape` have no such patches or regions, or patches of one gray
            pixel, which have no contrast.
        """
        X = validate_data(self, X, dtype=np.float32, ensure_min_samples=2)
        rng = check_random_state(self.random_state)
        images = X.reshape(-1, *self._check_image_shape(X.shape[1]))
        if self.image_shape is not None:
            self._check_patches(*images.shape[1:])
        self.filters_ = self._learn_filters(images, rng)
        features = self._pooled_responses(images[rng.permutation(len(X))[:PCA_IMAGES]])
        n_components = min(self.n_components, *features.shape)
        solver = "randomized" if n_components < min(features.shape) / 4 else "full"
        self.pca_ = PCA(n_components, svd_solver=solver, random_state=rng.randint(2**31))
        with log_duration(f"PCA of {features.shape[1]:,} pooled responses"):
            self.pca_.fit(features)
        variance = self.pca_.explained_variance_
        self.scale_ = np.maximum(variance, _TINY) ** -self.variance_power
        return self

    def transform(self, X):
        """Embed images.

        Parameters
        ----------
        X : array-like of shape (n_images, n_pixels)

        Returns
        -------
        ndarray of shape (n_images, n_components), float32
            Each row's length is the root of n_components.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        images = X.reshape(-1, *self._check_image_shape(X.shape[1]))
        embedding = np.empty((len(X), self._n_features_out), np.float32)
        projection = (self.pca_.components_.T * self.scale_).astype(np.float32)
        offset = self.pca_.mean_ @ projection
        # A slice at a time, so that memory does not grow with the pooled responses of all images.
        for start in range(0, len(X), PCA_IMAGES):
            rows = slice(start, start + PCA_IMAGES)
            embedding[rows] = self._pooled_responses(images[rows]) @ projection - offset
        return scale_to_length(embedding, self._n_features_out**0.5)

    @property
    def _n_features_out(self):
        return len(self.scale_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _check_image_shape(self, n_pixels):
        shape = (1, n_pixels) if self.image_shape is None else tuple(self.image_shape)
        if math.prod(shape) != n_pixels:
            raise ValueError(f"X has {n_pixels} features, which is not image_shape {shape}.")
        return shape if len(shape) == 3 else (*shape, 1)

    def _check_patches(self, height, width, n_channels):
        side = min(height, width)
        n_positions = side - self.patch_size + 1
        if self.patch_size > side:
            raise ValueError(
                f"patch_size is {self.patch_size}, but must be at most {side}, since images are "
                f"{height} x {width} pixels."
            )
        if self.patch_size == n_channels == 1:
            raise ValueError("patch_size is 1, but a patch of one gray pixel has no contrast.")
        if self.pooling_grid > n_positions:
            raise ValueError(
                f"pooling_grid is {self.pooling_grid}, but must be at most {n_positions}: a "
                "patch has no more positions per side."
            )

    def _learn_filters(self, images, rng):
        n_images, *image_shape = images.shape[:3]
        self.patch_shape_ = tuple(min(self.patch_size, side) for side in image_shape)
        corners = [
            rng.randint(side - patch_side + 1, size=self.n_sampled_patches)
            for side, patch_side in zip(image_shape, self.patch_shape_, strict=True)
        ]
        windows = sliding_window_view(images, self.patch_shape_, axis=(1, 2))
        sampled = windows[rng.randint(n_images, size=self.n_sampled_patches), *corners]
        patches = contrast_normalize(sampled.reshape(len(sampled), -1))
        mean, whitening = zca_whitening(patches)
        centroids = spherical_kmeans(
            (patches - mean) @ whitening, self.n_centroids, self._N_ITERATIONS, rng
        )
        filters = whitening @ centroids.T
        threshold = mean @ filters + 1
        return np.vstack([filters - filters.mean(axis=0), -threshold]).astype(np.float32)

    def _pooled_responses(self, images):
        patch_shape = self.patch_shape_
        n_positions = [
            side - patch_side + 1
            for side, patch_side in zip(images.shape[1:3], patch_shape, strict=True)
        ]
        row_edges, column_edges = (
            np.linspace(0, n, min(self.pooling_grid, n) + 1).round().astype(int)
            for n in n_positions
        )
        in_column = np.repeat(np.arange(len(column_edges) - 1), np.diff(column_edges))
        pooling = (np.arange(len(column_edges) - 1)[:, None] == in_column).astype(np.float32)
        pooling /= pooling.sum(axis=1, keepdims=True)
        n_cells = (len(row_edges) - 1, len(pooling))
        pooled = np.empty((len(images), *n_cells, self.n_centroids), np.float32)

        def encode(rows):
            deviation = local_deviation(images[rows], patch_shape)
            windows = sliding_window_view(images[rows], patch_shape, axis=(1, 2))
            patches = np.empty((*deviation.shape, len(self.filters_)), np.float32)
            patches[..., :-1].reshape(windows.shape)[...] = windows
            patches[..., -1] = deviation
            for cell_row, (top, bottom) in enumerate(itertools.pairwise(row_edges)):
                strip = patches[:, top:bottom].reshape(len(patches), -1, len(self.filters_))
                weights = np.tile(pooling, bottom - top) / np.float32(bottom - top)
                weights = weights / deviation[:, top:bottom].reshape(len(patches), 1, -1)
                # A few images at a time keep their responses in the processor's cache.
                shape = (self._CACHED_IMAGES, strip.shape[1], self.n_centroids)
                buffer = np.empty(shape, np.float32)
                for start in range(0, len(patches), self._CACHED_IMAGES):
                    few = slice(start, start + self._CACHED_IMAGES)
                    responses = buffer[: len(strip[few])]
                    np.matmul(strip[few], self.filters_, out=responses)
                    np.maximum(responses, 0, out=responses)
                    np.matmul(weights[few], responses, out=pooled[rows][few, cell_row])

        for_each_block(encode, len(images), self._BLOCK_IMAGES, "patch responses")
        features = pooled.reshape(len(images), -1)
        return np.sqrt(features, out=features)
