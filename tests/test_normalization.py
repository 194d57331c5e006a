"""Scaling of pixels and of features."""

import numpy as np
import pytest

from fewlabel.normalization import normalizer, to_unit
from fewlabel.rows import scale_to_length


def test_to_unit():
    values = to_unit(np.array([[0, 51, 255]], np.uint8))
    np.testing.assert_array_equal(values, np.float32([[0, 0.2, 1]]), strict=True)


@pytest.fixture
def pixels():
    """Return the rows of four training images; the last pixel never changes."""
    return np.array([[0, 10, 7], [50, 30, 7], [100, 20, 7], [50, 40, 7]], np.float32)


def test_unit_ignores_what_it_is_fitted_on(pixels):
    unit = normalizer("unit").fit(pixels)
    np.testing.assert_allclose(unit.transform([[255, 51, 0]]), [[1, 0.2, 0]])


def test_minmax_maps_the_training_range_and_cuts_the_rest(pixels):
    minmax = normalizer("minmax").fit(pixels)
    np.testing.assert_allclose(minmax.transform(pixels)[:, 0], [0, 0.5, 1, 0.5])
    np.testing.assert_allclose(minmax.transform([[255, 0, 7]]), [[1, 0, 0]])


def test_standard_gives_zero_mean_and_unit_variance(pixels):
    standard = normalizer("standard").fit(pixels)
    scaled = standard.transform(pixels)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0], rtol=1e-6)
    deviation = np.sqrt(125)  # of 10, 20, 30 and 40
    np.testing.assert_allclose(
        standard.transform([[50, 25 + deviation, 7]]), [[0, 1, 0]], atol=1e-6
    )


@pytest.mark.parametrize("method", ["unit", "minmax", "standard"])
def test_float32_stays_float32(method, pixels):
    assert normalizer(method).fit_transform(pixels).dtype == np.float32


def test_unknown_method():
    with pytest.raises(KeyError, match="sigmoid"):
        normalizer("sigmoid")


@pytest.mark.parametrize("length", [1, 1000, np.array([[2], [3]])])
def test_scale_to_length(length):
    rows = scale_to_length(np.float32([[3, 4], [0, 0]]), length)
    np.testing.assert_allclose(rows, np.array([[0.6, 0.8], [0, 0]]) * length, rtol=1e-6)
    assert rows.dtype == np.float32
