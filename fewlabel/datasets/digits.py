"""scikit-learn's digits: 1,437 + 360 images of 8 x 8 pixels, which need no network."""

from typing import ClassVar

from fewlabel.methods import DatasetMethod, Facts, Images

_N_TRAIN = 1_437


class Settings(DatasetMethod):
    """Nothing to set."""

    facts: ClassVar[Facts | None] = Facts(_N_TRAIN, 360, (8, 8))

    def names_of_classes(self) -> list[str]:
        return list("0123456789")

    def read(self) -> Images:
        import numpy as np
        from sklearn.datasets import load_digits

        from fewlabel.datasets.image_files import hash_images

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
        labels = digits.target.astype(np.int64)
        # In order, as scikit-learn's examples do: the test digits are by other writers.
        train, test = slice(_N_TRAIN), slice(_N_TRAIN, None)
        arrays = {"train_images": images[train], "train_labels": labels[train]}
        arrays |= {"test_images": images[test], "test_labels": labels[test]}
        return Images(arrays, list(range(_N_TRAIN)), hash_images(images[train]), [])
