"""A trained classifier as one Keras model, from the bytes of images to probabilities of classes.

models/classifier.keras is a file of Keras: `keras.models.load_model` reads it without this package.
Beside what Keras has there, it holds about.json (`class_names`, `image_shape`) and README.md, the
model card.
"""

import io
import json
import os
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fewlabel.arrays import Array, Floats
from fewlabel.errors import FewlabelError
from fewlabel.keras_format import save_model
from fewlabel.keras_layers import dense
from fewlabel.regular_files import FileRefusedError, read_regular_file
from fewlabel.safe_keras import UnsafeModelError, load_safely, refuse_other_than_arithmetic
from fewlabel.text import one_line

_MAX_BYTES = 2**32
_ABOUT, _CARD = "about.json", "README.md"


class ModelFileError(FewlabelError):
    """A file is no such classifier."""


def classifier_model(
    keras: ModuleType, to_probabilities: Any, image_shape: tuple[int, ...], n_classes: int
) -> Any:
    """Return a Keras model from uint8 images to probabilities of all classes.

    Parameters
    ----------
    keras
    to_probabilities
        From a Keras tensor, rows of pixels in 0..255 as float32, to another, the probabilities of
        classes, and their positions among all.
    image_shape
        Height, width and maybe channels.
    n_classes
        Of the data set; a class that no label was of has probability 0.
    """
    image = keras.Input(image_shape, dtype="uint8", name="image")
    rows = keras.layers.Flatten()(keras.ops.cast(image, "float32"))
    probabilities, classes = to_probabilities(rows)
    if len(classes) < n_classes:
        probabilities = dense(keras, probabilities, np.eye(n_classes, dtype=np.float32)[classes])
    return keras.Model(image, probabilities, name="classifier")


def save_portable(path: Path, model: Any, about: dict[str, Any], card: str) -> None:
    """Write a `classifier_model` as one file, the same bytes for the same content.

    Raises
    ------
    UnsafeModelError
        If it has layers that do more than arithmetic.
    """
    extra = {_ABOUT: json.dumps(about, indent=2).encode(), _CARD: card.encode()}
    save_model(path, model, extra)
    refuse_other_than_arithmetic(str(path), path.read_bytes())


class PortableClassifier:
    """A classifier from a file, whoever made it: nothing in it can run.

    Parameters
    ----------
    path
        Where `save_portable` wrote.

    Attributes
    ----------
    class_names : list of str
    image_shape : tuple of ints
        Height, width and, for colored images, 3.
    card : str
        The model card, Markdown.
    model : keras.Model
        From uint8 images of this shape to probabilities, columns as in `class_names`.

    Raises
    ------
    ModelFileError, UnsafeModelError
        If it cannot be read, or holds more than arithmetic.
    """

    def __init__(self, path: str | Path):
        try:
            content = read_regular_file(path, _MAX_BYTES)
        except (OSError, FileRefusedError) as error:
            raise ModelFileError(f"{path} cannot be read: {one_line(error)}") from error
        _refuse_changed_output(path)
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                about = json.loads(archive.read(_ABOUT))
                self.card = archive.read(_CARD).decode()
            self.class_names: list[str] = [str(name) for name in about["class_names"]]
            self.image_shape: tuple[int, ...] = tuple(map(int, about["image_shape"]))
            self.model = load_safely(str(path), content)
            fits = (self.model.input_shape, self.model.output_shape) == (
                (None, *self.image_shape),
                (None, len(self.class_names)),
            )
        except UnsafeModelError:
            raise
        except Exception as error:  # whatever a damaged part leads to
            raise ModelFileError(
                f"{path} is no whole classifier ({one_line(error)}); it must be the "
                "models/classifier.keras that the pipeline wrote"
            ) from error
        if not fits:
            raise ModelFileError(f"{path} has a model of other images or classes than it says")

    def predict_proba(self, images: Array) -> Floats:
        """Return class probabilities of images.

        Parameters
        ----------
        images : shape (n_images, *image_shape), uint8

        Returns
        -------
        shape (n_images, n_classes)
            Columns as in `class_names`; a class that no label was of has probability 0.
        """
        from fewlabel.keras_session import predict

        return predict(self.model, images)


def export(model: str, file_format: str, target: str) -> None:
    """Write a classifier for other programs, from uint8 images to probabilities.

    Parameters
    ----------
    model
        A file that `save_portable` wrote.
    file_format
        "onnx", which needs the extra `onnx`, or "savedmodel", of TensorFlow.
    target
        A file (onnx) or a folder (savedmodel) that is not there yet.

    Raises
    ------
    FewlabelError
        If it is there, or a library is missing.
    """
    path = Path(target)
    if path.exists():
        raise FewlabelError(f"{target} is there already; name another, or delete it")
    classifier = PortableClassifier(model)
    options: dict[str, Any] = {"format": "onnx"}
    if file_format == "savedmodel":
        options = {"format": "tf_saved_model"}
    elif find_spec("tf2onnx") is None:
        raise FewlabelError("onnx needs tf2onnx: pip install 'fewlabel[onnx]'")
    classifier.predict_proba(np.zeros((1, *classifier.image_shape), np.uint8))  # else it refuses
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        classifier.model.export(temporary, verbose=False, **options)
        temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def _refuse_changed_output(path: str | Path) -> None:
    """In a checkout, the model that the pipeline made must be the one that it made."""
    if Path("dvc.lock").exists():
        from fewlabel.storage import locked_hashes, verified

        name = os.path.relpath(path)
        if name in locked_hashes():
            verified(name)
