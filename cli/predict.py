"""Classify image files with a trained model."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fewlabel.errors import FewlabelError
from fewlabel.parallel import progress
from stages.image_files import fit_image, has_image_name, list_files
from stages.portable import PortableClassifier

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
        After the others are printed, if some images could not be read.
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
                unread.append(f"{path} ({error})")
        if batch:
            probabilities = classifier.predict_proba(np.stack(pixels))
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
        yield from (line for line in sys.stdin.read().splitlines() if line)
    elif Path(image).is_dir():
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
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((path, label, f"{probability:.4f}") for path, label, probability in rows)
    else:
        widths = [max(len(str(row[i])) for row in [COLUMNS, *rows]) for i in range(2)]
        for path, label, probability in [COLUMNS, *rows]:
            last = probability if isinstance(probability, str) else f"{probability:11.4f}"
            print(f"{path:<{widths[0]}}  {label:<{widths[1]}}  {last}")
