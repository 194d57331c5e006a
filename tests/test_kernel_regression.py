"""Kernel ridge regression from labeled images, against the closed form."""

import numpy as np
import pytest

from fewlabel.propagation.kernel_regression import (
    MAX_EXAMPLES,
    class_scores,
    examples,
    shifted_copies,
)


def test_class_scores_equal_the_closed_form():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1500, 6)).astype(np.float32)
    labeled, y = features[:40] * 3, rng.integers(3, size=40)  # length does not matter
    a, b = (rows / np.linalg.norm(rows, axis=1)[:, None] for rows in (features, labeled))
    kernel = np.exp(-0.5 * ((b[:, None] - b) ** 2).sum(axis=2)) + 0.1 * np.eye(40)
    weights = np.linalg.solve(kernel.astype(float), np.eye(3)[y] - 1 / 3)
    expected = np.exp(-0.5 * ((a[:, None] - b) ** 2).sum(axis=2)) @ weights + 1 / 3
    scores = class_scores(features, labeled, y, 3)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert scores.dtype == np.float32


def test_class_scores_of_a_class_that_no_label_is_of():
    features = np.eye(4, dtype=np.float32)
    scores = class_scores(features, features[:2], np.array([0, 2]), 3)
    assert scores[0].argmax() == 0
    assert scores[1].argmax() == 2
    assert (scores[:, 1] < 1 / 3).all()


def test_shifted_copies_by_hand():
    image = np.zeros((28, 56), np.float32)
    image[10, 20] = 1
    copies = shifted_copies(image[None])
    places = [tuple(np.argwhere(copy)[0]) for copy in copies]
    # Two of 56 columns, one of 28 rows.
    assert places == [(10, 20), (9, 20), (11, 20), (10, 18), (10, 22)]


@pytest.mark.parametrize("channels", [(), (3,)])
def test_shifted_copies_repeat_the_edge(channels):
    images = np.random.default_rng(0).random((2, 28, 28, *channels), np.float32)
    copies = shifted_copies(images).reshape(5, *images.shape)
    np.testing.assert_array_equal(copies[0], images)
    np.testing.assert_array_equal(copies[1][:, :-1], images[:, 1:])
    np.testing.assert_array_equal(copies[1][:, -1], images[:, -1])
    np.testing.assert_array_equal(copies[4][:, :, 1:], images[:, :, :-1])
    np.testing.assert_array_equal(copies[4][:, :, 0], images[:, :, 0])


def test_small_images_are_not_shifted():
    images = np.ones((2, 8, 8), np.float32)
    np.testing.assert_array_equal(shifted_copies(images), images)


@pytest.mark.parametrize(
    ("n_images", "n_examples"),
    [
        (0, 0),
        (1, 5),
        (2000, 10_000),
        (2001, 2001),
        (10_000, 10_000),
        (10_001, 5001),
        (60_000, 10_000),
    ],
)
def test_examples_are_as_many_as_memory_allows(n_images, n_examples):
    chosen, y = examples(np.zeros((n_images, 28, 28), np.uint8), np.arange(n_images))
    assert len(chosen) == len(y) == n_examples <= MAX_EXAMPLES
    if n_images:
        assert y[0] == 0
