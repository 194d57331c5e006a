"""A user's own images: an .npz with arrays, read an image at a time."""

import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from fewlabel.datasets.decoded import DecodedImages, Found
from fewlabel.datasets.file_list import SHOWN, ImageFilesError
from fewlabel.datasets.image_files import split
from fewlabel.errors import told_as
from fewlabel.methods import Images
from fewlabel.parallel import progress
from fewlabel.regular_files import open_regular_file
from fewlabel.text import printable

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class _Header(NamedTuple):
    """Of an array in a file."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]


def read_npz(path: str, n_classes: int) -> Images:
    """Read `images`, uint8 of shape (n_images, height, width) or (n_images, height, width, 3).

    They stay as they are. To test with, there may be `test_images` and `test_labels`, positions of
    the classes; images to test with are not trained on. For an oracle, there may be `train_labels`
    of `images`, -1 of one of no class. An `ImageFilesError` says what is wrong.
    """
    place = Path(path)
    with (
        told_as(ImageFilesError, lambda cause: f"{place} cannot be read as .npz: {cause}"),
        open_regular_file(place) as file,
        zipfile.ZipFile(file) as archive,
    ):
        return _read(place, archive, n_classes)


def _read(place: Path, archive: zipfile.ZipFile, n_classes: int) -> Images:
    stored = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if "images" not in stored:
        raise ImageFilesError(
            f"{place} must have an array named images, but has "
            f"{printable(', '.join(stored), SHOWN) or 'none'}"
        )
    headers: dict[str, _Header] = {}
    for name in ("images", "train_labels", "test_images", "test_labels"):
        if name in stored:
            with archive.open(stored[name]) as member:
                headers[name] = _header(member)
    _check(place, headers)
    answers, labels = (
        _labels(place, archive, stored[name], range(first, n_classes)) if name in stored else None
        for name, first in (("train_labels", -1), ("test_labels", 0))
    )
    found: Found = {}
    decoded = DecodedImages()
    for name, prefix in (("test_images", "test_images[{}]"), ("images", "{}")):
        if name in stored:
            with archive.open(stored[name]) as member:
                rows = _rows(member, f"read {name} of {place}")
                for i, row in enumerate(rows):
                    found[prefix.format(i)] = (decoded.add(row), hashlib.sha256(row).hexdigest())
    tests = {f"test_images[{i}]": n for i, n in enumerate(labels or [])}
    trained = None if answers is None else {str(i): n for i, n in enumerate(answers)}
    return split(place, found, tests, trained)


def _header(member: IO[bytes]) -> _Header:
    return _Header(*_READ_HEADER[np.lib.format.read_magic(member)](member))


def _rows(member: IO[bytes], description: str) -> Iterator[Any]:
    """Read an array's rows, one at a time."""
    shape, _, dtype = _header(member)
    n_bytes = prod(shape[1:]) * dtype.itemsize
    for i in progress(range(shape[0]), description):
        content = member.read(n_bytes)
        if len(content) < n_bytes:
            raise ValueError(f"it ends after {i:,} of {shape[0]:,} rows")
        yield np.frombuffer(content, dtype).reshape(shape[1:])
    if member.read(1):  # at its end, zipfile compares the checksum
        raise ValueError(f"it has more bytes than its shape {shape} needs")


def _check(place: Path, headers: dict[str, _Header]) -> None:
    """Refuse other arrays than `read_npz` describes, and more of them than the disk takes."""
    for name in headers.keys() - {"train_labels", "test_labels"}:
        shape, is_fortran, dtype = headers[name]
        is_stack = len(shape) >= 3 and shape[3:] in ((), (3,)) and min(shape[1:]) > 0
        if dtype != np.uint8 or not is_stack or is_fortran:
            raise ImageFilesError(
                f"{name} of {place} must be uint8 of shape (n_images, height, width) or "
                "(n_images, height, width, 3) in C order, as np.ascontiguousarray gives it; not "
                f"{dtype} of shape {shape}{' in Fortran order' if is_fortran else ''}"
            )
    shapes = {name: header.shape for name, header in headers.items()}
    shape = shapes["images"]
    test_shape = shapes.get("test_images", (0, *shape[1:]))
    labels_shape = shapes.get("test_labels", (0,))
    if shape[0] < 1 or test_shape[1:] != shape[1:] or labels_shape != test_shape[:1]:
        raise ImageFilesError(
            f"{place} must have images, test_images of their shape, and one of test_labels for "
            f"each; not {shape}, {test_shape} and {labels_shape}"
        )
    if (answers_shape := shapes.get("train_labels", shape[:1])) != shape[:1]:
        raise ImageFilesError(
            f"{place} must have one of train_labels for each of {shape[0]:,} images, not "
            f"{answers_shape}"
        )
    needed, free = prod(shape) + prod(test_shape), shutil.disk_usage(".").free
    if needed > free:
        raise ImageFilesError(
            f"{place} needs {needed:,} bytes of disk, but only {free:,} are free; it must hold "
            "fewer or smaller images"
        )


def _labels(
    place: Path, archive: zipfile.ZipFile, file: zipfile.ZipInfo, allowed: range
) -> list[int]:
    """Read the position of the class of each image, or -1 where that is allowed."""
    with archive.open(file) as member:
        _, _, dtype = _header(member)
    if dtype.kind in "iuf":
        with archive.open(file) as member:
            labels = np.fromiter(_rows(member, f"read {file.filename}"), dtype)
        if np.isin(labels, allowed).all():
            return list(map(int, labels))
    raise ImageFilesError(
        f"{file.filename.removesuffix('.npy')} of {place} must be {allowed[0]} to {allowed[-1]}, "
        f"positions in dataset.folder.class_names{', -1 of no class' * (allowed[0] < 0)}"
    )
