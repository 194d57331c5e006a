"""The classifier on the code of an autoencoder."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from fewlabel.keras_format import canonical_keras
from fewlabel.keras_session import import_keras
from study.estimators.autoencoder import AutoencoderClassifier


class SelfTrainingClassifier(AutoencoderClassifier):
    """By this name, scikit-learn's checks do not ask it to take -1 for a class."""


@parametrize_with_checks(
    [
        SelfTrainingClassifier(
            encoder_units=(32,),
            head_units=(),
            epochs=1,
            head_epochs=5,
            batch_size=300,
            learning_rate=0.1,
        )
    ]
)
@pytest.mark.usefixtures("eager")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    chosen = np.random.default_rng(0).permutation(len(y))[:300]
    labels = np.full(len(y), -1)
    labels[chosen] = y[chosen]
    fitted = AutoencoderClassifier((40, 20), (30,), 60, 100, 64, 0.005, random_state=0)
    return X, y, labels, fitted.fit(X, labels)


def test_it_learns_from_images_without_labels(digits):
    X, y, labels, fitted = digits
    unlabeled = labels < 0
    assert fitted.score(X[unlabeled], y[unlabeled]) > 0.85
    np.testing.assert_array_equal(fitted.classes_, range(10))


def test_the_labels_leave_the_encoder_alone(digits):
    X, _, labels, fitted = digits
    # The same images, other labels: another head on the same code.
    parities = np.where(labels >= 0, labels % 2, -1)
    other = AutoencoderClassifier(**fitted.get_params() | {"head_epochs": 1}).fit(X, parities)
    weights, weights_of_other = (model.model_.get_weights() for model in (fitted, other))
    for layer in range(4):  # two layers' kernels and biases
        np.testing.assert_array_equal(weights[layer], weights_of_other[layer])
    assert weights[-1].shape != weights_of_other[-1].shape


def test_the_model_is_an_ordinary_file_and_the_same_each_time(digits, tmp_path):
    X, y, _, fitted = digits
    fitted.model_.save(tmp_path / "one.keras")
    loaded = import_keras().models.load_model(tmp_path / "one.keras")
    probabilities = fitted.predict_proba(X[:50])
    np.testing.assert_allclose(loaded.predict(X[:50], verbose=0), probabilities, atol=1e-6)

    quick = {"encoder_units": (5,), "epochs": 1, "head_epochs": 1, "random_state": 3}
    contents = []
    for name in ("first.keras", "second.keras"):
        AutoencoderClassifier(**quick).fit(X[:200], y[:200]).model_.save(tmp_path / name)
        contents.append(canonical_keras((tmp_path / name).read_bytes()))
    assert contents[0] == contents[1]
