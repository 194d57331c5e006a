"""A trained classifier as files: model.keras or model.joblib, and classifier.json about it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.arrays import Classifier, Floats
from fewlabel.keras_format import canonical_keras
from fewlabel.methods import Reads
from fewlabel.storage import load_json, save_joblib, save_json, unpickle, write


def classifier_input(features: Reads, images: Floats, embedded: Floats) -> Floats:
    """Return the rows that a classifier reads.

    Parameters
    ----------
    features
        "pixels and embedding" is the pixels, then their features.
    images : ndarray of shape (n_images, ...)
        Normalized.
    embedded : ndarray of shape (n_images, n_features)
        Their features.

    Examples
    --------
    >>> images, embedded = np.zeros((3, 8, 8)), np.zeros((3, 5))
    >>> classifier_input("pixels and embedding", images, embedded).shape
    (3, 69)
    """
    if features == "embedding":
        return embedded
    pixels = images.reshape(len(images), math.prod(images.shape[1:]))
    return pixels if features == "pixels" else np.hstack([pixels, embedded])


def save_classifier(folder: str, classifier: Classifier | None, features: Reads) -> None:
    """Write a fitted classifier.

    Parameters
    ----------
    folder
        Where its files go.
    classifier
        A fitted scikit-learn classifier, or a `KerasClassifier`, of which the network is kept;
        None says that nothing was trained, since there was no label.
    features
        What it reads.
    """
    file, classes = None, []
    if classifier:
        file, classes = "model.joblib", classifier.classes_.tolist()
        if hasattr(classifier, "model_"):
            file = "model.keras"
            write(f"{folder}/{file}", lambda path: _save_keras(classifier.model_, path))
        else:
            save_joblib(f"{folder}/{file}", classifier)
    about = {"file": file, "features": features, "classes": classes}
    save_json(f"{folder}/classifier.json", about)


def _save_keras(model: Any, path: Path) -> None:
    model.save(path)
    path.write_bytes(canonical_keras(path.read_bytes()))


def load_classifier(folder: str | Path, n_classes: int) -> tuple[Reads, Callable[[Floats], Floats]]:
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
    features
        What it reads, for `classifier_input`.
    predict
        From rows of these to probabilities of shape (n_images, n_classes).
    """
    about = load_json(f"{folder}/classifier.json")
    path = Path(folder, about["file"])
    if path.suffix == ".keras":
        from fewlabel.classifiers import networks

        model = networks.import_keras().models.load_model(path, compile=False, safe_mode=True)
    else:
        model = unpickle(path.read_bytes())

    def predict(X: Floats) -> Floats:
        probabilities = np.zeros((len(X), n_classes), np.float32)
        probabilities[:, about["classes"]] = (
            networks.predict(model, X) if path.suffix == ".keras" else model.predict_proba(X)
        )
        return probabilities

    return about["features"], predict
