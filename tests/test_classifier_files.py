"""A trained classifier as files."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from fewlabel.classifiers.files import load_classifier, save_classifier
from fewlabel.classifiers.networks import EnsembleClassifier, NetworkClassifier
from fewlabel.methods import settings_of
from fewlabel.normalization import to_unit
from fewlabel.rows import ImageRows

N_CLASSES = 5


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    return {
        "pixels": rng.integers(256, size=(40, 6, 5), dtype=np.uint8),
        "embedding": rng.random((40, 7), np.float32),
    }


def method(name, **settings):
    return settings_of("classifiers", name)(**settings)


def fitted(classifier, images):
    rows = images.reshape(len(images), -1)
    rows = to_unit(rows) if rows.dtype == np.uint8 else rows
    return classifier.fit(rows, np.arange(len(images)) % 2 * 3)


def assert_predicts_as(folder, inputs, features, classifier):
    pixels = ImageRows(images=inputs["pixels"], normalization=FunctionTransformer(to_unit))
    X = {
        "pixels": pixels,
        "embedding": inputs["embedding"],
        "pixels and embedding": replace(pixels, features=inputs["embedding"]),
    }[features]
    about, predict = load_classifier(folder, N_CLASSES)
    assert about["features"] == features
    assert about["is_overconfident"] == isinstance(classifier, LogisticRegression)
    predicted = predict(X)
    assert predicted.shape == (40, N_CLASSES)
    rows = np.asarray(X)
    np.testing.assert_allclose(predicted[:, [0, 3]], classifier.predict_proba(rows), atol=1e-6)
    # Classes that it was not taught.
    np.testing.assert_array_equal(predicted[:, [1, 2, 4]], 0)


@pytest.mark.usefixtures("eager")
def test_a_saved_classifier_predicts_as_it_did(tmp_path, inputs):
    steps = {"epochs": 1, "min_steps": 2, "batch_size": 16, "random_state": 0}
    cnn = fitted(NetworkClassifier("cnn", image_shape=(6, 5), **steps), inputs["pixels"])
    save_classifier(str(tmp_path), cnn, method("cnn"))
    assert_predicts_as(str(tmp_path), inputs, "pixels", cnn)

    mlp = fitted(NetworkClassifier("mlp", **steps), inputs["embedding"])
    save_classifier(str(tmp_path), mlp, method("mlp"))
    assert_predicts_as(str(tmp_path), inputs, "embedding", mlp)

    small = {"epochs": 1, "min_steps": 2, "batch_size": 16}
    both = EnsembleClassifier((6, 5), cnn=small, wide_mlp=small, random_state=0)
    fitted(both, np.hstack([to_unit(inputs["pixels"].reshape(40, -1)), inputs["embedding"]]))
    save_classifier(str(tmp_path), both, method("cnn_mlp_ensemble"))
    assert_predicts_as(str(tmp_path), inputs, "pixels and embedding", both)

    # In a folder that has another kind's file from before.
    for features in inputs:
        linear = fitted(LogisticRegression(), inputs[features])
        save_classifier(str(tmp_path), linear, method("logistic_regression", features=features))
        assert_predicts_as(str(tmp_path), inputs, features, linear)
