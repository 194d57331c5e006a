"""Image files decoded in parts, by threads or by workers; a restart keeps what is done."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.arrays import Array, blocks
from fewlabel.datasets.decoded import Found, StoredImages
from fewlabel.datasets.decoding import check_name, decoded_image, padded
from fewlabel.datasets.file_list import require_listed
from fewlabel.engine import UNFINISHED, described, run_parts
from fewlabel.parallel import for_each_block
from fewlabel.storage import StoredArray, save_array

_LIST = UNFINISHED / "download/files.npy"
_BLOCK_FILES = 32
_COLORS = 3


def read_files(place: Path, files: Mapping[str, str], size: int) -> Found:
    """Read images, scaled to fit a square of `size` pixels and padded with black.

    Parameters
    ----------
    place
        The folder that names are relative to.
    files
        Name -> SHA-256 that the file must have, which may be empty.
    size

    Raises
    ------
    ImageFilesError
        If a file is not what its SHA-256 says.
    """
    names = list(files)
    encoded = [os.fsencode(name) for name in names]
    columns = [("name", f"S{max(map(len, encoded), default=1)}"), ("sha256", "S64")]
    listed = np.zeros(len(names), [*columns, ("size", np.int64), ("modified", np.int64)])
    listed["name"], listed["sha256"] = encoded, list(files.values())
    for row, name in enumerate(names):
        if not files[name]:  # that a file has changed since an earlier start, these tell
            listed["size"][row], listed["modified"][row] = _size_and_time(place / name)
    save_array(_LIST, listed)
    parts = blocks((len(names), size, size, _COLORS))
    arguments = str(_LIST), str(place), size
    found: Found = {}
    done = run_parts("download/read", _read_part, parts, *arguments, inputs=[_LIST])
    for part, file in zip(parts, done, strict=True):
        hashes, problems = described(file)
        images = zip(StoredImages(file), filter(None, hashes), strict=True)
        for name, problem in zip(names[part], problems, strict=True):
            found[name] = problem or next(images)
    return found


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError:
        return -1, -1
    return about.st_size, about.st_mtime_ns


def _read_part(part: slice, list_file: str, place: str, size: int) -> tuple[Array, Any]:
    """Return those that can be used, colored if one is; of each file its hash, or its problem."""
    files = StoredArray(Path(list_file))[part]
    n = len(files)
    pixels = np.zeros((n, size, size, _COLORS), np.uint8)
    is_colored = np.zeros(n, bool)
    hashes, problems = [""] * n, [""] * n

    def read(rows: slice) -> None:
        for row in range(rows.start, rows.stop):
            name, sha256 = os.fsdecode(files["name"][row]), files["sha256"][row].decode()
            try:
                check_name(Path(place), name)
                image, hashes[row] = _fit_to_square(Path(place, name), size, sha256)
                pixels[row], is_colored[row] = np.atleast_3d(image), image.ndim == pixels.ndim - 1
            except ValueError as error:
                problems[row] = str(error)

    for_each_block(read, n, block_rows=_BLOCK_FILES, description=f"read {n:,} files")
    is_usable = np.array([not problem for problem in problems])
    usable = pixels if is_usable.all() else pixels[is_usable]
    return usable if is_colored.any() else usable[..., 0], (hashes, problems)


def _fit_to_square(path: Path, size: int, sha256: str) -> tuple[Array, str]:
    # A function, since a name in the loop above would keep one large image alive per thread.
    try:
        with decoded_image(path, size) as (image, found):
            if sha256 in ("", found):
                return np.asarray(padded(image, (size, size))), found
    except ValueError:
        require_listed(path, sha256)
        raise
    require_listed(path, sha256)
    raise ValueError("changed while it was read")
