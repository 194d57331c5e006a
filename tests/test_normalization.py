"""Scaling of pixels and of features."""

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from fewlabel import arrays
from fewlabel.keras_session import import_keras
from fewlabel.normalization import fit_normalization, to_keras, to_unit
from fewlabel.rows import scale_to_length


def test_to_unit():
    values = to_unit(np.array([[0, 51, 255]], np.uint8))
    np.testing.assert_array_equal(values, np.float32([[0, 0.2, 1]]), strict=True)


@pytest.fixture
def pixels():
    """Return four training images; the last pixel never changes."""
    rows = np.array([[0, 10, 7], [50, 30, 7], [100, 20, 7], [50, 40, 7]], np.uint8)
    return rows[:, None]


def test_unit_ignores_what_it_is_fitted_on(pixels):
    unit = fit_normalization("unit", pixels)
    np.testing.assert_allclose(unit.transform([[255, 51, 0]]), [[1, 0.2, 0]])


def test_minmax_maps_the_training_range_and_cuts_the_rest(pixels):
    minmax = fit_normalization("minmax", pixels)
    np.testing.assert_allclose(minmax.transform(pixels[:, 0])[:, 0], [0, 0.5, 1, 0.5])
    np.testing.assert_allclose(minmax.transform([[255, 0, 7]]), [[1, 0, 0]])


def test_standard_gives_zero_mean_and_unit_variance(pixels):
    standard = fit_normalization("standard", pixels)
    scaled = standard.transform(pixels[:, 0])
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0], rtol=1e-6)
    deviation = np.sqrt(125)  # of 10, 20, 30 and 40
    np.testing.assert_allclose(
        standard.transform([[50, 25 + deviation, 7]]), [[0, 1, 0]], atol=1e-6
    )


@pytest.mark.parametrize(
    ("method", "library"), [("minmax", MinMaxScaler(clip=True)), ("standard", StandardScaler())]
)
def test_blocks_are_fitted_as_a_whole(method, library, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 7 * 12 * 4)
    images = np.random.default_rng(0).integers(256, size=(40, 4, 3), dtype=np.uint8)
    fitted, whole = fit_normalization(method, images), images.reshape(40, -1)
    np.testing.assert_allclose(fitted.transform(whole), library.fit_transform(whole), rtol=1e-12)


def test_no_image_is_read_where_nothing_is_learned():
    assert fit_normalization("unit", None).transform(np.uint8([[255]])) == 1


def test_unknown_method():
    with pytest.raises(KeyError, match="sigmoid"):
        fit_normalization("sigmoid", None)


@pytest.mark.parametrize("length", [1, 1000, np.array([[2], [3]])])
def test_scale_to_length(length):
    scaled = scale_to_length(np.float32([[3, 4], [0, 0]]), length)
    np.testing.assert_allclose(scaled, np.array([[0.6, 0.8], [0, 0]]) * length, rtol=1e-6)
    assert scaled.dtype == np.float32


@pytest.mark.parametrize("method", ["unit", "minmax", "standard"])
def test_layers_normalize_as_the_transformer_does(method, pixels):
    keras = import_keras()
    fitted = fit_normalization(method, pixels)
    rows = keras.Input((3,))
    model = keras.Model(rows, to_keras(keras, method, fitted, rows))
    given = np.float32([[0, 255, 7], [50, 33, 200]])
    np.testing.assert_allclose(model.predict(given, verbose=0), fitted.transform(given), atol=1e-5)
