"""Get the data set, published or a user's own: four arrays and the names of the classes."""

import sys

import numpy as np

from stages.artifacts import save_array, save_json, save_table
from stages.datasets import DATASETS, Dataset, IdxDataset
from stages.image_files import Images, hash_images, read_image_files
from stages.params import Params, run
from stages.sources import read_idx_dataset
from stages.training_files import save_training_files


def main(params: Params) -> None:
    """Write the data set that `params.dataset.name` names to data/raw/.

    Images are uint8 in 0..255 of shape (n_images, height, width), or with 3 channels after that;
    labels int64 of shape (n_images,), -1 where unknown; class_names.json is a list;
    train_files.csv names each training image and the SHA-256 of its content; left_out.csv has the
    files that could not be used, and why. Nothing is written before all arrays are there.

    Raises
    ------
    stages.sources.DownloadError
        If no source has the data set.
    stages.image_files.ImageFilesError
        If a user's own images cannot be used.
    """
    of_folder = dict(params.dataset)
    name, class_names = of_folder.pop("name"), of_folder["class_names"]
    if name == "folder":
        images = read_image_files(**of_folder)
    else:
        arrays = read_dataset(DATASETS[name])
        n_images, class_names = len(arrays["train_images"]), DATASETS[name].class_names
        images = Images(arrays, list(range(n_images)), hash_images(arrays["train_images"]), [])
    for array_name, array in images.arrays.items():
        save_array(f"data/raw/{array_name}.npy", array)
    save_json("data/raw/class_names.json", list(class_names))
    save_training_files(images.names, images.sha256)
    left_out = {"file": [file for file, _ in images.problems]}
    save_table("data/raw/left_out.csv", left_out | {"problem": [why for _, why in images.problems]})
    if images.problems:
        print(
            f"{len(images.problems)} files are left out: see data/raw/left_out.csv", file=sys.stderr
        )


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
