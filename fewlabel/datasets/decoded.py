"""Decoded images on disk, so that memory holds a block of them."""

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from fewlabel.arrays import Array


class DecodedImage(NamedTuple):
    """One of the images of a source: where its pixels begin, in bytes, and their shape."""

    source: "DecodedImages | StoredImages"
    offset: int
    shape: tuple[int, ...]


Found = dict[str, tuple[DecodedImage, str] | str]
"""Name of each image -> its pixels and the SHA-256 of its content, or why it cannot be used."""


class DecodedImages:
    """uint8 images of any shapes in a file without a name, kept until nothing refers to them."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(dir=".")  # noqa: SIM115  # It goes with this object.

    def __del__(self) -> None:
        self._file.close()

    def opened(self) -> AbstractContextManager[IO[bytes]]:
        """Return the file to read pixels from."""
        return nullcontext(self._file)

    def add(self, pixels: Array) -> DecodedImage:
        """Keep an image."""
        image = DecodedImage(self, self._file.tell(), pixels.shape)
        self._file.write(np.ascontiguousarray(pixels).data)
        self._file.flush()
        return image


class StoredImages:
    """uint8 images of one size: the rows of a .npy file."""

    def __init__(self, file: Path):
        self._file = file

    def opened(self) -> AbstractContextManager[IO[bytes]]:
        """Return the file to read pixels from."""
        return self._file.open("rb")

    def __iter__(self) -> Iterator[DecodedImage]:
        images = np.load(self._file, mmap_mode="r")
        shape, n_bytes = images.shape[1:], math.prod(images.shape[1:])
        return (DecodedImage(self, images.offset + i * n_bytes, shape) for i in range(len(images)))


class ImageStack:
    """Decoded images of one size as an array, which is read where it is indexed.

    Where `shape`, of an image, is of color, gray images become so.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, images: list[DecodedImage], shape: tuple[int, ...]):
        self._images = images
        self.shape = (len(images), *shape)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: slice) -> Array:
        images = self._images[rows]
        stacked = np.empty((len(images), *self.shape[1:]), np.uint8)
        row = 0
        for source, some in groupby(images, attrgetter("source")):
            with source.opened() as file:
                for _, offset, shape in some:
                    content = os.pread(file.fileno(), math.prod(shape), offset)
                    pixels = np.frombuffer(content, np.uint8).reshape(shape)
                    stacked[row] = np.atleast_3d(pixels) if stacked.ndim == 4 else pixels
                    row += 1
        return stacked
