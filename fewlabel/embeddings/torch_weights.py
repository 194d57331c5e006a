"""Weights from files of PyTorch before 1.6, without PyTorch, and without running what they hold.

Such a file is five pickles in a row (a magic number, a version, facts about the machine, tensors
without their values, and the keys of storages), then the values of each storage.
"""

import io
import pickle
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fewlabel.arrays import Array
from fewlabel.errors import FewlabelError

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
_LENGTH = np.dtype("<i8")


class WeightsError(FewlabelError):
    """A file holds no such weights."""


def _tensor(storage: str, offset: int, shape: Any, strides: Any, *_: Any) -> tuple[Any, ...]:
    """Return where the values of a tensor lie: in elements of its storage."""
    return storage, offset, tuple(shape), tuple(strides)


class _Mapping(dict[str, Any]):
    """An ordered dictionary that takes no attributes, of which a file may name any."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Makes dictionaries, numbers and text, and notes of tensors; nothing else can be called."""

    def __init__(self, file: io.BytesIO):
        super().__init__(file)
        self.dtypes: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        allowed = {
            ("collections", "OrderedDict"): _Mapping,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        }
        if (module, name) not in allowed:
            raise WeightsError(f"it names {module}.{name}, but may hold arrays only")
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> str:
        _, dtype, key, *_ = pid
        self.dtypes[key] = dtype
        return str(key)


def read_torch_weights(content: bytes) -> dict[str, Array]:
    """Return name -> float32 or int64 array of each tensor in the content of a file.

    Raises
    ------
    WeightsError
        If it is damaged, of another format, or holds more than tensors.
    """
    try:
        return _read(io.BytesIO(content))
    except WeightsError:
        raise
    except Exception as error:  # whatever a damaged part leads to
        raise WeightsError(f"it is no whole file of PyTorch's weights: {error}") from error


def _read(file: io.BytesIO) -> dict[str, Array]:
    if _Unpickler(file).load() != _MAGIC_NUMBER:
        raise ValueError("it begins otherwise")
    for _ in ("version", "facts about the machine"):
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    tensors = unpickler.load()
    storages = {}
    for key in _Unpickler(file).load():
        (n_values,) = np.frombuffer(file.read(_LENGTH.itemsize), _LENGTH)
        dtype = np.dtype(unpickler.dtypes[key])
        storages[key] = np.frombuffer(file.read(int(n_values) * dtype.itemsize), dtype, n_values)
    return {name: _values(storages[key], *place) for name, (key, *place) in tensors.items()}


def _values(storage: Array, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if min(offset, *shape, *strides, 0) < 0 or last >= len(storage):
        raise ValueError("a tensor does not lie in its storage")
    steps = [step * storage.itemsize for step in strides]
    values = as_strided(storage[offset:], shape, steps)
    return values.astype(values.dtype.newbyteorder("="), order="C")
