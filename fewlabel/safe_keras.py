"""Keras models that anybody may have made: nothing in them can run."""

import io
import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fewlabel.errors import FewlabelError
from fewlabel.text import one_line

# Arithmetic only. Others run what the file holds, or read other files.
_ALLOWED = {
    "keras": {"DTypePolicy", "Sequential"},
    "keras.layers": {
        *("Activation", "Add", "Average", "AveragePooling2D", "BatchNormalization", "Concatenate"),
        *("Conv2D", "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout", "Flatten", "ReLU"),
        *("GaussianNoise", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "InputLayer"),
        *("LayerNormalization", "MaxPooling2D", "Maximum", "Multiply", "Normalization"),
        *("Rescaling", "Reshape", "Resizing", "UnitNormalization", "ZeroPadding2D"),
    },
    "keras.initializers": {"GlorotUniform", "Ones", "VarianceScaling", "Zeros"},
    "keras.src.applications.convnext": {"LayerScale"},
    "keras.src.models.functional": {"Functional"},
    "keras.src.ops.core": {"Cast"},
    "keras.src.ops.nn": {"Relu", "Softmax"},
    "keras.src.ops.numpy": {
        *("Absolute", "Add", "Clip", "Concatenate", "Divide", "Exp", "GetItem", "Log", "Matmul"),
        *("Max", "Maximum", "Mean", "Min", "Minimum", "Multiply", "Negative", "Power", "Reshape"),
        *("Sqrt", "Square", "Subtract", "Sum", "Transpose", "TrueDivide"),
    },
    None: {"__keras_tensor__", "__numpy__", "__slice__", "__tensor__"},
}
"""Module, of which Keras imports any that a file names -> classes."""


class UnsafeModelError(FewlabelError):
    """A model has layers that do more than arithmetic."""


def load_safely(name: str, content: bytes) -> Any:
    """Return the Keras model in the content of a .keras file, whoever made it.

    Raises
    ------
    UnsafeModelError
        If it has layers of more than arithmetic; what a damaged file leads to may be any error.
    """
    from fewlabel.keras_session import import_keras

    refuse_other_than_arithmetic(name, content)
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(content)
        return import_keras().models.load_model(path, compile=False, safe_mode=True)


def refuse_other_than_arithmetic(name: str, content: bytes) -> None:
    """Refuse the content of a .keras file whose layers could run code or read other files.

    Raises
    ------
    UnsafeModelError
        Which begins with `name`.
    """
    import h5py

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        config = json.loads(archive.read("config.json"))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            elsewhere = _links_elsewhere(weights)
    found = {
        str(part["class_name"])
        for part in _dictionaries(config)
        if "class_name" in part and part["class_name"] not in _ALLOWED.get(part.get("module"), ())
    }
    if found or elsewhere:
        raise UnsafeModelError(
            f"{name} has {one_line(', '.join(sorted(found)) or 'weights in other files')}, but a "
            "model may have layers of arithmetic only; nothing of it was run"
        )


def _dictionaries(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _dictionaries(part)


def _links_elsewhere(group: Any) -> bool:
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            return True
        member = group[name]
        if isinstance(member, h5py.Group):
            if _links_elsewhere(member):
                return True
        elif member.external or member.is_virtual:
            return True
    return False
