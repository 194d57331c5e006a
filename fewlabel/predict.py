"""Classify image files with a trained model."""

import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fewlabel.arrays import Floats
from fewlabel.datasets.decoding import fit_image, has_image_name
from fewlabel.datasets.file_list import list_files
from fewlabel.errors import FewlabelError
from fewlabel.parallel import progress
from fewlabel.predictor import PortableClassifier
from fewlabel.regular_files import is_folder
from fewlabel.text import printable

COLUMNS = ("image", "label", "probability")
UNCERTAIN = "?"
"""In place of a label: no class is probable enough."""

Row = tuple[str, str, float]
"""Path of an image, its class, and the probability of that class."""


def predict(
    model: str,
    images: list[str],
    output: str,
    *,
    top: int = 1,
    threshold: float = 0.0,
    batch_size: int = 256,
) -> None:
    """Print the most probable classes of each image, and their probabilities.

    Parameters
    ----------
    model
        A file that the stage `package` wrote.
    images
        Files, folders to search, or - for paths on standard input, a line each.
    output
        table, csv or json.
    top
        Most classes of an image, each of which has a row.
    threshold
        An image whose most probable class is less probable has one row, with the label ?.
    batch_size
        Most images that are read, then classified, at once.

    Raises
    ------
    FewlabelError
        After the others are printed, if some images could not be read; before, if the model gives
        probabilities that are no numbers.
    """
    classifier = PortableClassifier(model)
    paths = [path for image in images for path in _paths(image)]
    rows: list[Row] = []
    unread: list[str] = []
    for start in progress(range(0, len(paths), batch_size), "classify"):
        pixels: dict[int, np.ndarray] = {}
        for i, path in enumerate(paths[start : start + batch_size], start):
            try:
                pixels[i] = fit_image(path, classifier.image_shape)
            except ValueError as error:
                unread.append(f"{printable(path)} ({error})")
        if not pixels:
            continue
        probabilities = classifier.predict_proba(np.stack(list(pixels.values())))
        for i, row in zip(pixels, probabilities, strict=True):
            if not np.isfinite(row).all():
                raise FewlabelError(
                    f"{model} gives {printable(paths[i])} probabilities that are not finite "
                    "numbers; it must be trained again"
                )
            rows += [
                (paths[i], label, p)
                for label, p in most_probable(row, classifier.class_names, top, threshold)
            ]
    _print(rows, output)
    if unread:
        raise FewlabelError(
            f"{len(unread)} of {len(paths)} are no whole PNG or JPEG images: {'; '.join(unread)}"
        )


def most_probable(
    probabilities: Floats, class_names: Sequence[str], top: int, threshold: float
) -> list[tuple[str, float]]:
    """Return the most probable classes of an image with their probabilities, best first.

    Examples
    --------
    >>> most_probable(np.array([0.25, 0.75]), ["cat", "dog"], top=2, threshold=0.5)
    [('dog', 0.75), ('cat', 0.25)]
    >>> most_probable(np.array([0.25, 0.75]), ["cat", "dog"], top=2, threshold=0.9)
    [('?', 0.75)]
    """
    best = np.argsort(-probabilities, kind="stable")[:top]
    if probabilities[best[0]] < threshold:
        return [(UNCERTAIN, float(probabilities[best[0]]))]
    return [(class_names[i], float(probabilities[i])) for i in best]


def _paths(image: str) -> Iterator[str]:
    if image == "-":
        # A file name may have any other character at which Python splits lines, and any bytes.
        lines = re.split("\r?\n", os.fsdecode(sys.stdin.buffer.read()))
        yield from (line for line in lines if line)
    elif is_folder(image):
        found = [name for name in list_files(Path(image)) if has_image_name(name)]
        if not found:
            raise FewlabelError(f"{image} has no PNG or JPEG file")
        yield from (str(Path(image, name)) for name in found)
    else:
        yield image


def _print(rows: list[Row], output: str) -> None:
    if output == "json":
        print(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], indent=2))
        return
    table = [COLUMNS, *((path, label, f"{p:.4f}") for path, label, p in rows)]
    if output == "csv":
        for row in table:
            line = io.StringIO()
            # Which makes it quote either of both.
            csv.writer(line, lineterminator="\r\n").writerow(row)
            # A name that is not UTF-8 stays itself.
            sys.stdout.buffer.write(os.fsencode(line.getvalue().removesuffix("\r\n") + "\n"))
        return
    table = [(printable(path), printable(label), p) for path, label, p in table]
    path_width, label_width = (max(len(row[i]) for row in table) for i in range(2))
    for path, label, probability in table:
        print(f"{path:<{path_width}}  {label:<{label_width}}  {probability:>11}")
