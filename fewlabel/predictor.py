"""A trained classifier as one Keras model, from the bytes of images to probabilities of classes.

models/classifier.keras is a file of Keras: `keras.models.load_model` reads it without this package.
Beside what Keras has there, it holds about.json (`class_names`, `image_shape`) and README.md, the
model card.

An embedding may have a part in ONNX, which Keras cannot express. The file then holds network.onnx,
and network_input.keras from images to what that takes; the file's own model gets what it gives as a
second input. about.json says in `needs` what has to be installed.
"""

import io
import json
import os
import zipfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fewlabel.arrays import Array, Floats, OnnxPart
from fewlabel.errors import FewlabelError, told_as
from fewlabel.keras_format import model_bytes, save_model
from fewlabel.keras_layers import dense
from fewlabel.regular_files import FileRefusedError, read_regular_file
from fewlabel.safe_keras import load_safely, refuse_other_than_arithmetic
from fewlabel.safe_onnx import OnnxSession
from fewlabel.storage import locked_hashes, verified, write
from fewlabel.text import one_line

_MAX_BYTES = 2**32
_ABOUT, _CARD = "about.json", "README.md"
_COLORED = (3,)  # what shapes of color images have after height and width
_NETWORK, _NETWORK_INPUT = "network.onnx", "network_input.keras"


class ModelFileError(FewlabelError):
    """A file is no such classifier."""


def classifier_model(
    keras: ModuleType,
    to_probabilities: Any,
    image_shape: tuple[int, ...],
    n_classes: int,
    part: OnnxPart | None = None,
) -> Any:
    """Return a Keras model from uint8 images to probabilities of all classes.

    Parameters
    ----------
    keras
    to_probabilities
        From a Keras tensor, rows of pixels in 0..255 as float32, to another, the probabilities of
        classes, and their positions among all. Where there is a `part`, it gets as a second what
        that gives.
    image_shape
        Height, width and maybe channels.
    n_classes
        Of the data set; a class that no label was of has probability 0.
    part
        Of the embedding, that Keras cannot express.
    """
    image, rows = _image_and_rows(keras, image_shape)
    inputs = [image]
    if part is not None:
        inputs.append(keras.Input(part.output_shape, name="network_output"))
    probabilities, classes = to_probabilities(rows, *inputs[1:])
    if len(classes) < n_classes:
        probabilities = dense(keras, probabilities, np.eye(n_classes, dtype=np.float32)[classes])
    return keras.Model(inputs if part else image, probabilities, name="classifier")


def part_files(
    keras: ModuleType, part: OnnxPart, to_pixels: Any, image_shape: tuple[int, ...]
) -> dict[str, bytes]:
    """Return what a file holds beside a `classifier_model` with a part in ONNX.

    `to_pixels` is from rows of pixels in 0..255 to those that the embedding takes.
    """
    image, rows = _image_and_rows(keras, image_shape)
    to_input = keras.Model(image, part.to_input(keras, to_pixels(rows)), name="network_input")
    content = model_bytes(to_input)
    refuse_other_than_arithmetic(_NETWORK_INPUT, content)
    return {_NETWORK: part.content, _NETWORK_INPUT: content}


def _image_and_rows(keras: ModuleType, image_shape: tuple[int, ...]) -> tuple[Any, Any]:
    image = keras.Input(image_shape, dtype="uint8", name="image")
    return image, keras.layers.Flatten()(keras.ops.cast(image, "float32"))


def save_portable(
    path: Path,
    model: Any,
    about: dict[str, Any],
    card: str,
    part: dict[str, bytes] | None = None,
) -> None:
    """Write a `classifier_model`, maybe with its `part_files`, as one file, the same each time.

    Raises
    ------
    UnsafeModelError
        If it has layers that do more than arithmetic.
    """
    extra = {_ABOUT: json.dumps(about, indent=2).encode(), _CARD: card.encode()}
    extra |= part or {}
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
        From uint8 images of this shape, and what the network gives if there is one, to
        probabilities, columns as in `class_names`.
    network : OnnxSession or None
        The part of the embedding that Keras cannot express.
    network_input : keras.Model or None
        From such images to what the network takes.

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
        # In a checkout, the model that the pipeline made must be the one that it made.
        name = os.path.relpath(path)
        if name in locked_hashes():
            verified(name)
        advice = "it must be the models/classifier.keras that the pipeline wrote"
        with told_as(
            ModelFileError, lambda cause: f"{path} is no whole classifier ({cause}); {advice}"
        ):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                about = json.loads(archive.read(_ABOUT))
                self.card = archive.read(_CARD).decode()
                has_network = _NETWORK in archive.namelist()
                parts = [archive.read(n) for n in (_NETWORK, _NETWORK_INPUT) if has_network]
            self.class_names: list[str] = [str(name) for name in about["class_names"]]
            self.image_shape: tuple[int, ...] = tuple(map(int, about["image_shape"]))
            self.model = load_safely(str(path), content)
            self.network, self.network_input = None, None
            expected = [(None, *self.image_shape)]
            if parts:
                self.network = OnnxSession(f"{_NETWORK} in {path}", parts[0])
                self.network_input = load_safely(f"{_NETWORK_INPUT} in {path}", parts[1])
                taken = self.network_input.output_shape[1:]
                expected.append((None, *self.network.output_shape(taken)))
            shapes = [tensor.shape for tensor in self.model.inputs]
            fits = (shapes, self.model.output_shape) == (expected, (None, len(self.class_names)))
            fits &= len(self.image_shape) == 2 or self.image_shape[2:] == _COLORED
            if self.network_input is not None:
                fits &= self.network_input.input_shape == (None, *self.image_shape)
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

        if self.network is None:
            return predict(self.model, images)
        given = self.network(predict(self.network_input, images), self.model.inputs[1].shape[1:])
        return predict(self.model, images, given)


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
        If it is there, a library is missing, or the classifier has a part in ONNX.
    """
    path = Path(target)
    if path.exists():
        raise FewlabelError(f"{target} is there already; name another, or delete it")
    classifier = PortableClassifier(model)
    if classifier.network is not None:
        raise FewlabelError(
            f"{model} has a network in ONNX between two models of Keras, which no other format "
            "holds as one; use it with fewlabel predict or fewlabel serve"
        )
    if file_format == "onnx" and find_spec("tf2onnx") is None:
        raise FewlabelError("onnx needs tf2onnx: pip install 'fewlabel[onnx]'")
    classifier.predict_proba(np.zeros((1, *classifier.image_shape), np.uint8))  # else it refuses
    keras_format = "onnx" if file_format == "onnx" else "tf_saved_model"
    export_to = partial(classifier.model.export, format=keras_format, verbose=False)
    write(path, export_to)
