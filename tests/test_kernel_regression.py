"""Kernel ridge regression from labeled images, against the closed form."""

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer

from fewlabel import arrays
from fewlabel.propagation.kernel_regression import MAX_EXAMPLES, class_scores, examples
from fewlabel.rows import ImageRows


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


def shifted(images):
    """Return all that a regression learns from, for an embedding that leaves pixels alone."""
    pixels = ImageRows(images=images, normalization=FunctionTransformer(np.float32))
    positions = np.arange(len(images))
    return examples(positions, pixels[:], pixels, FunctionTransformer())


def test_shifted_copies_by_hand():
    images = np.zeros((1, 28, 56), np.uint8)
    images[0, 10, 20] = 1
    _, copies = shifted(images)
    places = [tuple(np.argwhere(copy.reshape(28, 56))[0]) for copy in copies]
    # Two of 56 columns, one of 28 rows.
    assert places == [(10, 20), (9, 20), (11, 20), (10, 18), (10, 22)]


@pytest.mark.parametrize("channels", [(), (3,)])
def test_shifted_copies_repeat_the_edge(channels, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 28 * 28 * 4)  # one gray image
    images = np.random.default_rng(0).integers(256, size=(2, 28, 28, *channels), dtype=np.uint8)
    positions, copies = shifted(images)
    np.testing.assert_array_equal(positions, [0, 1] * 5)
    copies = copies.reshape(5, *images.shape)
    np.testing.assert_array_equal(copies[0], images)
    np.testing.assert_array_equal(copies[1][:, :-1], images[:, 1:])
    np.testing.assert_array_equal(copies[1][:, -1], images[:, -1])
    np.testing.assert_array_equal(copies[4][:, :, 1:], images[:, :, :-1])
    np.testing.assert_array_equal(copies[4][:, :, 0], images[:, :, 0])


def test_small_images_are_not_shifted():
    images = np.ones((2, 8, 8), np.uint8)
    np.testing.assert_array_equal(shifted(images)[1], images.reshape(2, -1))


@pytest.mark.parametrize(
    ("n_images", "n_examples"),
    [
        (1, 5),
        (2000, 10_000),
        (2001, 2001),
        (10_000, 10_000),
        (10_001, 5001),
        (60_000, 10_000),
    ],
)
def test_examples_are_as_many_as_memory_allows(n_images, n_examples):
    class Counted:
        """An embedding of one feature."""

        def transform(self, X):
            return X[:, :1]

    images = np.broadcast_to(np.zeros((1, 28, 28), np.uint8), (n_images, 28, 28))
    pixels = ImageRows(images=images, normalization=FunctionTransformer(np.float32))
    positions, features = examples(
        np.arange(n_images), np.zeros((n_images, 1), np.float32), pixels, Counted()
    )
    assert len(positions) == len(features) == n_examples <= MAX_EXAMPLES
    assert positions[0] == 0
