"""The network of nn_clusters."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from fewlabel.keras_session import import_keras
from study.estimators.build import build
from study.estimators.early_stopped_cnn import EarlyStoppedCNN


class HurriedCNN(EarlyStoppedCNN):
    """Stops before it has learned, since scikit-learn's checks fit a hundred times."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


@parametrize_with_checks([HurriedCNN(epochs=1, batch_size=100)])
@pytest.mark.usefixtures("eager")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_it_has_the_published_layers():
    X = np.zeros((20, 784), np.float32)
    path = "study.estimators.early_stopped_cnn.EarlyStoppedCNN"
    network = build({path: {"epochs": 1}}, (28, 28), seed=0)
    assert (network.image_shape, network.random_state) == ((28, 28), 0)
    model = network.fit(X, np.arange(20) % 10).model_
    # 320 + 18,496 + 73,856 + 129 + 31,040 + 650, by the layers that the notebook lists.
    assert model.count_params() == 124_491


def test_it_learns_and_keeps_what_keras_would():
    X, y = load_digits(return_X_y=True)
    # Convolutions without a margin leave 4 of the 64 pixels of a digit, and 100 of 256.
    X = np.kron(X.reshape(-1, 8, 8) / 16, np.ones((2, 2))).reshape(len(X), -1).astype(np.float32)
    network = EarlyStoppedCNN((16, 16), epochs=8, random_state=0).fit(X[:600], y[:600])
    assert network.score(X[600:], y[600:]) > 0.85
    probabilities = network.predict_proba(X[:50])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    again = EarlyStoppedCNN((16, 16), epochs=8, random_state=0).fit(X[:600], y[:600])
    np.testing.assert_array_equal(again.predict_proba(X[:50]), probabilities)


@pytest.mark.parametrize("patience", [1, 3])
def test_it_stops_when_the_held_out_loss_has_not_fallen(patience, monkeypatch):
    keras = import_keras()
    losses = iter([0.5, 0.4, *[0.6] * 5])
    monitored = keras.callbacks.EarlyStopping.get_monitor_value
    seen = []

    def get_monitor_value(self, logs):
        seen.append(monitored(self, logs))
        return next(losses)

    monkeypatch.setattr(keras.callbacks.EarlyStopping, "get_monitor_value", get_monitor_value)
    X, y = (array[:60] for array in load_digits(return_X_y=True))
    network = EarlyStoppedCNN((8, 8), patience=patience, random_state=0).fit(X / 16, y)
    assert network.n_epochs_ == len(seen) == 2 + patience
    assert np.isfinite(np.array(seen, float)).all()
