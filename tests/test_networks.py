"""The networks behind scikit-learn's protocol."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import estimator_checks_generator

from fewlabel.classifiers.networks import (
    DivergedError,
    EnsembleClassifier,
    NetworkClassifier,
    ShuffledBatches,
    fit_network,
    one_cycle,
    random_shift_and_cutout,
)
from fewlabel.keras_format import canonical_keras
from fewlabel.keras_session import MAX_PREDICTED, import_keras, new_session, predict
from fewlabel.methods import settings_of

ARCHITECTURES = ("mlp", "wide_mlp", "small_cnn", "cnn")
TINY = {"epochs": 1, "min_steps": 1, "batch_size": 300, "learning_rate": 0.01}
# Enough for scikit-learn's blobs, where a check looks at what was learned.
N_STEPS = {"check_classifiers_classes": 6, "check_classifiers_train": 6}
# Those that batch normalization might fail: one image, another order, once more.
CHECKS_OF_CNN = {
    "check_classifiers_one_label",
    "check_estimators_pickle",
    "check_fit2d_1sample",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
}


def network(architecture):
    return settings_of("classifiers", architecture).network


def scikit_learn_checks(architecture):
    # The check of array API input is for those who set SCIPY_ARRAY_API; it would skip itself.
    return [
        pytest.param(
            NetworkClassifier(architecture, **TINY | {"min_steps": N_STEPS.get(name, 1)}),
            check,
            id=f"{architecture}-{name}",
        )
        for _, check in estimator_checks_generator(NetworkClassifier(architecture))
        if (name := check.func.__name__) != "check_array_api_input"
        and (architecture == "mlp" or name in CHECKS_OF_CNN)
    ]


def two_view_checks():
    views = {"cnn": TINY, "wide_mlp": TINY}
    return [
        pytest.param(
            EnsembleClassifier(**views), check, id=f"cnn_mlp_ensemble-{check.func.__name__}"
        )
        for _, check in estimator_checks_generator(EnsembleClassifier())
        if check.func.__name__ in CHECKS_OF_CNN
    ]


@pytest.mark.parametrize(
    ("estimator", "check"),
    [*scikit_learn_checks("mlp"), *scikit_learn_checks("cnn"), *two_view_checks()],
)
@pytest.mark.usefixtures("eager")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@settings(deadline=None)
@given(
    st.tuples(*[st.integers(1, 4)], *[st.integers(1, 9)] * 2, st.sampled_from([1, 3])),
    st.integers(0, 2**32 - 1),
)
def test_random_shift_and_cutout(shape, seed):
    # Every pixel has a value of its own, none of them 0, so that its origin can be told.
    images = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    changed = random_shift_and_cutout(images, np.random.default_rng(seed))
    assert changed.shape == shape
    assert changed.dtype == np.float32
    padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)])
    _, height, width, _ = shape
    for i, image in enumerate(changed):
        kept = image.any(axis=-1)
        shifts = [
            padded[i, top : top + height, left : left + width]
            for top in range(5)
            for left in range(5)
        ]
        origins = [shifted for shifted in shifts if (shifted == image)[kept].all()]
        assert origins
        # What is missing of one of them is a rectangle of at most 30 % of a side, and one pixel.
        assert any(
            is_rectangle(~kept & shifted.any(axis=-1), shifted, height, width)
            for shifted in origins
        )
    again = random_shift_and_cutout(images, np.random.default_rng(seed))
    np.testing.assert_array_equal(changed, again)


def is_rectangle(cut, shifted, height, width):
    """Whether the cut is all that its bounding box has of the shifted image, and small."""
    rows, columns = (np.flatnonzero(cut.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return True
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    whole = (cut == shifted.any(axis=-1))[box].all()
    return whole and np.ptp(rows) < 0.3 * height and np.ptp(columns) < 0.3 * width


def test_augmentation_moves_by_up_to_two_pixels_and_cuts_a_square_somewhere():
    n, side = 2000, 28
    images = np.ones((n, side, side, 1), np.float32)
    changed = random_shift_and_cutout(images, np.random.default_rng(0))[..., 0]
    # The centre lies inside whatever the shift, so it is dark only where the square covers it:
    # nine of 28 rows and as many columns away at most.
    dark = (changed[:, side // 2, side // 2] == 0).mean()
    assert abs(dark - (9 / 28) ** 2) < 0.04
    # A border row is empty when shifted out; of five shifts, two leave the first row empty.
    assert abs((~changed[:, 0].any(axis=1)).mean() - 2 / 5) < 0.06
    inside = changed[:, 8:20, 8:20]
    assert ((inside == 0).sum(axis=(1, 2)) <= 81).all()
    assert ((inside == 0).sum(axis=(1, 2)) == 81).any()


@pytest.mark.parametrize(("peak", "n_steps"), [(0.003, 200), (0.1, 37), (1.0, 10)])
def test_one_cycle(peak, n_steps):
    rate = one_cycle(import_keras(), peak, n_steps)
    warmup = n_steps // 10
    for step in range(n_steps + 1):
        if step <= warmup:
            expected = peak * (0.1 + 0.9 * step / warmup)
        else:
            done = (step - warmup) / (n_steps - warmup)
            expected = peak * (1 + np.cos(np.pi * done)) / 2
        assert float(rate(step)) == pytest.approx(expected, rel=1e-4, abs=1e-6 * peak)


@pytest.mark.parametrize("n_steps", [1, 2])
def test_one_cycle_of_hardly_a_step_is_finite(n_steps):
    rate = one_cycle(import_keras(), 0.5, n_steps)
    assert all(0 <= float(rate(step)) <= 0.5 for step in range(n_steps + 1))


def batches_of(per_pass, n_batches, n_parts=1):
    numbers = {"per_pass": per_pass, "n_batches": n_batches, "n_parts": n_parts}
    return numbers | {"transform": None, "seed": 0}


@pytest.mark.parametrize(
    ("per_pass", "n_parts", "sizes_of_a_pass"),
    [
        (4, 1, [6, 6, 6, 5]),
        (4, 3, [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]),
        (1, 1, [23]),
        (1, 2, [12, 11]),
        (2, 1, [12, 11]),
        (23, 1, [1] * 23),
    ],
)
def test_a_pass_shows_every_image_once_with_its_target(per_pass, n_parts, sizes_of_a_pass):
    images, targets = np.arange(23)[:, None], -np.arange(23)
    numbers = batches_of(per_pass, 2 * per_pass, n_parts)
    batches = ShuffledBatches(images, targets, **numbers)
    n_batches = 2 * per_pass * n_parts
    orders = []
    for _ in range(2):
        shown = [batches[i] for i in range(len(batches))]
        assert [len(x) for x, _ in shown] == 2 * sizes_of_a_pass
        for one_pass in (shown[: n_batches // 2], shown[n_batches // 2 :]):
            x, y = (np.concatenate(parts) for parts in zip(*one_pass, strict=True))
            np.testing.assert_array_equal(x[:, 0], -y)
            assert sorted(x[:, 0]) == list(range(23))
            orders.append(tuple(x[:, 0]))
        batches.begin_epoch()
    assert len(set(orders)) == 4


@pytest.mark.parametrize("n_batches", [1, 3, 4, 5, 9])
def test_an_epoch_may_end_within_a_pass(n_batches):
    images = np.arange(23)
    batches = ShuffledBatches(images, images, **batches_of(4, n_batches))
    assert [len(batches[i][0]) for i in range(len(batches))] == (3 * [6, 6, 6, 5])[:n_batches]


def test_batches_are_transformed_by_one_generator():
    images = np.zeros((4, 1))
    batches = ShuffledBatches(
        images,
        images,
        **batches_of(1, 3) | {"transform": lambda x, rng: x + rng.random()},
    )
    assert len({batches[i][0][0, 0] for i in range(3)}) == 3


def test_gradients_of_parts_make_the_step_of_the_whole_batch(monkeypatch):
    # Else a step has the learning rate of its last part, which is another.
    monkeypatch.setattr("fewlabel.classifiers.networks.one_cycle", lambda _, peak, n_steps: peak)
    X, y = stripes(48, 4, 4)
    targets = np.eye(2, dtype=np.float32)[(y == 8).astype(int)]

    def weights(train_bytes):
        monkeypatch.setattr("fewlabel.classifiers.networks._TRAIN_BYTES", train_bytes)
        keras, _ = new_session(0)
        model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(2, "softmax")])
        seen = []

        class Count(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                seen.append(batch)

        steps = {"epochs": 3, "min_steps": 1, "batch_size": 24, "learning_rate": 0.01, "seed": 0}
        loss = "categorical_crossentropy"
        fit_network(keras, model, loss, X, targets, **steps, callbacks=[Count()])
        return len(seen), np.concatenate([w.ravel() for w in model.get_weights()])

    n_whole, whole = weights(2**28)
    n_parts, of_parts = weights(2 * 2 * 4 * 6)  # both outputs and gradients of six images
    assert (n_whole, n_parts) == (6, 24)
    np.testing.assert_allclose(of_parts, whole, atol=1e-6)


def stripes(n_images, *image_shape):
    """Return rows of pixels and their classes: dark or bright, with noise."""
    rng = np.random.default_rng(0)
    y = np.arange(n_images) % 2
    images = rng.normal(0, 0.1, (n_images, *image_shape)) + y.reshape(-1, *[1] * len(image_shape))
    return images.reshape(n_images, -1), np.array([3, 8])[y]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_learns_and_repeats_itself(architecture, tmp_path):
    X, y = stripes(60, 8, 8)
    fitted = []
    for i in range(2):
        network = NetworkClassifier(
            architecture, (8, 8), epochs=2, min_steps=40, batch_size=20, augment=True,
            label_smoothing=0.1, random_state=7,
        ).fit(X, y)  # fmt: skip
        path = tmp_path / f"{i}.keras"
        network.model_.save(path)
        fitted.append((network, path.read_bytes()))
    (network, content), (_, content_again) = fitted
    # Also after another was fitted.
    assert network.score(X, y) > 0.95
    np.testing.assert_array_equal(network.classes_, [3, 8])
    assert canonical_keras(content) == canonical_keras(content_again)


@pytest.mark.usefixtures("eager")
def test_cnn_mlp_ensemble_are_averaged():
    pixels, y = stripes(20, 4, 4)
    X = np.hstack([pixels, np.random.default_rng(1).random((20, 3))])
    both = EnsembleClassifier((4, 4), cnn=TINY, wide_mlp=TINY, random_state=0).fit(X, y)
    cnn, mlp = (layer for layer in both.model_.layers if layer.name in ("cnn", "wide_mlp"))
    apart = [
        cnn.predict(X[:, :16].reshape(20, 4, 4, 1), verbose=0),
        mlp.predict(X[:, None, 16:, None], verbose=0),
    ]
    np.testing.assert_allclose(both.predict_proba(X), np.mean(apart, axis=0), rtol=1e-5)
    assert not np.allclose(*apart)


@pytest.mark.usefixtures("eager")
def test_another_seed_gives_another_network():
    X, y = stripes(20, 4, 4)
    one, other = (
        NetworkClassifier("small_cnn", (4, 4), **TINY, random_state=seed).fit(X, y)
        for seed in (0, 1)
    )
    assert not np.allclose(one.predict_proba(X), other.predict_proba(X))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("image_shape", [(5, 6), (5, 6, 1), (5, 6, 3)])
def test_image_shape_is_what_the_network_sees(image_shape):
    X, y = stripes(20, *image_shape)
    network = NetworkClassifier("cnn", image_shape, **TINY, random_state=0).fit(X, y)
    height, width, channels = (*image_shape, 1)[:3]
    assert network.model_.input_shape == (None, height, width, channels)
    probabilities = network.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    images = X.reshape(-1, height, width, channels).astype(np.float32)
    np.testing.assert_allclose(probabilities, network.model_.predict(images, verbose=0), rtol=1e-5)


def test_image_shape_must_match():
    X, y = stripes(20, 5, 6)
    with pytest.raises(ValueError, match="reshape"):
        NetworkClassifier("mlp", (5, 7), **TINY).fit(X, y)


def test_mlp_has_seven_dense_layers():
    keras = import_keras()
    model = network("mlp")(keras, (28, 28, 1), 10)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.units for layer in dense] == [512, 256, 128, 64, 32, 16, 10]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_maps_images_to_probabilities(architecture):
    model = network(architecture)(import_keras(), (28, 28, 1), 10)
    images = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    probabilities = model.predict(images, verbose=0)
    assert probabilities.shape == (4, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("epochs", "min_steps", "batch_size", "steps_per_epoch"),
    [
        (3, 1, 5, 4),  # 20 images
        (3, 12, 5, 4),
        (3, 13, 5, 5),
        (2, 1, 64, 1),
        (2, 7, 64, 4),
    ],
)
def test_number_of_epochs_and_steps(epochs, min_steps, batch_size, steps_per_epoch):
    keras = import_keras()
    seen = []

    class Count(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(0)

        def on_train_batch_end(self, batch, logs=None):
            seen[-1] += 1

        def on_epoch_end(self, epoch, logs=None):
            # What the learning curve is drawn from.
            assert {"loss", "accuracy"} <= set(logs)

    network = NetworkClassifier(
        "small_cnn", (2, 2), epochs=epochs, min_steps=min_steps, batch_size=batch_size
    )
    network.fit(*stripes(20, 2, 2), callbacks=[Count()])
    assert seen == epochs * [steps_per_epoch]


def test_importing_the_modules_does_not_import_tensorflow():
    # What is kept out of a module's top level: it takes seconds.
    modules = "fewlabel.classifiers.networks, study.estimators.ladder"
    script = f"import sys, {modules}\nassert not {{'keras', 'tensorflow'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("architecture", ["mlp", "cnn"])
@pytest.mark.parametrize("n_images", [1, 47, 48, 100])
def test_an_image_has_the_same_probabilities_wherever_it_stands(architecture, n_images):
    keras, _ = new_session(0)
    model = network(architecture)(keras, (8, 8, 1), 3)
    X = np.random.default_rng(0).random((n_images, 64), np.float32)
    order = np.random.default_rng(1).permutation(n_images)
    np.testing.assert_array_equal(predict(model, X)[order], predict(model, X[order]))


@pytest.mark.parametrize("n_cores", [2, 5])
def test_batches_predicted_at_once_are_as_one_after_the_other(n_cores, monkeypatch):
    keras, _ = new_session(0)
    model = network("wide_mlp")(keras, (1, 8, 1), 3)
    X = np.random.default_rng(0).random((3 * MAX_PREDICTED + 5, 8), np.float32)
    monkeypatch.setattr("fewlabel.keras_session.cpu_count", lambda: 1)
    expected = predict(model, X)
    monkeypatch.setattr("fewlabel.keras_session.cpu_count", lambda: n_cores)
    np.testing.assert_array_equal(predict(model, X), expected)


@pytest.mark.parametrize(("n_images", "given"), [(1, [48]), (48, [48]), (50, [48, 48]), (0, [48])])
def test_only_images_and_what_fills_their_last_block_are_predicted(n_images, given, monkeypatch):
    keras, _ = new_session(0)
    model, seen = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), []

    def count(self, images):
        seen.append(len(images))
        return np.zeros((len(images), 1), np.float32)

    monkeypatch.setattr(keras.Model, "predict_on_batch", count)
    assert predict(model, np.zeros((n_images, 2), np.float32)).shape == (n_images, 1)
    assert seen == given


def test_networks_trained_at_once_are_as_alone():
    rng = np.random.default_rng(0)
    X, y = rng.random((90, 64 + 5), dtype=np.float32), np.arange(90) % 3
    both = EnsembleClassifier((8, 8), cnn=TINY, wide_mlp=TINY, random_state=0).fit(X, y)
    seed = np.random.RandomState(0).randint(2**31)
    views = [("cnn", (8, 8), X[:, :64]), ("wide_mlp", None, X[:, 64:])]
    alone = [NetworkClassifier(a, s, **TINY, random_state=seed).fit(v, y) for a, s, v in views]
    expected = [weights for network in alone for weights in network.model_.get_weights()]
    for weights, others in zip(both.model_.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weights, others)


@pytest.mark.usefixtures("eager")
def test_where_one_network_fails_the_others_stop_at_once():
    steps = []

    class Count(import_keras().callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append(batch)

    endless = TINY | {"min_steps": 10**4}
    both = EnsembleClassifier((2, 2), cnn=endless, wide_mlp=TINY | {"learning_rate": 1e30})
    X, y = np.random.default_rng(0).random((40, 9), dtype=np.float32), np.arange(40) % 2
    with pytest.raises(DivergedError, match=r"wide_mlp\.learning_rate is 1e"):
        both.fit(X, y, callbacks=[Count()])
    assert len(steps) < 10**4
