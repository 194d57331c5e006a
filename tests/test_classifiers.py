"""The models to choose from."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fewlabel.classifiers.networks import EnsembleClassifier, NetworkClassifier
from fewlabel.methods import settings_of


def build(model, image_shape, seed, **settings):
    return settings_of("classifiers", model)(**settings).build(image_shape, seed)


def test_logistic_regression():
    built = build("logistic_regression", (2, 3), 5, C=0.3, max_iter=77)
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


def test_logistic_regression_weighs_its_penalty_against_the_mean_loss():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 20)
    X = rng.normal(size=(60, 4)) + y[:, None]
    method = settings_of("classifiers", "logistic_regression")(C=3)
    fitted = method.build(None, 0).fit(X, y, **method.fit_arguments(np.ones(len(y))))
    expected = LogisticRegression(C=3 / 60, tol=1e-8).fit(X, y)
    np.testing.assert_allclose(fitted.coef_, expected.coef_, atol=1e-3)


def test_logistic_regression_counts_a_label_as_often_as_its_weight():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 20)
    X = rng.normal(size=(60, 4)) + y[:, None]
    weights = np.where(np.arange(60) % 2, 1.0, 4.0)
    method = settings_of("classifiers", "logistic_regression")()
    weighted, repeated = (
        method.build(None, 0).fit(X[rows], y[rows], **method.fit_arguments(w))
        for rows, w in (
            (np.arange(60), weights),
            (np.repeat(np.arange(60), weights.astype(int)), np.ones(150)),
        )
    )
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-3)


@pytest.mark.parametrize("model", ["mlp", "wide_mlp", "small_cnn", "cnn"])
def test_networks(model):
    settings = {"epochs": 3, "min_steps": 30, "batch_size": 16, "learning_rate": 0.01}
    settings["label_smoothing"] = 0.2
    built = build(model, (2, 3), 5, **settings)
    expected = NetworkClassifier(model, image_shape=(2, 3), random_state=5, **settings)
    if model == "cnn":
        expected.set_params(augment=True)
    assert built.get_params() == expected.get_params()


def test_cnn_mlp_ensemble():
    common = {"min_steps": 30, "batch_size": 16, "learning_rate": 0.01, "label_smoothing": 0.2}
    settings = {
        "cnn": {"epochs": 3, "augment": False} | common,
        "wide_mlp": {"epochs": 2} | common,
    }
    built = build("cnn_mlp_ensemble", (2, 3), 5, **settings)
    assert type(built) is EnsembleClassifier
    assert built.get_params() == {"image_shape": (2, 3), "random_state": 5} | settings
