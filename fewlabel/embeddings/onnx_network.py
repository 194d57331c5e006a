"""A pretrained network in ONNX that is not trained any more, from pixels to features."""

import json
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from fewlabel.arrays import Array, Floats
from fewlabel.embeddings.frozen_network import (
    FrozenNetwork,
    chosen_size,
    images_of,
    pooled,
    read_network,
    scaled,
)
from fewlabel.errors import FewlabelError
from fewlabel.keras_session import new_session, predict, prediction_batch
from fewlabel.parallel import progress
from fewlabel.safe_onnx import OnnxSession

_N_COLORS = 3
_MAX_IMAGES = 48  # between two looks at the progress
_SETTINGS = "fewlabel"  # in the metadata of a file


def of_onnx_file(path: str, image_size: int | None, scaling: str, tokens: str) -> bytes:
    """Return the content of a user's own ONNX file, with these settings in its metadata.

    Parameters
    ----------
    path
    image_size, scaling, tokens
        As of `fewlabel.embeddings.frozen_network.of_file`.

    Raises
    ------
    FewlabelError
        If it is not there, holds more than arithmetic, or is no network of color images.
    """
    content = read_network(path)
    session = OnnxSession(path, content)
    axes, own = _axes_and_size(path, session.input_shape)
    size = chosen_size(path, own, image_size)
    settings = {"size": size, "axes": axes, "scaling": scaling, "tokens": tokens}
    try:
        shape = session.output_shape(_shape(settings))
    except FewlabelError as error:
        if own is not None:
            raise
        raise FewlabelError(
            f"{error}; embed.pretrained.image_size must be what it was trained with"
        ) from error
    if len(shape) not in (1, 2, 3):
        raise FewlabelError(
            f"{path} gives {shape} for an image, but must give features, tokens or maps"
        )
    return _with_settings(content, settings)


def _axes_and_size(path: str, shape: tuple[int | None, ...]) -> tuple[str, int | None]:
    """Return where channels are in what a network takes, and the side of images, if it is fixed."""
    # Exported networks that leave all open are PyTorch's.
    for axes, channels, sides in (
        ("channels_first", shape[1:2], shape[2:]),
        ("channels_last", shape[3:], shape[1:3]),
    ):
        if (
            len(shape) == 4
            and shape[0] in (None, 1)
            and (channels == (_N_COLORS,) or (channels == (None,) and shape[3] != _N_COLORS))
            and len({side for side in sides if side}) < 2
        ):
            return axes, max(side or 0 for side in sides) or None
    raise FewlabelError(
        f"{path} takes {shape}, but must take square images with 3 channels, (N, 3, H, W) or "
        "(N, H, W, 3), where N is 1 or free"
    )


def _shape(settings: dict[str, Any]) -> tuple[int, int, int]:
    """Return the shape of an image that the network takes."""
    size = settings["size"]
    first = settings["axes"] == "channels_first"
    return (_N_COLORS, size, size) if first else (size, size, _N_COLORS)


def _with_settings(content: bytes, settings: dict[str, Any]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(content)
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key != _SETTINGS}
    onnx.helper.set_model_props(model, kept | {_SETTINGS: json.dumps(settings)})
    return model.SerializeToString()  # type: ignore[no-any-return]


class OnnxNetwork(FrozenNetwork):
    """From rows of pixels in [0, 1] to the features that a network in ONNX gives.

    Parameters
    ----------
    content
        As `of_onnx_file` returns it.
    image_shape
        Height, width and optionally channels of the images whose pixels are the rows.
    """

    def __init__(self, content: bytes, image_shape: tuple[int, ...]):
        super().__init__(content, image_shape)
        self._session: OnnxSession | None = None
        self._to_input: Any = None

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of what the network gives for an image."""
        session, settings = self._opened()
        return session.output_shape(_shape(settings))

    def to_input(self, keras: ModuleType, rows: Any) -> Any:
        """Return what the network takes of rows of pixels, both Keras tensors."""
        _, settings = self._opened()
        images = images_of(keras, rows, self.image_shape, settings["size"])
        images = scaled(keras, images, settings["scaling"])
        if settings["axes"] == "channels_first":
            images = keras.ops.transpose(images, (0, 3, 1, 2))
        return images

    def to_keras(self, keras: ModuleType, rows: Any) -> Any:
        """Return features of what the network gives, both Keras tensors."""
        _, settings = self._opened()
        return pooled(keras, rows, settings["tokens"], settings["axes"])

    def _opened(self) -> tuple[OnnxSession, dict[str, Any]]:
        if self._session is None:
            self._session = OnnxSession("the network of embed.pretrained.model", self.content)
        return self._session, json.loads(self._session.metadata[_SETTINGS])

    def _load(self) -> Any:
        keras, _ = new_session(0)
        row = keras.Input((prod(self.image_shape),))
        self._to_input = keras.Model(row, self.to_input(keras, row))
        output = keras.Input(self.output_shape)
        return keras.Model(output, self.to_keras(keras, output))

    def _compute(self, rows: Array) -> Floats:
        session, _ = self._opened()
        step = min(prediction_batch(self._to_input), _MAX_IMAGES)
        parts = []
        for start in progress(range(0, len(rows), step), f"ONNX network on {len(rows):,} images"):
            images = predict(self._to_input, rows[start : start + step])
            parts.append(predict(self._model, session(images, self._model.input_shape[1:])))
        features: Floats = np.vstack(parts)
        if not np.isfinite(features).all():
            raise FewlabelError(
                "the network of embed.pretrained.model gives features that are not finite numbers; "
                "export it in float32"
            )
        return features
