"""A user's own images: a folder of PNG and JPEG files, or an .npz with arrays."""

import csv
import hashlib
import io
import math
import os
import posixpath
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fewlabel.errors import FewlabelError
from fewlabel.memory import available_memory
from fewlabel.methods import Images
from fewlabel.parallel import for_each_block
from fewlabel.regular_files import (
    FileRefusedError,
    is_folder,
    open_regular_file,
    read_regular_file,
    read_whole,
    size_of,
)
from fewlabel.text import breaks_lines, printable

UNKNOWN = -1
"""Label of an image of which nobody knows it."""

_SUFFIXES = (".png", ".jpg", ".jpeg")
_BLOCK_FILES = 32
MAX_FILE_BYTES = 2**28
_MAX_PIXELS = 2**26
_MAX_STORED_PIXELS = 2**28
"""Of a JPEG, before it is decoded smaller; some keep all of them in memory until then."""
_LARGE = 2**24
"""Bytes or decoded pixels from which on only one image is in memory at a time."""
_large_image = threading.RLock()
_SHOWN = 200
"""Characters of a value that a message shows."""
_NPZ_ARRAYS = ("images", "test_images", "test_labels")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation -> what turns the image upright."""
_GRAY_MODES = ("1", "L", "LA", "La")
_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")

# Its check comes before a JPEG is made smaller, and warns in several lines; `_check_size` is ours.
Image.MAX_IMAGE_PIXELS = None


class ImageFilesError(FewlabelError):
    """The images that params.yaml names cannot be used; the message says which and why."""


def decode_image(path: str | Path, size: int) -> Image.Image:
    """Decode an image, turned upright, transparent pixels black.

    Parameters
    ----------
    path
        Of a regular file, or of a link to one.
    size
        Side in pixels that is enough: a larger JPEG is then decoded faster, and smaller.

    Returns
    -------
    Image of mode L, if it is gray, or RGB.

    Raises
    ------
    ValueError
        If it is no whole image, or too large.
    """
    with _read_image(path, size) as (image, _):
        return image


def fit_image(path: str | Path, shape: tuple[int, ...]) -> np.ndarray:
    """Decode an image, scale it to fit, and pad it with black.

    Parameters
    ----------
    path
        Of a regular file, or of a link to one.
    shape
        Height and width in pixels; after them, 3 makes it colored, and nothing gray.

    Returns
    -------
    ndarray of that shape, uint8

    Raises
    ------
    ValueError
        If it is no whole image, or too large.
    """
    height, width, *channels = shape
    with _read_image(path, max(height, width)) as (image, _):
        return np.asarray(ImageOps.pad(image.convert("RGB" if channels else "L"), (width, height)))


def read_image_files(
    path: str, image_size: int, class_names: list[str], test_labels: str | None
) -> Images:
    """Read a user's own images.

    Parameters
    ----------
    path
        A folder, searched with its sub-folders, or an .npz that holds `images`, uint8 of shape
        (n_images, height, width) or (n_images, height, width, 3), and to test with `test_images`
        and `test_labels`, positions in `class_names`.
    image_size
        Side in pixels that files are scaled and padded to; the images of an .npz stay as they are.
    class_names
        The classes.
    test_labels
        In the folder: a CSV with the columns `image` and `label`, or a sub-folder that has a
        sub-folder for each class. Images named there are not trained on. None of an .npz.

    Raises
    ------
    ImageFilesError
        If there is no such file or folder, no image in it, or its labels are no classes; or if
        there is none to test with where `test_labels` says that there is.
    """
    place = Path(path)
    if place.suffix == ".npz":
        if test_labels is not None:
            raise _wrong_test_labels(
                test_labels,
                "null where dataset.folder.path is an .npz, which holds its own test_labels",
            )
        return _read_npz(place, len(class_names))
    if not is_folder(place):
        shown = printable(path, _SHOWN)
        raise ImageFilesError(
            f"dataset.folder.path is {shown}, but must be a folder or an .npz file"
        )
    names = [name for name in list_files(place) if not name.endswith(".dvc")]
    if test_labels is None:
        return _split(place, names, *_read_all(place, names, image_size), {})
    table = posixpath.normpath(test_labels)
    if not test_labels or table in (".", "..") or table.startswith(("/", "../")):
        raise _wrong_test_labels(test_labels, f"null, or a CSV or a folder inside {place}")
    names = [name for name in names if name != table]
    class_of = _test_classes(place, names, class_names, table)
    if not class_of:
        raise _wrong_test_labels(test_labels, "null where there is no image to test with")
    images = _split(place, names, *_read_all(place, names, image_size), class_of)
    if not len(images.arrays["test_images"]):
        problem_of = dict(images.problems)
        name = printable(min(class_of))
        raise _wrong_test_labels(
            test_labels,
            f"null, or name an image that can be used, as none of {len(class_of)} there can "
            f"({name}: {problem_of[name]})",
        )
    return images


def list_files(folder: Path) -> list[str]:
    """Paths of all files in a folder and its sub-folders, relative to it; no hidden ones.

    Links to folders are listed as files are: following them may never end.

    Raises
    ------
    ImageFilesError
        If one of the folders cannot be searched.
    """
    names, prefixes = [], [""]
    while prefixes:
        prefix = prefixes.pop()
        try:
            with os.scandir(folder / prefix) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        prefixes.append(f"{prefix}{entry.name}/")
                    else:
                        names.append(prefix + entry.name)
        except OSError as error:
            where = printable(f"{folder / prefix}", _SHOWN)
            raise ImageFilesError(f"{where} cannot be searched: {error.strerror}") from error
    return sorted(names)


def has_image_name(name: str) -> bool:
    """Whether a file is called as PNG and JPEG files are."""
    return Path(name).suffix.lower() in _SUFFIXES


def hash_images(images: np.ndarray) -> list[str]:
    """Hexadecimal SHA-256 of the pixels of each image."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


@contextmanager
def _read_image(path, size) -> Iterator[tuple[Image.Image, str]]:
    """Give an image as `decode_image` does, and the SHA-256 of its file; a large one alone."""
    with ExitStack() as stack:
        try:
            with open_regular_file(path) as file:
                if size_of(file) > _LARGE:
                    stack.enter_context(_large_image)
                content = read_whole(file, MAX_FILE_BYTES)
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from error
        if not content:
            raise ValueError("not a whole image: empty")
        try:
            image = _decode(content, size, stack)
        except FileRefusedError:
            raise
        except UnidentifiedImageError as error:
            raise ValueError("not a whole image: neither PNG nor JPEG by its content") from error
        except Exception as error:  # Pillow passes on whatever a broken file leads to
            reason = printable(" ".join(str(error).split()), _SHOWN) or type(error).__name__
            raise ValueError(f"not a whole image: {reason}") from error
        yield image, hashlib.sha256(content).hexdigest()


def _decode(content, size, stack):
    with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as file:
        n_stored = math.prod(file.size)
        stored = "{:,} x {:,} pixels".format(*file.size)
        file.draft(None, (2 * size, 2 * size))
        n_decoded = math.prod(file.size)
        for n, most in ((n_decoded, _MAX_PIXELS), (n_stored, _MAX_STORED_PIXELS)):
            if n > most:
                raise FileRefusedError(f"of {stored}, but at most {most:,} pixels are allowed")
        if n_decoded > _LARGE or n_stored > _MAX_PIXELS:
            stack.enter_context(_large_image)
        turn = _UPRIGHT.get(file.getexif().get(ExifTags.Base.Orientation))
        image = file.convert("RGBA") if "transparency" in file.info else file.copy()
    if image.mode in _SIXTEEN_BIT_MODES:
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    is_gray = image.mode in _GRAY_MODES
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    image = image.convert("L" if is_gray else "RGB")
    return image if turn is None else image.transpose(turn)


def _read_all(place, names, image_size):
    """Images (None where unusable), hashes of contents, and what is wrong with which file."""
    images, hashes, problems = [None] * len(names), [None] * len(names), {}

    def read(rows):
        for i in range(rows.start, rows.stop):
            try:
                _check_name(place, names[i])
                images[i], hashes[i] = _fit_to_square(place / names[i], image_size)
            except ValueError as error:
                problems[i] = str(error)

    description = f"read {len(names):,} files"
    for_each_block(read, len(names), block_rows=_BLOCK_FILES, description=description)
    return images, hashes, problems


def _fit_to_square(path, size):
    # A function, since a name in the loop above would keep one large image alive per thread.
    with _read_image(path, size) as (image, sha256):
        return np.asarray(ImageOps.pad(image, (size, size))), sha256


def _check_name(place, name):
    if not has_image_name(name):
        is_link = os.path.islink(place / name)  # noqa: PTH114 (pathlib's raises for long paths)
        advice = "; links to folders are not followed" if is_link else ""
        raise ValueError(f"not a PNG or JPEG by its name{advice}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError("its name is not UTF-8") from error
    if breaks_lines(name):  # who reads a table by lines would give each later image another row
        raise ValueError("its name has a control character or a line separator")


def _split(place, names, images, hashes, problems, class_of):
    first_with = {}
    # A copy of an image to test with must not be trained on.
    for i in sorted(range(len(names)), key=lambda i: names[i] not in class_of):
        if images[i] is not None:
            first = first_with.setdefault(hashes[i], i)
            if first != i:
                images[i], problems[i] = None, f"the same file as {names[first]}"
    usable = [i for i, image in enumerate(images) if image is not None]
    train = [i for i in usable if names[i] not in class_of]
    test = [i for i in usable if names[i] in class_of]
    if not train:
        found = Counter(problems.values()).most_common(1)
        why = f" ({len(problems)} files are skipped; {found[0][0]})" if found else ""
        raise ImageFilesError(f"{place} has no PNG or JPEG file to train on{why}")
    is_colored = any(images[i].ndim == 3 for i in usable)

    def stack(rows):
        shape = (len(rows), *images[train[0]].shape[:2], *([3] if is_colored else []))
        stacked = np.empty(shape, np.uint8)
        for row, i in enumerate(rows):
            image = images[i]
            stacked[row] = image[..., None] if is_colored and image.ndim == 2 else image
        return stacked

    arrays = {
        "train_images": stack(train),
        "train_labels": np.full(len(train), UNKNOWN, np.int64),
        "test_images": stack(test),
        "test_labels": np.array([class_of[names[i]] for i in test], np.int64),
    }
    skipped = [(printable(names[i]), problems[i]) for i in sorted(problems)]
    return Images(arrays, [names[i] for i in train], [hashes[i] for i in train], skipped)


def _wrong_test_labels(value, allowed):
    shown = printable(value, _SHOWN) or "''"
    return ImageFilesError(f"dataset.folder.test_labels is {shown}, but must be {allowed}")


def _test_classes(place, names, class_names, test_labels):
    """Name -> position of its class, of each image to test with."""
    source = place / test_labels
    try:
        source.stat()
    except (OSError, ValueError) as error:
        raise _wrong_test_labels(test_labels, f"a CSV or a folder in {place}") from error
    if is_folder(source):
        within = [name for name in names if name.startswith(f"{test_labels}/")]
        lines = [
            {"image": name, "label": name.removeprefix(f"{test_labels}/").split("/")[0]}
            for name in within
            if has_image_name(name)
        ]
    else:
        lines = read_label_table(source)
    position = {name: i for i, name in enumerate(class_names)}
    there, class_of = set(names), {}
    for line in lines:
        # Else ./a.png would not be the a.png that is kept out of training.
        image, label = posixpath.normpath(line["image"]), line["label"]
        shown = printable(line["image"], _SHOWN)
        if image not in there:
            raise ImageFilesError(f"{source} names {shown or 'no image'}, which is not in {place}")
        if label not in position:
            allowed = printable(", ".join(class_names), _SHOWN)
            raise ImageFilesError(
                f"{source} calls {shown} {label!r:.{_SHOWN}}, but dataset.folder.class_names has "
                f"{allowed}"
            )
        if class_of.setdefault(image, position[label]) != position[label]:
            raise ImageFilesError(f"{source} gives {shown} two labels, but must give it one")
    return class_of


def read_label_table(path: str | Path) -> list[dict[str, str]]:
    """Read the lines of a CSV with the columns image and label, and any others.

    Raises
    ------
    ImageFilesError
        If the file is not such a CSV.
    """
    try:
        content = read_regular_file(path, MAX_FILE_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(content, newline=""))
        found = reader.fieldnames or []
        if any(found.count(column) != 1 for column in ("image", "label")):
            shown = printable(", ".join(found), _SHOWN)
            raise ImageFilesError(
                f"{path} must have the columns image and label, but has {shown or 'none'}"
            )
        return [
            row | {"image": row["image"] or "", "label": (row["label"] or "").strip()}
            for row in reader
        ]
    except (OSError, ValueError, csv.Error) as error:
        raise ImageFilesError(f"{path} cannot be read: {error}") from error


def _read_npz(place, n_classes):
    arrays = _read_arrays(place)
    images = arrays["images"]
    tests = arrays.get("test_images", np.zeros((0, *images.shape[1:]), np.uint8))
    labels = arrays.get("test_labels", np.zeros(0, np.int64))
    for name, array in (("images", images), ("test_images", tests)):
        if (
            array.dtype != np.uint8
            or array.ndim < 3
            or array.shape[3:] not in ((), (3,))
            or 0 in array.shape[1:]
        ):
            raise ImageFilesError(
                f"{name} of {place} must be uint8 of shape (n_images, height, width) or "
                f"(n_images, height, width, 3), not {array.dtype} of shape {array.shape}"
            )
    if not len(images) or tests.shape[1:] != images.shape[1:] or labels.shape != (len(tests),):
        raise ImageFilesError(
            f"{place} must have images, test_images of their shape, and one of test_labels for "
            f"each; not {images.shape}, {tests.shape} and {labels.shape}"
        )
    if labels.dtype.kind not in "iuf" or not np.isin(labels, range(n_classes)).all():
        raise ImageFilesError(
            f"test_labels of {place} must be 0 to {n_classes - 1}, positions in "
            "dataset.folder.class_names"
        )
    names = [*(f"test_images[{i}]" for i in range(len(tests))), *map(str, range(len(images)))]
    hashes = [*hash_images(tests), *hash_images(images)]
    class_of = dict(zip(names, labels.tolist(), strict=False))
    return _split(place, names, [*tests, *images], hashes, {}, class_of)


def _read_arrays(place):
    """Arrays of an .npz that are used, none of which is read before its size is known."""
    try:
        with open_regular_file(place) as file, zipfile.ZipFile(file) as archive:
            members = _members(place, archive)
            return {name: _read_array(archive, info) for name, info in members.items()}
    except FewlabelError:
        raise
    except Exception as error:  # zipfile and NumPy pass on whatever a broken file leads to
        reason = printable(" ".join(str(error).split()), _SHOWN) or type(error).__name__
        raise ImageFilesError(f"{place} cannot be read as .npz: {reason}") from error


def _members(place, archive):
    stored = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if "images" not in stored:
        shown = printable(", ".join(stored), _SHOWN)
        raise ImageFilesError(f"{place} must have an array named images, but has {shown or 'none'}")
    members = {name: stored[name] for name in _NPZ_ARRAYS if name in stored}
    needed = 2 * sum(info.file_size for info in members.values())  # what is written is a copy
    available = available_memory()
    if needed > available:
        raise ImageFilesError(
            f"{place} needs {needed:,} bytes of memory, but only {available:,} are available; it "
            "must hold fewer or smaller images"
        )
    return members


def _read_array(archive, info):
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(member)
        n_bytes = math.prod(shape) * dtype.itemsize
        n_stored = info.file_size - member.tell()
    if n_bytes != n_stored and not dtype.hasobject:  # NumPy refuses these itself
        raise ValueError(
            f"{info.filename} of {dtype} and shape {shape} must have {n_bytes:,} bytes, but has "
            f"{n_stored:,}"
        )
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)
