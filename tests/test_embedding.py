"""The feature spaces to choose from."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from fewlabel import arrays
from fewlabel.embeddings.block_pca import BlockPCA
from fewlabel.embeddings.components import leading_components
from fewlabel.embeddings.patch_embedding import PatchEmbedding
from fewlabel.methods import settings_of
from fewlabel.rows import ImageRows


def build(method, **settings):
    return settings_of("embeddings", method)(**settings).build((5, 6), 3)


ROWS = np.random.default_rng(0).random((40, 30), np.float32)


def test_pixels_are_left_as_they_are():
    np.testing.assert_array_equal(build("pixels").fit_transform(ROWS), ROWS)


def test_pca_equals_the_singular_value_decomposition():
    features = build("pca", n_components=3).fit_transform(ROWS)
    centered = ROWS - ROWS.mean(axis=0)
    components = np.linalg.svd(centered.astype(float), full_matrices=False)[2][:3]
    # The sign of a component is free.
    np.testing.assert_allclose(np.abs(features), np.abs(centered @ components.T), atol=1e-4)


def test_patches_get_image_shape_seed_and_settings():
    settings = {"patch_size": 3, "n_centroids": 6, "n_sampled_patches": 200, "n_components": 4}
    settings |= {"pooling_grid": 3}
    built = build("patches", **settings)
    same = PatchEmbedding(image_shape=(5, 6), random_state=3, **settings)
    assert built.get_params() == same.get_params()
    np.testing.assert_array_equal(built.fit_transform(ROWS), same.fit_transform(ROWS))


def test_leading_components():
    rows = np.float32([[3, 4, 9], [0, 2, 1], [0, 0, 5]])
    root = np.sqrt(2)
    expected = [[0.6 * root, 0.8 * root], [0, root], [0, 0]]
    np.testing.assert_allclose(leading_components(rows, 2), np.float32(expected), rtol=1e-6)
    lengths = np.linalg.norm(leading_components(rows, 7), axis=1)
    np.testing.assert_allclose(lengths, np.sqrt(3), rtol=1e-6)
    assert leading_components(rows, 2).dtype == np.float32


@parametrize_with_checks([BlockPCA(2)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_pca_of_blocks_finds_the_components_of_all(monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 11 * 30 * 4)
    rng = np.random.default_rng(0)
    # Of rank 3, so that a block loses nothing.
    images = (rng.random((40, 3)) @ rng.random((3, 30)) * 85).astype(np.uint8).reshape(40, 5, 6)
    pixels = ImageRows(images=images, normalization=FunctionTransformer(np.float32))
    fitted = build("pca", n_components=3).fit(pixels)
    whole = PCA(3).fit(pixels[:])
    cosines = np.abs(fitted.components_ @ whole.components_.T)
    np.testing.assert_allclose(cosines, np.eye(3), atol=0.02)
    assert fitted.n_samples_seen_ == 40
