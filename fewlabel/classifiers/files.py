"""A trained classifier as files: model.keras or model.joblib, and classifier.json about it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.arrays import Classifier, Floats, Ints, blocks
from fewlabel.keras_format import save_model
from fewlabel.methods import ClassifierMethod, Reads
from fewlabel.normalization import load_rows
from fewlabel.rows import Rows
from fewlabel.storage import (
    load_json,
    save_joblib,
    save_json,
    stored_array,
    unpickle,
    verified,
    write,
)


def classifier_input(reads: Reads, split: str, positions: Ints | None = None) -> Rows:
    """Return the rows that a classifier reads: pixels, features, or pixels and then features.

    They are of the images, or of those at some positions, of "train" or "test".
    """
    if reads == "pixels":
        return load_rows(split, positions)
    stored = stored_array(f"data/embedded/{split}_features.npy")
    features = stored[slice(None) if positions is None else positions]
    if reads == "embedding":
        return features
    return replace(load_rows(split, positions), features=features)


def save_classifier(folder: str, classifier: Classifier | None, method: ClassifierMethod) -> None:
    """Write a fitted classifier.

    Parameters
    ----------
    folder
        Where its files go.
    classifier
        A fitted scikit-learn classifier, or a `KerasClassifier`, of which the network is kept;
        None says that nothing was trained, since there was no label.
    method
        What it was built from.
    """
    file, classes = None, []
    if classifier:
        file, classes = "model.joblib", classifier.classes_.tolist()
        if hasattr(classifier, "model_"):
            file = "model.keras"
            write(f"{folder}/{file}", partial(save_model, model=classifier.model_))
        else:
            save_joblib(f"{folder}/{file}", classifier)
    about: dict[str, Any] = {"file": file, "features": method.reads, "classes": classes}
    about["is_overconfident"] = method.is_overconfident
    save_json(f"{folder}/classifier.json", about)


def load_model(folder: str | Path) -> tuple[dict[str, Any], Any]:
    """Return what `save_classifier` wrote about a model, and the model: Keras's or scikit-learn's.

    The caller knows that this project wrote it: what joblib wrote runs code when loaded.
    """
    about = load_json(f"{folder}/classifier.json")
    path = Path(folder, about["file"])
    if path.suffix != ".keras":
        return about, unpickle(path)
    from fewlabel.keras_session import import_keras

    return about, import_keras().models.load_model(path, compile=False, safe_mode=True)


def load_classifier(
    folder: str | Path, n_classes: int
) -> tuple[dict[str, Any], Callable[[Rows], Floats]]:
    """Load a classifier.

    Parameters
    ----------
    folder
        As of `load_model`.
    n_classes
        Of the data set; a class that no label was of has probability 0.

    Returns
    -------
    about
        What `save_classifier` wrote; `features` is for `classifier_input`.
    predict
        From rows of these to probabilities of shape (n_images, n_classes).
    """
    about, model = load_model(folder)
    predict_rows = getattr(model, "predict_proba", None)
    if predict_rows is None:
        from fewlabel.keras_session import predict as predict_images

        predict_rows = partial(predict_images, model)

    def predict(X: Rows) -> Floats:
        probabilities = np.zeros((len(X), n_classes), np.float32)
        for rows in blocks(X.shape):
            probabilities[rows, about["classes"]] = predict_rows(X[rows])
        return probabilities

    return about, predict


def image_predictor(folder: str, n_classes: int) -> tuple[bool, Callable[..., Floats]]:
    """Load a classifier of images of the pipeline, if its folder is `verified`.

    Returns
    -------
    is_overconfident
        As of `fewlabel.methods.ClassifierMethod`.
    predict
        From "train" or "test" and, unless all images count, their positions to probabilities of
        shape (n_images, n_classes).
    """
    about, predict = load_classifier(verified(folder), n_classes)

    def predict_images(split: str, positions: Ints | None = None) -> Floats:
        return predict(classifier_input(about["features"], split, positions))

    return about["is_overconfident"], predict_images
