"""Classify image files with a trained model."""

import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fewlabel.datasets.image_files import fit_image, has_image_name, list_files
from fewlabel.errors import FewlabelError
from fewlabel.parallel import progress
from fewlabel.predictor import PortableClassifier
from fewlabel.regular_files import is_folder
from fewlabel.text import printable

_BATCH_IMAGES = 256
COLUMNS = ("image", "label", "probability")


def predict(model: str, images: list[str], output: str) -> None:
    """Print the class and its probability of each image.

    Parameters
    ----------
    model
        A file that the stage `package` wrote.
    images
        Files, folders to search, or - for paths on standard input, a line each.
    output
        table, csv or json.

    Raises
    ------
    FewlabelError
        After the others are printed, if some images could not be read; before, if the model gives
        probabilities that are no numbers.
    """
    classifier = PortableClassifier(model)
    paths = [path for image in images for path in _paths(image)]
    rows, unread = [], []
    for start in progress(range(0, len(paths), _BATCH_IMAGES), "classify"):
        batch, pixels = [], []
        for path in paths[start : start + _BATCH_IMAGES]:
            try:
                pixels.append(fit_image(path, classifier.image_shape))
                batch.append(path)
            except ValueError as error:
                unread.append(f"{printable(path)} ({error})")
        if batch:
            probabilities = classifier.predict_proba(np.stack(pixels))
            is_finite = np.isfinite(probabilities).all(axis=1)
            if not is_finite.all():
                raise FewlabelError(
                    f"{model} gives {printable(batch[is_finite.argmin()])} probabilities that are "
                    "not finite numbers; it must be trained again"
                )
            rows += [
                (path, classifier.class_names[row.argmax()], float(row.max()))
                for path, row in zip(batch, probabilities, strict=True)
            ]
    _print(rows, output)
    if unread:
        raise FewlabelError(
            f"{len(unread)} of {len(paths)} are no whole PNG or JPEG images: {'; '.join(unread)}"
        )


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


def _print(rows, output):
    if output == "json":
        print(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], indent=2))
    elif output == "csv":
        sys.stdout.reconfigure(errors="surrogateescape")  # a name that is not UTF-8 stays itself
        for row in [COLUMNS, *((path, label, f"{p:.4f}") for path, label, p in rows)]:
            print(_csv_line(row))
    else:
        table = [COLUMNS, *((path, label, f"{p:11.4f}") for path, label, p in rows)]
        table = [[printable(cell) for cell in row] for row in table]
        widths = [max(len(row[i]) for row in table) for i in range(2)]
        for path, label, probability in table:
            print(f"{path:<{widths[0]}}  {label:<{widths[1]}}  {probability}")


def _csv_line(row):
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(row)  # which makes it quote either of both
    return line.getvalue().removesuffix("\r\n")
