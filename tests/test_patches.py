"""The patch embedding against the loop that its docstring describes."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.utils.estimator_checks import estimator_checks_generator

from fewlabel.embeddings import patch_embedding
from fewlabel.embeddings.patch_embedding import (
    PatchEmbedding,
    contrast_normalize,
    local_deviation,
    spherical_kmeans,
    zca_whitening,
)

SMALL = {"n_centroids": 8, "n_sampled_patches": 500, "n_components": 4}


@pytest.mark.parametrize(
    ("estimator", "check"),
    # The check of array API input is for those who set SCIPY_ARRAY_API; it would skip itself.
    [
        pytest.param(estimator, check, id=check.func.__name__)
        for estimator, check in estimator_checks_generator(PatchEmbedding(**SMALL))
        if check.func.__name__ != "check_array_api_input"
    ],
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def random_images(n_images, *shape, seed=0):
    return np.random.default_rng(seed).random((n_images, *shape), np.float32)


def test_contrast_normalize():
    raw = random_images(50, 20) * np.linspace(0, 1, 50, dtype=np.float32)[:, None]
    expected = [(patch - patch.mean()) / np.sqrt(patch.var() + 0.01) for patch in raw]
    normalized = raw.copy()
    assert contrast_normalize(normalized) is normalized
    np.testing.assert_allclose(normalized, expected, rtol=1e-3, atol=1e-5)
    assert not normalized[0].any()


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("patch_shape", [(1, 1), (3, 2), (5, 7)])
def test_local_deviation(patch_shape, n_channels):
    images = random_images(4, 5, 7, n_channels)
    windows = sliding_window_view(images, patch_shape, axis=(1, 2))
    expected = np.sqrt(windows.var(axis=(3, 4, 5)) + 0.01)
    np.testing.assert_allclose(local_deviation(images, patch_shape), expected, rtol=1e-4)


def test_zca_whitening_gives_unit_covariance_along_the_pixel_axes():
    rng = np.random.default_rng(0)
    correlated = rng.normal(size=(5000, 6)) @ rng.normal(size=(6, 6)) * 30 + 7
    mean, matrix = zca_whitening(correlated)
    np.testing.assert_allclose(mean, correlated.mean(axis=0))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    assert (np.linalg.eigvalsh(matrix) > 0).all()
    covariance = np.cov((correlated - mean) @ matrix, rowvar=False)
    np.testing.assert_allclose(covariance, np.eye(6), atol=0.02)


def test_zca_whitening_adds_a_tenth_to_each_eigenvalue():
    # Variances of 0.9, 0.4 and 0 along the axes: 1 / sqrt of 1, 0.5 and 0.1.
    steps = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt([0.9, 0.4])
    _, matrix = zca_whitening(np.column_stack([steps, np.zeros(4)]))
    np.testing.assert_allclose(matrix, np.diag(1 / np.sqrt([1, 0.5, 0.1])), atol=1e-12)


@pytest.mark.parametrize("n_iterations", range(5))
def test_spherical_kmeans_steps_as_a_loop_does(n_iterations):
    # Few vectors for so many centroids: some own nothing.
    vectors = np.random.default_rng(0).normal(size=(40, 3))

    def centroids_after(n):
        return spherical_kmeans(
            vectors, n_centroids=15, n_iterations=n, rng=np.random.RandomState(3)
        )

    before, after = centroids_after(n_iterations), centroids_after(n_iterations + 1)
    for centroids in (before, after):
        np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1)
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    owned = [[] for _ in before]
    for vector in vectors:
        owned[max(range(len(before)), key=lambda i: vector @ before[i])].append(vector)
    for centroid, members in zip(after, owned, strict=True):
        if members:
            total = np.sum(members, axis=0)
            np.testing.assert_allclose(centroid, total / np.linalg.norm(total))
        else:
            assert np.isclose(directions, centroid).all(axis=1).any()


def test_spherical_kmeans_finds_separate_directions():
    rng = np.random.default_rng(0)
    directions = np.eye(4)[rng.permutation(np.repeat(range(4), 50))]
    vectors = (directions + rng.normal(0, 0.05, (200, 4))) * rng.uniform(1, 5, (200, 1))
    centroids = spherical_kmeans(
        vectors, n_centroids=40, n_iterations=10, rng=np.random.RandomState(0)
    )
    assert ((centroids @ np.eye(4)).max(axis=0) > 0.98).all()


def recording(monkeypatch, name):
    """Let the module's function be, and record its first argument and its result."""
    function, record = getattr(patch_embedding, name), []

    def call(first, **rest):
        result = function(first, **rest)
        record.extend([first, result])
        return result

    monkeypatch.setattr(patch_embedding, name, call)
    return record


def whole_normalized_patches(image, patch_shape):
    """Yield row, column and normalized patch of each position."""
    height, width = patch_shape
    for row in range(image.shape[0] - height + 1):
        for column in range(image.shape[1] - width + 1):
            patch = image[row : row + height, column : column + width].astype(float)
            patch = np.moveaxis(patch, 2, 0).ravel()  # channel by channel
            yield row, column, (patch - patch.mean()) / np.sqrt(patch.var() + 0.01)


def slow_features(image, patch_shape, grid, max_positions, mean, whitening, centroids):
    """Pool the responses of one image."""
    n_positions = np.subtract(image.shape[:2], patch_shape) + 1
    steps = np.ceil(n_positions / max_positions).astype(int)
    cells = {}
    for *position, patch in whole_normalized_patches(image, patch_shape):
        if (position % steps).any():
            continue
        responses = np.maximum(0, centroids @ ((patch - mean) @ whitening) - 1)
        n_looked_at = -(-n_positions // steps)
        cell = tuple(map(cell_of, position // steps, n_looked_at, (grid, grid)))
        cells.setdefault(cell, []).append(responses)
    pooled = [np.mean(cells[cell], axis=0) for cell in sorted(cells)]
    return np.sqrt(np.concatenate(pooled))


def cell_of(position, n_positions, grid):
    """Cell of a position where the grid's edges are the nearest whole positions."""
    edges = [round(n_positions * i / grid) for i in range(grid + 1)]
    return next(i for i in range(grid) if edges[i] <= position < edges[i + 1])


@pytest.mark.parametrize(
    ("image_shape", "patch_size", "pooling_grid", "variance_power", "max_positions"),
    [
        ((9, 11), 4, 3, 0.25, 64),
        ((8, 8), 6, 2, 0.0, 64),
        ((5, 12), 4, 2, 0.5, 64),
        ((6, 6), 3, 1, 0.25, 64),
        ((7, 8, 3), 4, 2, 0.25, 64),
        ((7, 13, 3), 4, 2, 0.25, 4),
    ],
)
def test_embedding_equals_a_loop(
    image_shape, patch_size, pooling_grid, variance_power, max_positions, monkeypatch
):
    monkeypatch.setattr("fewlabel.embeddings.patches.MAX_POSITIONS", max_positions)
    # More components than a quarter of the features' rank, so that PCA is exact, not randomized.
    n_images, n_components = 70, 20
    images = random_images(n_images, *(image_shape if len(image_shape) == 3 else (*image_shape, 1)))
    whitening_calls = recording(monkeypatch, "zca_whitening")
    kmeans_calls = recording(monkeypatch, "spherical_kmeans")
    embedding = PatchEmbedding(
        image_shape,
        patch_size=patch_size,
        n_centroids=10,
        n_sampled_patches=300,
        pooling_grid=pooling_grid,
        n_components=n_components,
        variance_power=variance_power,
        random_state=0,
    ).fit(images.reshape(n_images, -1))
    sampled, (mean, whitening) = whitening_calls
    whitened, centroids = kmeans_calls

    # What it learned from: normalized patches of the images, whitened.
    patch_shape = (patch_size, patch_size)
    assert embedding.patch_shape_ == patch_shape
    every_patch = np.array(
        [p for image in images for *_, p in whole_normalized_patches(image, patch_shape)]
    )
    assert len(sampled) == 300
    to_nearest = np.linalg.norm(every_patch[None] - sampled[:20, None], axis=2).min(axis=1)
    np.testing.assert_allclose(to_nearest, 0, atol=1e-4)
    np.testing.assert_allclose(whitened, (sampled - mean) @ whitening, atol=1e-4)

    # What it makes of an image.
    features = np.array(
        [
            slow_features(i, patch_shape, pooling_grid, max_positions, mean, whitening, centroids)
            for i in images
        ]
    )
    centered = features - features.mean(axis=0)
    _, singular_values, components = np.linalg.svd(centered, full_matrices=False)
    variance = (singular_values**2 / (n_images - 1))[:n_components]
    expected = centered @ components[:n_components].T / variance**variance_power
    expected *= np.sqrt(len(variance)) / np.linalg.norm(expected, axis=1, keepdims=True)
    embedded = embedding.transform(images.reshape(n_images, -1))
    # The sign of a component is free.
    expected *= np.sign((expected * embedded).sum(axis=0))
    np.testing.assert_allclose(embedded, expected, atol=1e-3 * np.abs(expected).max())
    assert embedded.dtype == np.float32


def test_the_seed_decides():
    rows = random_images(80, 49)
    one, same, other = (
        PatchEmbedding((7, 7), patch_size=3, **SMALL, random_state=seed).fit(rows)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.filters_, same.filters_)
    np.testing.assert_array_equal(one.transform(rows), same.transform(rows))
    assert not np.allclose(one.transform(rows), other.transform(rows))


@pytest.mark.parametrize("n_images", [150, 10_150])
def test_an_image_is_embedded_the_same_in_any_company(n_images):
    # Both the blocks that threads work on and the slices of 10,000 images have edges inside.
    rows = random_images(n_images, 16)
    embedding = PatchEmbedding((4, 4), patch_size=2, **SMALL, random_state=0).fit(rows[:200])
    together = embedding.transform(rows)
    few = np.r_[0:3, 62:67, 127:130, n_images - 150 : n_images : 49]
    apart = np.concatenate([embedding.transform(rows[i : i + 1]) for i in few])
    np.testing.assert_allclose(together[few], apart, rtol=1e-4, atol=1e-5)


def test_output_has_fewer_components_where_there_are_fewer_features():
    # One pooling cell of 8 centroids, and six images.
    sizes = {"n_centroids": 8, "n_sampled_patches": 100, "n_components": 128}
    one_cell = PatchEmbedding((4, 4), patch_size=4, pooling_grid=1, **sizes)
    assert one_cell.fit_transform(random_images(50, 16)).shape == (50, 8)
    few = PatchEmbedding((4, 4), patch_size=2, pooling_grid=3, **sizes).fit(random_images(6, 16))
    assert few.transform(random_images(3, 16)).shape == (3, 6)
    assert len(few.get_feature_names_out()) == 6


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_flat_images_stay_finite():
    rows = np.zeros((5, 25), np.float32)
    rows[3:] = 1
    embedded = PatchEmbedding((5, 5), patch_size=3, **SMALL, random_state=0).fit_transform(rows)
    assert np.isfinite(embedded).all()


@pytest.mark.parametrize(
    ("image_shape", "patch_size", "pooling_grid", "problem"),
    [
        ((5, 9), 6, 1, "patch_size is 6, but must be at most 5: images are 5 x 9 pixels"),
        ((9, 5, 3), 6, 1, "patch_size is 6, but must be at most 5: images are 9 x 5 pixels"),
        ((5, 9), 3, 4, "pooling_grid is 4, but must be at most 3"),
        ((5, 9), 1, 1, "a single gray value has no contrast"),
        ((5, 9, 1), 1, 1, "a single gray value has no contrast"),
    ],
)
def test_what_images_do_not_have_is_refused(image_shape, patch_size, pooling_grid, problem):
    embedding = PatchEmbedding(
        image_shape, patch_size=patch_size, pooling_grid=pooling_grid, **SMALL
    )
    with pytest.raises(ValueError, match=problem):
        embedding.fit(random_images(5, np.prod(image_shape)))


def test_what_images_barely_have_is_allowed():
    rows = random_images(30, 5 * 7)
    for patch_size, pooling_grid in ((5, 1), (3, 3), (2, 4)):
        embedding = PatchEmbedding(
            (5, 7), patch_size=patch_size, pooling_grid=pooling_grid, **SMALL
        )
        assert embedding.fit_transform(rows).shape == (30, 4)


def test_a_patch_of_one_colored_pixel_tells_images_apart():
    rows = random_images(30, 5 * 5 * 3)
    embedded = PatchEmbedding((5, 5, 3), patch_size=1, **SMALL, random_state=0).fit_transform(rows)
    assert (np.ptp(embedded, axis=0) > 0).all()


def test_a_row_is_cut_into_shorter_patches_and_fewer_regions():
    embedding = PatchEmbedding(patch_size=6, pooling_grid=3, **SMALL).fit(random_images(30, 4))
    assert embedding.patch_shape_ == (1, 4)


def test_image_shape_must_match():
    with pytest.raises(ValueError, match=r"X has 16 features, which is not image_shape \(4, 5\)"):
        PatchEmbedding((4, 5), **SMALL).fit(random_images(5, 16))
