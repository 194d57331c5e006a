"""Get the data set: four arrays and the names of the classes, as published."""

import numpy as np

from stages.artifacts import save_array, save_json
from stages.datasets import DATASETS, Dataset, IdxDataset
from stages.params import Params, run
from stages.sources import read_idx_dataset


def main(params: Params) -> None:
    """Write the data set that `params.dataset.name` names to data/raw/.

    Images are uint8 in 0..255 of shape (n_images, height, width), labels int64 of shape
    (n_images,), class_names.json a list. Nothing is written before all arrays are there.

    Raises
    ------
    stages.sources.DownloadError
        If no source has the data set.
    """
    dataset = DATASETS[params.dataset.name]
    for name, array in read_dataset(dataset).items():
        save_array(f"data/raw/{name}.npy", array)
    save_json("data/raw/class_names.json", list(dataset.class_names))


def read_dataset(dataset: Dataset) -> dict[str, np.ndarray]:
    """Arrays of a data set by name: `train_images`, `train_labels`, `test_images`, `test_labels`.

    Raises
    ------
    stages.sources.DownloadError
        If no source has it.
    """
    read = read_idx_dataset if isinstance(dataset, IdxDataset) else _read_digits
    return read(dataset)


def _read_digits(dataset: Dataset) -> dict[str, np.ndarray]:
    from sklearn.datasets import load_digits  # slow to import, and no other data set needs it

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target.astype(np.int64)
    # In order, as scikit-learn's examples do: the test digits are by other writers.
    n = dataset.train_images
    return {
        "train_images": images[:n],
        "train_labels": labels[:n],
        "test_images": images[n:],
        "test_labels": labels[n:],
    }


if __name__ == "__main__":
    run(main)
