"""A user's own images: a folder of PNG and JPEG files."""

import csv
import hashlib
import io
import math
import os
import posixpath
import threading
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fewlabel.arrays import Indexed
from fewlabel.datasets.decoded import DecodedImage, DecodedImages, ImageStack
from fewlabel.errors import FewlabelError
from fewlabel.methods import Images
from fewlabel.parallel import for_each_block, progress
from fewlabel.regular_files import FileRefusedError, is_folder, open_regular_file, read_regular_file
from fewlabel.text import one_line, printable

_SUFFIXES = (".png", ".jpg", ".jpeg")
_BLOCK_FILES = 32
_MIN_SIDE, _DEFAULT_SIDE = 8, 160  # pixels
MAX_FILE_BYTES = 2**28
_MAX_PIXELS = 2**26
_MAX_STORED_PIXELS = 2**28
"""Of a JPEG, before it is decoded smaller; some keep all of them in memory until then."""
_LARGE = 2**24
"""Bytes or decoded pixels from which on only one image is in memory at a time."""
_large_image = threading.RLock()
SHOWN = 200  # characters of a value that a message shows
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""EXIF's orientation -> what turns the image upright."""

Found = dict[str, tuple[DecodedImage, str] | str]
"""Name of each image -> its pixels and the SHA-256 of its content, or why it cannot be used."""

# Its check comes before a JPEG is made smaller, and warns in several lines; ours is in `_decode`.
Image.MAX_IMAGE_PIXELS = None


class ImageFilesError(FewlabelError):
    """The images that params.yaml names cannot be used; the message says which and why."""


@contextmanager
def decoded_image(path: str | Path, size: int) -> Iterator[tuple[Image.Image, str]]:
    """Decode a file as `decoded_content` does, and hash it by SHA-256."""
    with ExitStack() as stack:
        try:
            if Path(path).stat().st_size > _LARGE:
                stack.enter_context(_large_image)
            content = read_regular_file(path, MAX_FILE_BYTES)
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from error
        image = stack.enter_context(decoded_content(content, size))
        yield image, hashlib.sha256(content).hexdigest()


@contextmanager
def decoded_content(content: bytes, size: int) -> Iterator[Image.Image]:
    """Decode an image: upright, L or RGB, transparent pixels black.

    While one that takes much memory is in use, no other such image is decoded. Of a JPEG, a side
    of `size` pixels is enough, so a larger one is decoded faster, and smaller. A `ValueError` says
    why it is no whole image, or that it is too large.
    """
    if not content:
        raise ValueError("not a whole image: empty")
    with ExitStack() as stack:
        try:
            image = _decode(content, size, stack)
        except FileRefusedError:
            raise
        except UnidentifiedImageError as error:
            raise ValueError("not a whole image: neither PNG nor JPEG by its content") from error
        except Exception as error:  # Pillow passes on whatever a broken file leads to
            raise ValueError(f"not a whole image: {one_line(error)}") from error
        yield image


def fit_image(source: str | Path | bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Decode a file, or the content of one, to uint8, scaled to fit and padded with black.

    `shape` is height and width in pixels; after them, 3 makes it colored, and nothing gray. Errors
    are as of `decoded_content`.
    """
    height, width, *channels = shape
    size = max(height, width)
    with ExitStack() as stack:
        if isinstance(source, bytes):
            image = stack.enter_context(decoded_content(source, size))
        else:
            image, _ = stack.enter_context(decoded_image(source, size))
        return np.asarray(ImageOps.pad(image.convert("RGB" if channels else "L"), (width, height)))


def read_image_files(
    path: str,
    *,
    image_size: int | None,
    class_names: list[str],
    test_labels: str | None,
    train_labels: str | None,
) -> Images:
    """Read a folder of images, as `fewlabel.datasets.folder.Settings` describes it.

    Images to test with are not trained on. An `ImageFilesError` says what is wrong with the files
    or the labels.
    """
    place = Path(path)
    if not is_folder(place):
        named = printable(path, SHOWN)
        raise ImageFilesError(
            f"dataset.folder.path is {named}, but must be a folder or an .npz file"
        )
    tables = {
        key: _inside(place, key, value)
        for key, value in (("test_labels", test_labels), ("train_labels", train_labels))
        if value is not None
    }
    files = [name for name in list_files(place) if not name.endswith(".dvc")]
    names = [name for name in files if name not in tables.values()]
    tests, answers = dict[str, int](), None
    if test_labels is not None:
        tests = _classes(place, names, class_names, "test_labels", tables["test_labels"])
        if not tests:
            allowed = "null where there is no image to test with"
            raise wrong_labels("test_labels", test_labels, allowed)
    if train_labels is not None:
        table = tables["train_labels"]
        answers = _classes(place, names, class_names, "train_labels", table, besides=tests)
    found = _read_all(place, names, image_size or _longest_side(place, names))
    if test_labels is not None and all(isinstance(found[name], str) for name in tests):
        name = min(tests)
        raise wrong_labels(
            "test_labels",
            test_labels,
            f"null, or name an image that can be used, as none of {len(tests)} there can "
            f"({printable(name)}: {found[name]})",
        )
    return split(place, found, tests, answers)


def list_files(folder: Path) -> list[str]:
    """List the paths of all files in a folder and its sub-folders, relative to it; none hidden.

    Links to folders are listed as files are: following them may never end. An `ImageFilesError`
    says which folder cannot be searched.
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
            where = printable(f"{folder / prefix}", SHOWN)
            raise ImageFilesError(f"{where} cannot be searched: {error.strerror}") from error
    return sorted(names)


def has_image_name(name: str) -> bool:
    """Return whether a file is named as PNG and JPEG files are.

    Examples
    --------
    >>> has_image_name("photos/a.JPG")
    True
    """
    return Path(name).suffix.lower() in _SUFFIXES


def hash_images(images: Iterable[np.ndarray]) -> list[str]:
    """Return the hexadecimal SHA-256 of the pixels of each image."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


def _decode(content: bytes, size: int, stack: ExitStack) -> Image.Image:
    with _open(io.BytesIO(content)) as file:
        n_stored = math.prod(file.size)
        stored = "{:,} x {:,} pixels".format(*file.size)
        file.draft(None, (2 * size, 2 * size))
        n_decoded = math.prod(file.size)
        for n, limit in ((n_decoded, _MAX_PIXELS), (n_stored, _MAX_STORED_PIXELS)):
            if n > limit:
                raise FileRefusedError(f"of {stored}, but at most {limit:,} pixels are allowed")
        if n_decoded > _LARGE or n_stored > _MAX_PIXELS:
            stack.enter_context(_large_image)
        turn = _UPRIGHT.get(file.getexif().get(ExifTags.Base.Orientation, 1))
        image = file.convert("RGBA") if "transparency" in file.info else file.copy()
    if image.mode.startswith("I"):  # 16 bits
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    mode = "L" if Image.getmodebase(image.mode) == "L" else "RGB"
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    image = image.convert(mode)
    return image if turn is None else image.transpose(turn)


def _longest_side(place: Path, names: list[str]) -> int:
    """Return the longest side of all images, 8 to 160 pixels; what cannot be read has none."""
    longest = _MIN_SIDE
    for name in progress(names, "look for the largest image"):
        with suppress(Exception):  # Pillow passes on whatever a broken file leads to
            _check_name(place, name)
            with open_regular_file(place / name) as file, _open(file) as image:
                longest = max(longest, *image.size)
        if longest >= _DEFAULT_SIDE:
            return _DEFAULT_SIDE
    return longest


def _open(file: IO[bytes]) -> Image.Image:
    return Image.open(file, formats=("PNG", "JPEG"))


def _read_all(place: Path, names: list[str], image_size: int) -> Found:
    """Read the images, scaled and padded to a square."""
    found: Found = dict.fromkeys(names, "")  # in their order, whichever thread is first
    decoded = DecodedImages()

    def read(rows: slice) -> None:
        for name in names[rows]:
            try:
                _check_name(place, name)
                pixels, sha256 = _fit_to_square(place / name, image_size)
                found[name] = decoded.add(pixels), sha256
            except ValueError as error:
                found[name] = str(error)

    n = len(names)
    for_each_block(read, n, block_rows=_BLOCK_FILES, description=f"read {n:,} files")
    return found


def _fit_to_square(path: Path, size: int) -> tuple[np.ndarray, str]:
    # A function, since a name in the loop above would keep one large image alive per thread.
    with decoded_image(path, size) as (image, sha256):
        return np.asarray(ImageOps.pad(image, (size, size))), sha256


def _check_name(place: Path, name: str) -> None:
    if not has_image_name(name):
        is_link = os.path.islink(place / name)  # noqa: PTH114 (pathlib's raises for long paths)
        advice = "; links to folders are not followed" if is_link else ""
        raise ValueError(f"not a PNG or JPEG by its name{advice}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError("its name is not UTF-8") from error
    if printable(name) != name:  # who reads a table by lines would shift the rows after it
        raise ValueError("its name has a control character or a line separator")


def split(
    place: Path, found: Found, class_of: dict[str, int], answers: dict[str, int] | None
) -> Images:
    """Skip copies, and split into the images to train on and those to test with.

    `class_of` has the class of each image to test with; `answers`, if there are any, that of each
    to train on.
    """
    first_with: dict[str, str] = {}
    # A copy of an image to test with must not be trained on.
    for name in sorted(found, key=lambda name: name not in class_of):
        image = found[name]
        if not isinstance(image, str) and first_with.setdefault(image[1], name) != name:
            found[name] = f"the same file as {first_with[image[1]]}"
    problems = {name: reason for name, reason in found.items() if isinstance(reason, str)}
    usable = {name: image for name, image in found.items() if not isinstance(image, str)}
    train = [name for name in usable if name not in class_of]
    test = [name for name in usable if name in class_of]
    if not train:
        ((reason, _),) = Counter(problems.values()).most_common(1) or [("", 0)]
        why = f" ({len(problems)} files are skipped; {reason})" if problems else ""
        raise ImageFilesError(f"{place} has no PNG or JPEG file to train on{why}")
    shape = max((image.shape for image, _ in usable.values()), key=len)  # gray becomes colored
    arrays: dict[str, Indexed] = {
        "train_images": ImageStack([usable[name][0] for name in train], shape),
        "train_labels": _answered(place, train, answers),
        "test_images": ImageStack([usable[name][0] for name in test], shape),
        "test_labels": np.array([class_of[name] for name in test], np.int64),
    }
    skipped = [(printable(name), problem) for name, problem in problems.items()]
    return Images(arrays, train, [usable[name][1] for name in train], skipped)


def _answered(place: Path, names: list[str], answers: dict[str, int] | None) -> np.ndarray:
    """Return the class of each image, -1 where there are no answers; if there are, to all."""
    if answers is None:
        return np.full(len(names), -1, np.int64)
    if missing := [name for name in names if name not in answers]:
        raise ImageFilesError(
            f"dataset.folder.train_labels has no class of {len(missing):,} of {len(names):,} "
            f"images to train on in {place}, such as {printable(missing[0], SHOWN)}; name all, or "
            "none"
        )
    return np.array([answers[name] for name in names], np.int64)


def wrong_labels(key: str, value: str, allowed: str) -> ImageFilesError:
    """Return the error of a setting that is not what is allowed."""
    named = printable(value, SHOWN) or "''"
    return ImageFilesError(f"dataset.folder.{key} is {named}, but must be {allowed}")


def _inside(place: Path, key: str, value: str) -> str:
    """Return the path, in the folder, of what has the classes of images."""
    table = posixpath.normpath(value)
    outside = table == ".." or table.startswith(("/", "../"))
    if not value or outside or (table == "." and key == "test_labels"):
        raise wrong_labels(key, value, f"null, or a CSV or a folder inside {place}")
    return table


def _classes(
    place: Path,
    names: list[str],
    class_names: list[str],
    key: str,
    table: str,
    besides: Container[str] = (),
) -> dict[str, int]:
    """Return name -> position of its class, of each image that a CSV or a folder has a class of.

    Those `besides` have one already, which a folder of all of them does not say.
    """
    source = place / table
    if is_folder(source):
        prefix = "" if table == "." else f"{table}/"
        inside = [name for name in names if name.startswith(prefix) and has_image_name(name)]
        lines = [
            {"image": name, "label": name[len(prefix) :].split("/")[0]}
            for name in inside
            if name not in besides
        ]
    elif os.path.exists(source):  # noqa: PTH110 (pathlib's raises for long names)
        lines = read_label_table(source)
    else:
        raise wrong_labels(key, table, f"a CSV or a folder in {place}")
    position = {name: i for i, name in enumerate(class_names)}
    there, class_of = set(names), dict[str, int]()
    for line in lines:
        # Else ./a.png would not be the a.png that is kept out of training.
        image, label = posixpath.normpath(line["image"]), line["label"]
        named = printable(line["image"], SHOWN)
        if image not in there:
            raise ImageFilesError(f"{source} names {named or 'no image'}, which is not in {place}")
        if label not in position:
            raise ImageFilesError(
                f"{source} calls {named} {label!r:.{SHOWN}}, but dataset.folder.class_names has "
                f"{printable(', '.join(class_names), SHOWN)}"
            )
        if class_of.setdefault(image, position[label]) != position[label]:
            raise ImageFilesError(f"{source} gives {named} two labels, but must give it one")
    return class_of


def read_label_table(path: str | Path) -> list[dict[str, str]]:
    """Read a CSV with the columns image and label, and any others, or raise an ImageFilesError."""
    try:
        content = read_regular_file(path, MAX_FILE_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(content, newline=""))
        found = reader.fieldnames or []
        if any(found.count(column) != 1 for column in ("image", "label")):
            raise ImageFilesError(
                f"{path} must have the columns image and label, but has "
                f"{printable(', '.join(found), SHOWN) or 'none'}"
            )
        return [
            row | {"image": row["image"] or "", "label": (row["label"] or "").strip()}
            for row in reader
        ]
    except (OSError, ValueError, csv.Error) as error:
        raise ImageFilesError(f"{path} cannot be read: {error}") from error
