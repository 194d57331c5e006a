"""A pretrained network that is not trained any more, from pixels to features."""

import hashlib
from functools import cache
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np

from fewlabel.arrays import Array, Floats
from fewlabel.embeddings.feature_cache import cached_features
from fewlabel.errors import FewlabelError, told_as
from fewlabel.keras_format import model_bytes
from fewlabel.keras_session import new_session, predict, prediction_batch
from fewlabel.kernels import versions
from fewlabel.parallel import progress
from fewlabel.regular_files import FileRefusedError, read_regular_file
from fewlabel.safe_keras import load_safely
from fewlabel.text import one_line

DEFAULT_SIZE = 160
_N_COLORS = 3
_SOURCES = (
    "embeddings/frozen_network.py",
    "embeddings/onnx_network.py",
    "keras_session.py",
    "kernels.py",
)
_BATCHES = 8  # between two looks at the progress
_MAX_BYTES = 2**32
SCALINGS = {
    "none": ((0.0,) * 3, (1.0,) * 3),
    "unit": ((0.0,) * 3, (255.0,) * 3),
    "symmetric": ((127.5,) * 3, (127.5,) * 3),
    "lite": ((127.0,) * 3, (128.0,) * 3),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "clip": ((122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305)),
}
"""Name -> what is subtracted from pixels in 0..255, and what they are then divided by."""


def of_catalog(name: str, image_size: int | None) -> bytes:
    """Return the content of a .keras file, from images in 0..255 to features, of the catalog."""
    from fewlabel.embeddings.catalog import CATALOG, fetch_weights
    from fewlabel.embeddings.inverted_residuals import inverted_residuals
    from fewlabel.embeddings.keras_applications import APPLICATIONS, application

    keras, _ = new_session(0)
    size = image_size or DEFAULT_SIZE
    if name in APPLICATIONS:
        return _content(keras, application(keras, name, size), size, "imagenet")
    entry = CATALOG[name]
    network = inverted_residuals(keras, entry.architecture, fetch_weights(name), size)
    return _content(keras, network, size, entry.scaling)


def of_file(path: str, image_size: int | None, scaling: str, tokens: str) -> bytes:
    """Return the same of a user's own .keras file.

    Parameters
    ----------
    path
    image_size
        Side at which it sees images, in pixels; None takes its own, or 160 where it takes any.
    scaling
        "none" (0..255), "unit" (0..1), "symmetric" (-1..1), "imagenet" or "clip" (standardized).
    tokens
        Which of a sequence of tokens counts: "class" (the first) or "mean".

    Raises
    ------
    FewlabelError
        If it is not there, holds more than arithmetic, or is no network of color images.
    """
    content = read_network(path)
    keras, _ = new_session(0)
    with told_as(FewlabelError, lambda cause: f"{path} is no whole .keras file ({cause})"):
        network = load_safely(path, content)
    return _content(keras, network, _size(path, network, image_size), scaling, tokens)


def read_network(path: str) -> bytes:
    """Return the content of the file that `embed.pretrained.model` names."""
    try:
        return read_regular_file(path, _MAX_BYTES)
    except (OSError, FileRefusedError) as error:
        raise FewlabelError(
            f"embed.pretrained.model is {path!r}, which cannot be read: {one_line(error)}"
        ) from error


def _size(path: str, network: Any, image_size: int | None) -> int:
    shapes = [tensor.shape for tensor in (*network.inputs, *network.outputs)]
    if [len(shape) for shape in shapes] not in ([4, 2], [4, 3], [4, 4]) or (
        shapes[0][3] != _N_COLORS or shapes[0][1] != shapes[0][2]
    ):
        raise FewlabelError(
            f"{path} takes and gives {', '.join(map(str, shapes))}, but must take square images "
            "with 3 channels last, and give features, tokens or maps"
        )
    return chosen_size(path, shapes[0][1], image_size)


def chosen_size(path: str, own: int | None, image_size: int | None) -> int:
    """Return at which side a network sees images: its own, or what is set where it takes any."""
    if own and image_size and own != image_size:
        raise FewlabelError(
            f"embed.pretrained.image_size is {image_size}, but must be {own} or null: {path} takes "
            "no other images"
        )
    return own or image_size or DEFAULT_SIZE


def _content(
    keras: ModuleType, network: Any, size: int, scaling: str, tokens: str = "class"
) -> bytes:
    """Put scaling before a network, and pooling after it, and return all as a file's content."""
    image = keras.Input((size, size, _N_COLORS), name="pixels")
    features = pooled(keras, network(scaled(keras, image, scaling)), tokens)
    return model_bytes(keras.Model(image, features, name="frozen_network"))


@cache
def _made_by() -> bytes:
    """Return what decides features besides network and pixels: this code, and the libraries."""
    package = Path(__file__).parents[1]
    sources = [(package / name).read_bytes() for name in _SOURCES]
    return b"\0".join([*sources, *map(str.encode, versions())])


def scaled(keras: ModuleType, images: Any, scaling: str) -> Any:
    """Return images in 0..255, channels last, as one of `SCALINGS` has them."""
    offset, divisor = np.array(SCALINGS[scaling], np.float32)
    return (images - offset) / divisor


def pooled(keras: ModuleType, outputs: Any, tokens: str, axes: str = "channels_last") -> Any:
    """Return a row of features of each image, from such rows, tokens or maps."""
    if len(outputs.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(axes)(outputs)
    if len(outputs.shape) == 3:
        return outputs[:, 0] if tokens == "class" else keras.ops.mean(outputs, axis=1)
    return outputs


def images_of(keras: ModuleType, rows: Any, image_shape: tuple[int, ...], size: int) -> Any:
    """Return color images in 0..255, of a size in pixels, of rows of pixels in [0, 1].

    Images reach the network in its own size from the one that they have, with no step between.
    """
    height, width, *channels = image_shape
    images = keras.layers.Reshape((height, width, *(channels or [1])))(rows) * 255.0
    if images.shape[3] == 1:
        images = keras.layers.Concatenate()([images] * _N_COLORS)
    if (height, width) != (size, size):
        images = keras.layers.Resizing(size, size, "bicubic", antialias=True)(images)
    return images


class FrozenNetwork:
    """From rows of pixels in [0, 1] to the features that a network gives.

    Parameters
    ----------
    content
        Of a .keras file, from square color images in 0..255 to rows of features.
    image_shape
        Height, width and optionally channels of the images whose pixels are the rows.
    """

    def __init__(self, content: bytes, image_shape: tuple[int, ...]):
        self.content = content
        self.image_shape = image_shape
        self._model: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {key: None if key[0] == "_" else value for key, value in vars(self).items()}

    def fit(self, X: Any) -> Self:
        """Learn nothing."""
        return self

    def to_keras(self, keras: ModuleType, rows: Any) -> Any:
        """Return features of rows of pixels, both Keras tensors."""
        network = load_safely("embedding.joblib", self.content)
        return network(images_of(keras, rows, self.image_shape, network.input_shape[1]))

    def transform(self, rows: Array) -> Floats:
        """Return features of rows of pixels, from the cache where they are known."""
        if self._model is None:
            self._model = self._load()
        key = hashlib.sha256(repr(self.image_shape).encode() + _made_by() + self.content).digest()
        return cached_features(key, rows, self._model.output_shape[1], self._compute)

    def _load(self) -> Any:
        keras, _ = new_session(0)
        row = keras.Input((prod(self.image_shape),))
        return keras.Model(row, self.to_keras(keras, row))

    def _compute(self, rows: Array) -> Floats:
        size = prediction_batch(self._model) * _BATCHES
        starts = range(0, len(rows), size)
        described = progress(starts, f"pretrained network on {len(rows):,} images")
        return np.vstack([predict(self._model, rows[start : start + size]) for start in described])
