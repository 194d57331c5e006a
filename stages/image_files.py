"""A user's own images: a folder of PNG and JPEG files, or an .npz with arrays."""

import csv
import hashlib
import io
import posixpath
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from PIL import ExifTags, Image, ImageOps

from fewlabel.errors import FewlabelError
from fewlabel.parallel import for_each_block

UNKNOWN = -1
"""Label of an image of which nobody knows it."""

_SUFFIXES = (".png", ".jpg", ".jpeg")
_BLOCK_FILES = 32
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


class ImageFilesError(FewlabelError):
    """The images that params.yaml names cannot be used; the message says which and why."""


class Images(NamedTuple):
    """What a user's own images are, ready to be written.

    Attributes
    ----------
    arrays : dict of str to ndarray
        As `stages.download.read_dataset` returns; labels are `UNKNOWN` where nobody gave one.
    names, sha256 : list of str
        Of each training image: path under `path`, or position in the array; hash of its content.
    problems : list of (str, str)
        File that was left out, and why.
    """

    arrays: dict[str, np.ndarray]
    names: list[str]
    sha256: list[str]
    problems: list[tuple[str, str]]


def decode_image(source, size: int) -> Image.Image:
    """Decode an image, turned upright, transparent pixels black.

    Parameters
    ----------
    source
        A path or a binary file.
    size
        Side in pixels that is enough: a larger JPEG is then decoded faster, and smaller.

    Returns
    -------
    Image of mode L, if it is gray, or RGB.

    Raises
    ------
    ValueError
        If it is no whole image.
    """
    try:
        with Image.open(source, formats=("PNG", "JPEG")) as file:
            file.draft(None, (2 * size, 2 * size))
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
    except Exception as error:  # Pillow passes on whatever a broken file leads to
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def fit_image(source, shape: tuple[int, ...]) -> np.ndarray:
    """Decode an image, scale it to fit, and pad it with black.

    Parameters
    ----------
    source
        A path or a binary file.
    shape
        Height and width in pixels; after them, 3 makes it colored, and nothing gray.

    Returns
    -------
    ndarray of that shape, uint8

    Raises
    ------
    ValueError
        If it is no whole image.
    """
    height, width, *channels = shape
    image = decode_image(source, max(height, width)).convert("RGB" if channels else "L")
    return np.asarray(ImageOps.pad(image, (width, height)))


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
        sub-folder for each class. Images named there are not trained on.

    Raises
    ------
    ImageFilesError
        If there is no such file or folder, no image in it, or its labels are no classes.
    """
    place = Path(path)
    if place.suffix == ".npz":
        return _read_npz(place, len(class_names))
    if not place.is_dir():
        raise ImageFilesError(f"dataset.path is {path}, but must be a folder or an .npz file")
    names = [name for name in list_files(place) if not name.endswith(".dvc")]
    test_labels = test_labels and posixpath.normpath(test_labels)
    class_of = _test_classes(place, names, class_names, test_labels)
    if missing := set(class_of).difference(names):
        raise ImageFilesError(f"{path}/{test_labels} names {min(missing)}, which is not in {path}")
    names = [name for name in names if name != test_labels]
    images, hashes, problems = _decode(place, names, image_size)
    return _split(place, names, images, hashes, problems, class_of)


def list_files(folder: Path) -> list[str]:
    """Paths of all files in a folder and its sub-folders, relative to it; no hidden ones."""
    names = [f.relative_to(folder).as_posix() for f in folder.rglob("*") if not f.is_dir()]
    return sorted(name for name in names if not re.search(r"(^|/)\.", name))


def has_image_name(name: str) -> bool:
    """Whether a file is called as PNG and JPEG files are."""
    return Path(name).suffix.lower() in _SUFFIXES


def hash_images(images: np.ndarray) -> list[str]:
    """Hexadecimal SHA-256 of the pixels of each image."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


def _decode(place, names, image_size):
    """Images (None where unusable), hashes of contents, and what is wrong with which file."""
    images, hashes, problems = [None] * len(names), [None] * len(names), {}

    def decode(rows):
        for i in range(rows.start, rows.stop):
            file = place / names[i]
            if not has_image_name(names[i]):
                problems[i] = "not a PNG or JPEG by its name"
                continue
            try:
                names[i].encode()
                content = file.read_bytes()
                image = decode_image(io.BytesIO(content), image_size)
            except UnicodeEncodeError:
                problems[i] = "its name is not UTF-8"
            except OSError as error:
                problems[i] = f"cannot be read: {error.strerror}"
            except ValueError as error:
                reason = str(error) if content else "empty"
                problems[i] = f"not a whole image: {re.sub('<_io.*?>', names[i], reason)}"
            else:
                images[i] = np.asarray(ImageOps.pad(image, (image_size, image_size)))
                hashes[i] = hashlib.sha256(content).hexdigest()

    for_each_block(decode, len(names), _BLOCK_FILES, f"read {len(names):,} files")
    return images, hashes, problems


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
        why = f" ({len(problems)} files are left out; {found[0][0]})" if found else ""
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
    left_out = [
        (names[i].encode(errors="backslashreplace").decode(), problems[i]) for i in sorted(problems)
    ]
    return Images(arrays, [names[i] for i in train], [hashes[i] for i in train], left_out)


def _test_classes(place, names, class_names, test_labels):
    """Name -> position of its class, of each image to test with."""
    if test_labels is None:
        return {}
    source = place / test_labels
    if source.is_dir():
        within = [name for name in names if name.startswith(f"{test_labels}/")]
        lines = [
            {"image": name, "label": name.removeprefix(f"{test_labels}/").split("/")[0]}
            for name in within
            if has_image_name(name)
        ]
    elif source.is_file():
        lines = read_label_table(source)
    else:
        raise ImageFilesError(
            f"dataset.test_labels is {test_labels}, but must be a CSV or a folder in {place}"
        )
    position = {name: i for i, name in enumerate(class_names)}
    class_of = {}
    for image, label in ((line["image"], line["label"]) for line in lines):
        if label not in position:
            allowed = ", ".join(class_names)
            raise ImageFilesError(
                f"{source} calls {image} {label!r}, but dataset.class_names has {allowed}"
            )
        if class_of.setdefault(image, position[label]) != position[label]:
            raise ImageFilesError(f"{source} gives {image} two labels, but must give it one")
    return class_of


def read_label_table(path: str | Path) -> list[dict[str, str]]:
    """Read the lines of a CSV with the columns image and label, and any others.

    Raises
    ------
    ImageFilesError
        If the file is not such a CSV.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for column in ("image", "label"):
                if column not in (found := reader.fieldnames or []):
                    raise ImageFilesError(
                        f"{path} must have the columns image and label, but has "
                        f"{', '.join(found) or 'none'}"
                    )
            return [row | {"label": (row["label"] or "").strip()} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ImageFilesError(f"{path} cannot be read: {error}") from error


def _read_npz(place, n_classes):
    try:
        with np.load(place, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, TypeError, BadZipFile, zlib.error) as error:
        raise ImageFilesError(f"{place} cannot be read as .npz: {error}") from error
    images = arrays.get("images")
    if images is None:
        raise ImageFilesError(
            f"{place} must have an array named images, but has {', '.join(arrays) or 'none'}"
        )
    tests = arrays.get("test_images", np.zeros((0, *images.shape[1:]), np.uint8))
    labels = arrays.get("test_labels", np.zeros(0, np.int64))
    for name, array in (("images", images), ("test_images", tests)):
        if array.dtype != np.uint8 or array.shape[3:] not in ((), (3,)) or array.ndim < 3:
            raise ImageFilesError(
                f"{name} of {place} must be uint8 of shape (n_images, height, width) or "
                f"(n_images, height, width, 3), not {array.dtype} of shape {array.shape}"
            )
    if not len(images) or tests.shape[1:] != images.shape[1:] or labels.shape != (len(tests),):
        raise ImageFilesError(
            f"{place} must have images, test_images of their shape, and one of test_labels for "
            f"each; not {images.shape}, {tests.shape} and {labels.shape}"
        )
    if not np.isin(labels, range(n_classes)).all():
        raise ImageFilesError(
            f"test_labels of {place} must be 0 to {n_classes - 1}, positions in dataset.class_names"
        )
    names = [*(f"test_images[{i}]" for i in range(len(tests))), *map(str, range(len(images)))]
    hashes = [*hash_images(tests), *hash_images(images)]
    class_of = dict(zip(names, labels.tolist(), strict=False))
    return _split(place, names, [*tests, *images], hashes, {}, class_of)
