"""A trained classifier as files: model.keras or model.joblib, and classifier.json about it."""

from pathlib import Path

import numpy as np

from fewlabel.keras_format import canonical_keras
from stages.artifacts import load_json, save_joblib, save_json, write


def save_classifier(folder: str, classifier, features: str) -> None:
    """Write a fitted classifier.

    Parameters
    ----------
    folder
        Where its files go.
    classifier
        A fitted scikit-learn classifier, or a `NetworkClassifier`, of which the network is kept.
    features
        What it reads: "pixels" or "embedding".
    """
    if hasattr(classifier, "model_"):
        file = "model.keras"
        write(f"{folder}/{file}", lambda path: _save_keras(classifier.model_, path))
    else:
        file = "model.joblib"
        save_joblib(f"{folder}/{file}", classifier)
    about = {"file": file, "features": features, "classes": classifier.classes_.tolist()}
    save_json(f"{folder}/classifier.json", about)


def _save_keras(model, path: Path) -> None:
    model.save(path)
    path.write_bytes(canonical_keras(path.read_bytes()))


def predict_probabilities(folder: str, inputs: dict[str, np.ndarray], n_classes: int) -> np.ndarray:
    """Load a classifier and predict.

    Parameters
    ----------
    folder
        Where `save_classifier` wrote.
    inputs
        "pixels", of shape (n_images, height, width), and "embedding", of shape
        (n_images, n_features).
    n_classes
        Of the data set; a class that no label was of has probability 0.

    Returns
    -------
    ndarray of shape (n_images, n_classes)
    """
    about = load_json(f"{folder}/classifier.json")
    X = inputs[about["features"]]
    path = f"{folder}/{about['file']}"
    if path.endswith(".keras"):
        from fewlabel import networks

        model = networks.import_keras().models.load_model(path)
        predicted = networks.predict(model, X)
    else:
        import joblib

        predicted = joblib.load(path).predict_proba(X.reshape(len(X), -1))
    probabilities = np.zeros((len(X), n_classes), np.float32)
    probabilities[:, about["classes"]] = predicted
    return probabilities
