"""The ladder network behind scikit-learn's protocol."""

from itertools import islice

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from fewlabel.keras_format import canonical_keras
from fewlabel.keras_session import import_keras, predict
from study.estimators.ladder import (
    LadderClassifier,
    LadderWeights,
    build_step,
    clean_model,
    combine,
    decayed,
    endless_batches,
    initial_weights,
    ladder_cost,
)

TINY = {"hidden_units": (8,), "denoising_weights": (1.0, 0.1, 0.1), "epochs": 1}


class LabelSpreading(LadderClassifier):
    """By this name, scikit-learn's checks do not ask it to take -1 for a class."""


@parametrize_with_checks([LabelSpreading(**TINY, unlabeled_batch_size=40, learning_rate=0.1)])
@pytest.mark.usefixtures("eager")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def reference_combine(z, u, a):
    mean = a[0] * expit(a[1] * u + a[2]) + a[3] * u + a[4]
    gain = a[5] * expit(a[6] * u + a[7]) + a[8] * u + a[9]
    return z * gain + (1 - gain) * mean


def encode(weights, images, noises):
    """Return the layers' noisy z, what these were before normalization, and the logits."""
    z, raw = [images + noises[0]], [None]
    h = z[0]
    for kernel, beta, noise in zip(weights.kernels, weights.betas, noises[1:], strict=True):
        raw.append(h @ kernel)
        z.append((raw[-1] - raw[-1].mean(0)) / raw[-1].std(0) + noise)
        h = np.maximum(z[-1] + beta, 0)
    return z, raw, (z[-1] + weights.betas[-1]) * weights.gamma


def reference_cost(weights, labeled, targets, unlabeled, noises, denoising_weights):
    """Compute the cost path by path, each with a pass of its own up the encoder."""
    n = len(labeled)
    _, _, logits = encode(weights, labeled, [noise[:n] for noise in noises])
    cost = -log_softmax(logits, axis=1)[np.arange(n), targets].mean()
    z_noisy, _, logits = encode(weights, unlabeled, [noise[n:] for noise in noises])
    z_clean, raw, _ = encode(weights, unlabeled, np.zeros(len(noises)))
    u = softmax(logits, axis=1)
    for i in reversed(range(len(noises))):
        u = (u - u.mean(0)) / u.std(0)
        estimate = reference_combine(z_noisy[i], u, weights.combinators[i])
        normalized = (estimate - raw[i].mean(0)) / raw[i].std(0) if i else estimate
        cost += denoising_weights[i] * ((normalized - z_clean[i]) ** 2).mean()
        if i:
            u = estimate @ weights.decoder_kernels[i - 1]
    return cost


def test_combine():
    rng = np.random.default_rng(0)
    z, u, a = (rng.normal(size=(n, 4)) for n in (6, 6, 10))
    np.testing.assert_allclose(combine(z, u, a), reference_combine(z, u, a))


def test_combinators_start_at_zero_but_for_the_slopes_within_the_sigmoids():
    weights = initial_weights((3, 5, 2), np.random.default_rng(0))
    for a, n in zip(weights.combinators, (3, 5, 2), strict=True):
        np.testing.assert_array_equal(a, np.tile([[0], [1], [0], [0], [0]] * 2, n))


def random_weights(n_units, rng):
    """Draw all weights again, also those that start at zero or one."""
    flat = [
        [rng.normal(size=w.shape) for w in layer_shapes]
        if isinstance(layer_shapes, list)
        else layer_shapes
        for layer_shapes in initial_weights(n_units, rng)
    ]
    return LadderWeights(*flat)._replace(gamma=rng.normal(size=n_units[-1]))


@pytest.mark.parametrize(("n_labeled", "n_unlabeled"), [(4, 7), (7, 4)])
def test_cost(n_labeled, n_unlabeled):
    rng = np.random.default_rng(n_labeled)
    n_units = (6, 5, 4, 3)
    weights = random_weights(n_units, rng)
    batch = (
        rng.random((n_labeled, n_units[0])),
        rng.integers(n_units[-1], size=n_labeled),
        rng.random((n_unlabeled, n_units[0])),
        [0.3 * rng.normal(size=(n_labeled + n_unlabeled, n)) for n in n_units],
        (100.0, 10.0, 1.0, 0.1),
    )
    cost = ladder_cost(weights, *batch)
    np.testing.assert_allclose(cost, reference_cost(weights, *batch), rtol=1e-6)


def test_model_is_the_clean_encoder_normalized_over_all_images():
    rng = np.random.default_rng(0)
    weights = random_weights((6, 5, 4, 3), rng)
    X = rng.random((50, 6))
    model = clean_model(import_keras(), weights, X)
    _, _, logits = encode(weights, X, np.zeros(4))
    np.testing.assert_allclose(predict(model, X), softmax(logits, axis=1), rtol=1e-4, atol=1e-6)
    # And so it stays for one image alone.
    np.testing.assert_allclose(predict(model, X[:1]), predict(model, X)[:1], rtol=1e-5)


@pytest.mark.usefixtures("eager")
def test_steps_are_those_of_adam():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    n_units, denoising_weights = (6, 5, 3), (10.0, 1.0, 0.1)
    weights = tf.nest.map_structure(
        lambda w: tf.Variable(w, dtype=tf.float32), random_weights(n_units, rng)
    )
    expected = [w.numpy() for w in tf.nest.flatten(weights)]
    means, squares = ([np.zeros_like(w) for w in expected] for _ in range(2))
    step = build_step(weights, denoising_weights, noise=0.0, seed=0)
    batch = rng.random((4, 6), np.float32), np.arange(4) % 3, rng.random((7, 6), np.float32)
    for number, rate in ((1, 0.1), (2, 0.02)):
        with tf.GradientTape() as tape:
            noises = [np.zeros((11, n), np.float32) for n in n_units]
            cost = ladder_cost(weights, *batch, noises, denoising_weights)
        for i, gradient in enumerate(tape.gradient(cost, tf.nest.flatten(weights))):
            means[i] = 0.9 * means[i] + 0.1 * gradient
            squares[i] = 0.999 * squares[i] + 0.001 * gradient**2
            unbiased = np.sqrt(1 - 0.999**number) / (1 - 0.9**number)
            expected[i] -= rate * unbiased * means[i] / (np.sqrt(squares[i]) + 1e-8)
        step(*batch, np.int32(number), np.float32(rate))
        for found, reference in zip(tf.nest.flatten(weights), expected, strict=True):
            np.testing.assert_allclose(found, reference, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("n_rows", "batch_size"), [(5, 2), (6, 2), (3, 3), (3, 7), (21, 20), (1, 2)]
)
def test_batches_have_one_size_and_show_each_row_equally_often(n_rows, batch_size):
    rows = np.arange(n_rows) + 10
    rng = np.random.default_rng(0)
    size = min(batch_size, n_rows)
    batches = list(islice(endless_batches(rows, batch_size, rng), 3 * n_rows))
    assert {len(batch) for batch in batches} == {size}
    passes = np.concatenate(batches).reshape(-1, n_rows)
    assert len(passes) == 3 * size
    np.testing.assert_array_equal(np.sort(passes), np.tile(rows, (len(passes), 1)))
    assert n_rows == 1 or len(np.unique(passes, axis=0)) > 1


def test_learning_rate_falls_over_the_last_third():
    rates = [decayed(0.3, step, 9) for step in range(10)]
    np.testing.assert_allclose(rates, [0.3] * 7 + [0.2, 0.1, 0], atol=1e-12)


@pytest.fixture(scope="module")
def digits():
    """Return images and labels, and the labels of which all but five a class are -1."""
    X, y = load_digits(return_X_y=True)
    order = np.argsort(np.random.default_rng(0).permutation(len(y)))
    few = np.full(len(y), -1)
    for digit in range(10):
        labeled = order[y[order] == digit][:5]
        few[labeled] = digit
    return (X / 16).astype(np.float32), y, few


def test_unlabeled_images_teach(digits):
    X, y, few = digits
    unlabeled = few == -1
    settings = {"hidden_units": (100, 50), "epochs": 20, "random_state": 0}
    settings |= {"unlabeled_batch_size": 100, "learning_rate": 0.01}
    accuracy = {}
    for weights in ((500.0, 5.0, 0.1, 0.1), (0.0, 0.0, 0.0, 0.0)):
        ladder = LadderClassifier(denoising_weights=weights, **settings).fit(X, few)
        np.testing.assert_array_equal(ladder.classes_, range(10))
        accuracy[weights[0]] = ladder.score(X[unlabeled], y[unlabeled])
    assert accuracy[500] > accuracy[0] + 0.05


def stripes(n_images, n_pixels=16):
    """Return rows of pixels and their classes: dark or bright, with noise."""
    rng = np.random.default_rng(0)
    y = np.arange(n_images) % 2
    images = rng.normal(0, 0.3, (n_images, n_pixels)) + np.linspace(0, 1, n_pixels) * y[:, None]
    return images.astype(np.float32), np.array([3, 8])[y]


def test_repeats_itself_and_can_be_saved(tmp_path):
    keras = import_keras()
    X, y = stripes(60)
    y[10:] = -1
    fitted = []
    for i, seed in enumerate((7, 7, 8)):
        ladder = LadderClassifier(**TINY, unlabeled_batch_size=20, random_state=seed).fit(X, y)
        path = tmp_path / f"{i}.keras"
        ladder.model_.save(path)
        loaded = predict(keras.models.load_model(path), X)
        np.testing.assert_array_equal(loaded, ladder.predict_proba(X))
        fitted.append((loaded, canonical_keras(path.read_bytes())))
    (probabilities, content), (_, content_again), (with_another_seed, _) = fitted
    # Also after another was fitted.
    assert content == content_again
    assert not np.allclose(probabilities, with_another_seed)


@pytest.mark.usefixtures("eager")
def test_a_remainder_of_one_image_does_no_harm():
    X, y = stripes(41)
    y[21:] = -1
    ladder = LadderClassifier(
        **TINY | {"epochs": 20}, labeled_batch_size=20, unlabeled_batch_size=40, learning_rate=0.1,
        random_state=0,
    ).fit(X, y)  # fmt: skip
    np.testing.assert_array_equal(ladder.classes_, [3, 8])
    assert ladder.score(*stripes(200)) > 0.95


@pytest.mark.usefixtures("eager")
def test_labels_of_a_single_image():
    X, y = stripes(20)
    y[1:] = -1
    ladder = LadderClassifier(**TINY, random_state=0).fit(X, y)
    np.testing.assert_array_equal(ladder.predict(X), np.full(20, 3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"denoising_weights": (1.0, 0.1)}, "denoising_weights must be 3 numbers.* not 2"),
        ({"denoising_weights": (1.0,) * 4}, "denoising_weights must be 3 numbers.* not 4"),
        ({"labeled_batch_size": 1}, "labeled_batch_size must be at least 2, not 1"),
        ({"unlabeled_batch_size": 0}, "unlabeled_batch_size must be at least 2, not 0"),
    ],
)
def test_settings_that_cannot_work(settings, message):
    with pytest.raises(ValueError, match=message):
        LadderClassifier(**TINY | settings).fit(*stripes(20))
