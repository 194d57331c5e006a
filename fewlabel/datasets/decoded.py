"""Decoded images on disk, in a file without a name, so that memory holds a block of them."""

import math
import os
import tempfile
import threading
from typing import NamedTuple

import numpy as np


class DecodedImage(NamedTuple):
    """One of the images of a `DecodedImages`."""

    images: "DecodedImages"
    offset: int
    shape: tuple[int, ...]

    def read(self) -> np.ndarray:
        """Return its pixels."""
        content = os.pread(self.images.file.fileno(), math.prod(self.shape), self.offset)
        return np.frombuffer(content, np.uint8).reshape(self.shape)


class DecodedImages:
    """uint8 images of any shapes, kept until nothing refers to them; threads may add them."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile(dir=".")  # noqa: SIM115  # It goes with this object.
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self.file.close()

    def add(self, pixels: np.ndarray) -> DecodedImage:
        """Keep an image."""
        with self._lock:
            image = DecodedImage(self, self.file.tell(), pixels.shape)
            self.file.write(np.ascontiguousarray(pixels).data)
            self.file.flush()
        return image


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

    def __getitem__(self, rows: slice) -> np.ndarray:
        images = self._images[rows]
        stacked = np.empty((len(images), *self.shape[1:]), np.uint8)
        for row, image in enumerate(images):
            pixels = image.read()
            stacked[row] = np.atleast_3d(pixels) if stacked.ndim == 4 else pixels
        return stacked
