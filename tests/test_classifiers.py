"""The models to choose from."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fewlabel.classifiers import build_classifier
from fewlabel.networks import NetworkClassifier, TwoViewClassifier


def test_logistic_regression():
    built = build_classifier("logistic_regression", (2, 3), 5, C=0.3, max_iterations=77)
    expected = LogisticRegression(C=0.3, max_iter=77, random_state=5)
    assert type(built) is LogisticRegression
    assert built.get_params() == expected.get_params()
    # It reads rows of any length, so that it can classify embeddings, too.
    rng = np.random.default_rng(0)
    y = np.repeat([0, 3], 20)
    X = rng.normal(size=(40, 4)) + y[:, None]
    np.testing.assert_array_equal(
        built.fit(X, y).predict_proba(X), expected.fit(X, y).predict_proba(X)
    )


@pytest.mark.parametrize("model", ["mlp", "wide_mlp", "small_cnn", "cnn"])
def test_networks(model):
    settings = {"epochs": 3, "min_steps": 30, "batch_size": 16, "learning_rate": 0.01}
    built = build_classifier(model, (2, 3), 5, **settings)
    expected = NetworkClassifier(model, image_shape=(2, 3), random_state=5, **settings)
    assert built.get_params() == expected.get_params()


def test_two_views():
    settings = {"cnn": {"epochs": 3}, "wide_mlp": {"epochs": 2}}
    built = build_classifier("two_views", (2, 3), 5, **settings)
    assert type(built) is TwoViewClassifier
    assert built.get_params() == {"image_shape": (2, 3), "random_state": 5} | settings
