"""A user's own images: a folder of PNG and JPEG files."""

import csv
import hashlib
import io
import os
import posixpath
from collections import Counter
from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from fewlabel.annotation.annotations import NO_CLASS
from fewlabel.arrays import Array, Indexed
from fewlabel.datasets.decoded import Found, ImageStack
from fewlabel.datasets.decoding import MAX_FILE_BYTES, check_name, has_image_name, open_image
from fewlabel.datasets.file_list import (
    SHOWN,
    ImageFilesError,
    files_of,
    folder_of,
    require_listed,
)
from fewlabel.datasets.file_parts import read_files
from fewlabel.methods import Images
from fewlabel.parallel import progress
from fewlabel.regular_files import is_folder, open_regular_file, read_regular_file
from fewlabel.text import printable

_MIN_SIDE, _DEFAULT_SIDE = 8, 160  # pixels


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
    files, place = files_of(path), folder_of(path)
    tables = {
        key: _inside(place, key, value)
        for key, value in (("test_labels", test_labels), ("train_labels", train_labels))
        if value is not None
    }
    for key, table in tables.items():
        sha256 = files.pop(table, None)
        if sha256 is None and place != Path(path) and not is_folder(place / table):
            allowed = f"null, or in {path}, to which `fewlabel list-images {place}` adds it"
            raise wrong_labels(key, table, allowed)
        require_listed(place / table, sha256 or "")
    names = list(files)
    tests, answers = dict[str, int](), None
    if test_labels is not None:
        tests = _classes(place, names, class_names, "test_labels", tables["test_labels"])
        if not tests:
            allowed = "null where there is no image to test with"
            raise wrong_labels("test_labels", test_labels, allowed)
    if train_labels is not None:
        table = tables["train_labels"]
        answers = _classes(place, names, class_names, "train_labels", table, besides=tests)
    found = read_files(place, files, image_size or _longest_side(place, names))
    if test_labels is not None and all(isinstance(found[name], str) for name in tests):
        name = min(tests)
        raise wrong_labels(
            "test_labels",
            test_labels,
            f"null, or name an image that can be used, as none of {len(tests)} there can "
            f"({printable(name)}: {found[name]})",
        )
    return split(place, found, tests, answers)


def hash_images(images: Iterable[Array]) -> list[str]:
    """Return the hexadecimal SHA-256 of the pixels of each image."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


def _longest_side(place: Path, names: list[str]) -> int:
    """Return the longest side of all images, 8 to 160 pixels; what cannot be read has none."""
    longest = _MIN_SIDE
    for name in progress(names, "look for the largest image"):
        with suppress(Exception):  # Pillow passes on whatever a broken file leads to
            check_name(place, name)
            with open_regular_file(place / name) as file, open_image(file) as image:
                longest = max(longest, *image.size)
        if longest >= _DEFAULT_SIDE:
            return _DEFAULT_SIDE
    return longest


def split(
    place: Path, found: Found, class_of: dict[str, int], answers: dict[str, int] | None
) -> Images:
    """Skip copies, and split into the images to train on and those to test with.

    `class_of` has the class of each image to test with; `answers`, if there are any, that of each
    to train on, -1 of one of no class.
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


def _answered(place: Path, names: list[str], answers: dict[str, int] | None) -> Array:
    """Return the class of each image, -1 if of none, or where there are no answers to all."""
    if answers is None:
        return np.full(len(names), -1, np.int64)
    if missing := [name for name in names if name not in answers]:
        raise ImageFilesError(
            f"dataset.folder.train_labels has no class of {len(missing):,} of {len(names):,} "
            f"images to train on in {place}, such as {printable(missing[0], SHOWN)}; name all, or "
            f"none, and call an image of no class {NO_CLASS}"
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
    if key == "train_labels":
        position[NO_CLASS] = -1
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
