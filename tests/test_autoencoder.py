"""The classifier on the code of an autoencoder."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from fewlabel.keras_format import canonical_keras
from fewlabel.keras_session import import_keras
from study.estimators import autoencoder
from study.estimators.autoencoder import AutoencoderClassifier

QUICK = {"encoder_units": (8, 5), "head_units": (4,), "epochs": 2, "random_state": 3}


class SelfTrainingClassifier(AutoencoderClassifier):
    """By this name, scikit-learn's checks do not ask it to take -1 for a class."""


@parametrize_with_checks(
    [SelfTrainingClassifier(encoder_units=(1000,), head_units=(), epochs=6, batch_size=300)]
)
@pytest.mark.usefixtures("eager")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_it_learns_from_images_without_labels():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    chosen = np.random.default_rng(0).permutation(len(y))[:300]
    labels = np.full(len(y), -1)
    labels[chosen] = y[chosen]
    fitted = AutoencoderClassifier((40, 20), (30,), epochs=60, random_state=0)
    fitted.fit(X, labels)
    unlabeled = labels < 0
    assert fitted.score(X[unlabeled], y[unlabeled]) > 0.85
    np.testing.assert_array_equal(fitted.classes_, range(10))


@pytest.mark.parametrize("is_frozen", [True, False])
@pytest.mark.usefixtures("eager")
def test_the_labels_leave_a_frozen_encoder_alone(is_frozen):
    X, y = (array[:300] for array in load_digits(return_X_y=True))
    labels = np.where(np.arange(300) < 100, y, -1)
    # The same images, other labels: another head on the same code.
    parities = np.where(labels >= 0, labels % 2, -1)
    weights, weights_of_other = (
        AutoencoderClassifier(**QUICK, is_frozen=is_frozen).fit(X / 16, given).model_.get_weights()
        for given in (labels, parities)
    )
    for layer in range(4):  # two layers' kernels and biases
        assert np.array_equal(weights[layer], weights_of_other[layer]) == is_frozen
    assert weights[-1].shape != weights_of_other[-1].shape


@pytest.mark.usefixtures("eager")
def test_training_stops_after_its_patience_and_keeps_the_best(monkeypatch):
    # Errors on held-out images: of three epochs of the autoencoder, then of four of the head.
    errors = iter([0.3, 0.4, 0.5, 0.5, 0.1, 0.1, 0.2])
    kept = []

    def error_of(targets, outputs):
        kept.append(outputs)
        return next(errors)

    monkeypatch.setattr(autoencoder, "mean_squared_error", error_of)
    monkeypatch.setattr(autoencoder, "_share_wrong", error_of)
    X, y = load_digits(return_X_y=True)
    X, y = X[:100] / 16, y[:100]
    fitted = AutoencoderClassifier((8,), (), patience=2, head_patience=2, random_state=0).fit(X, y)
    assert next(errors, None) is None
    np.testing.assert_array_equal(fitted.predict_proba(X[-20:]), kept[4])


@pytest.mark.usefixtures("eager")
def test_the_model_is_an_ordinary_file_and_the_same_each_time(tmp_path):
    X, y = (array[:200] for array in load_digits(return_X_y=True))
    contents = []
    for name in ("first.keras", "second.keras"):
        fitted = AutoencoderClassifier(**QUICK).fit(X / 16, y)
        fitted.model_.save(tmp_path / name)
        contents.append(canonical_keras((tmp_path / name).read_bytes()))
    assert contents[0] == contents[1]
    loaded = import_keras().models.load_model(tmp_path / "second.keras")
    probabilities = fitted.predict_proba(X[:50] / 16)
    np.testing.assert_allclose(loaded.predict(X[:50] / 16, verbose=0), probabilities, atol=1e-6)
