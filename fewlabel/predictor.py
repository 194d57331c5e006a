"""A trained classifier in one file, with all that it needs to classify new images.

A zip of what `fewlabel.classifiers.files` writes, normalization.joblib, embedding.joblib,
about.json and README.md, the model card.
"""

import hashlib
import io
import json
import zipfile
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fewlabel.arrays import Array, Floats
from fewlabel.classifiers.files import classifier_input, load_classifier
from fewlabel.errors import FewlabelError
from fewlabel.regular_files import FileRefusedError, read_regular_file
from fewlabel.rows import ImageRows, transformed
from fewlabel.storage import locked_hashes, unpickle, verified
from fewlabel.text import one_line

PARTS = ("normalization", "embedding")
LOCK = Path(__file__).resolve().parents[1] / "dvc.lock"
MODEL = "models/classifier.zip"
_MAX_BYTES = 2**32


class ModelFileError(FewlabelError):
    """A file is no such classifier, or nothing vouches for it."""


def save_portable(path: Path, classifier: str, about: dict[str, Any], card: str) -> None:
    """Write a classifier as one file, the same bytes for the same content.

    Parameters
    ----------
    path
        Where it goes.
    classifier
        Folder of a trained classifier, an output of the pipeline.
    about
        `image_shape` and `class_names`.
    card
        The model card, Markdown.

    Raises
    ------
    fewlabel.storage.ArtifactError
        If a part is not what its stage wrote.
    """
    from fewlabel.keras_format import canonical_zip

    entries = {file.name: file.read_bytes() for file in verified(classifier).iterdir()}
    entries |= {f"{part}.joblib": verified(f"models/{part}.joblib").read_bytes() for part in PARTS}
    entries |= {"about.json": json.dumps(about, indent=2).encode(), "README.md": card.encode()}
    path.write_bytes(canonical_zip(entries))


class PortableClassifier:
    """A classifier from a file that this project's dvc.lock names.

    Loading what joblib wrote runs code from the file, so no other file is loaded.

    Parameters
    ----------
    path
        Where `save_portable` wrote.

    Attributes
    ----------
    class_names : list of str
    image_shape : tuple of ints
        Height, width and, for colored images, 3.

    Raises
    ------
    ModelFileError
        If it cannot be read, or its MD5 is not that of models/classifier.zip in dvc.lock.
    """

    def __init__(self, path: str):
        content = _vouched_content(path)
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive, TemporaryDirectory() as folder:
                archive.extractall(folder)
                about = json.loads(archive.read("about.json"))
                self.class_names: list[str] = about["class_names"]
                self.image_shape: tuple[int, ...] = tuple(about["image_shape"])
                self._reads, self._predict = load_classifier(folder, len(self.class_names))
                self._normalization, self._embedding = (
                    unpickle(archive.read(f"{part}.joblib")) for part in PARTS
                )
        except Exception as error:  # whatever a damaged part leads to
            raise ModelFileError(
                f"{path} is no whole classifier ({one_line(error)}); run `dvc repro package`"
            ) from error

    def predict_proba(self, images: Array) -> Floats:
        """Return class probabilities of images.

        Parameters
        ----------
        images : shape (n_images, *image_shape), uint8

        Returns
        -------
        shape (n_images, n_classes)
            Columns as in `class_names`; a class that no label was of has probability 0.
        """
        pixels = ImageRows(images=images, normalization=self._normalization)
        embed = partial(transformed, self._embedding, pixels)
        return self._predict(classifier_input(self._reads, pixels, embed))


def _vouched_content(path: str) -> bytes:
    try:
        content = read_regular_file(path, _MAX_BYTES)
    except (OSError, FileRefusedError) as error:
        raise ModelFileError(f"{path} cannot be read: {one_line(error)}") from error
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    expected = locked_hashes(LOCK).get(MODEL, "of no file")
    if digest != expected:
        raise ModelFileError(
            f"{path} could run any code when loaded, and its MD5 is {digest}, but that of {MODEL} "
            f"in {LOCK} is {expected}: this project did not make it; `dvc pull` or `git checkout` "
            "brings the model that it made"
        )
    return content
