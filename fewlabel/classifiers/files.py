"""A trained classifier as files: model.keras or model.joblib, and classifier.json about it."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fewlabel.keras_format import canonical_keras
from fewlabel.storage import load_json, save_joblib, save_json, unpickle, write

BOTH = "pixels and embedding"


def classifier_input(features: str, images: np.ndarray, embedded: np.ndarray) -> np.ndarray:
    """Rows that a classifier reads.

    Parameters
    ----------
    features
        "pixels", "embedding" or "pixels and embedding", which follows the pixels.
    images
        Normalized, of shape (n_images, ...).
    embedded
        Their features, of shape (n_images, n_features).
    """
    pixels = images.reshape(len(images), math.prod(images.shape[1:]))
    match features:
        case "pixels":
            return pixels
        case "embedding":
            return embedded
    return np.hstack([pixels, embedded])


def save_classifier(folder: str, classifier, features: str) -> None:
    """Write a fitted classifier.

    Parameters
    ----------
    folder
        Where its files go.
    classifier
        A fitted scikit-learn classifier, or a `KerasClassifier`, of which the network is kept.
    features
        What it reads, as `classifier_input` calls it.
    """
    if hasattr(classifier, "model_"):
        file = "model.keras"
        write(f"{folder}/{file}", lambda path: _save_keras(classifier.model_, path))
    else:
        file = "model.joblib"
        save_joblib(f"{folder}/{file}", classifier)
    about = {"file": file, "features": features, "classes": classifier.classes_.tolist()}
    save_json(f"{folder}/classifier.json", about)


def save_no_classifier(folder: str) -> None:
    """Write that nothing was trained, since there was no label."""
    save_json(f"{folder}/classifier.json", {"file": None, "features": "pixels", "classes": []})


def _save_keras(model, path: Path) -> None:
    model.save(path)
    path.write_bytes(canonical_keras(path.read_bytes()))


def load_classifier(folder: str | Path, n_classes: int) -> tuple[str, Callable]:
    """Load a classifier.

    Parameters
    ----------
    folder
        Where `save_classifier` wrote. The caller knows that this project did: what joblib wrote
        runs code when loaded.
    n_classes
        Of the data set; a class that no label was of has probability 0.

    Returns
    -------
    features : str
        What it reads, as `classifier_input` calls it.
    predict : callable
        From rows of these to probabilities of shape (n_images, n_classes).
    """
    about = load_json(f"{folder}/classifier.json")
    path = f"{folder}/{about['file']}"
    if path.endswith(".keras"):
        from fewlabel.classifiers import networks

        model = networks.import_keras().models.load_model(path, compile=False, safe_mode=True)
    else:
        model = unpickle(Path(path).read_bytes())

    def predict(X):
        probabilities = np.zeros((len(X), n_classes), np.float32)
        probabilities[:, about["classes"]] = (
            networks.predict(model, X) if path.endswith(".keras") else model.predict_proba(X)
        )
        return probabilities

    return about["features"], predict
