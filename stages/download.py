"""Get the data set, published or a user's own: four arrays and the names of the classes."""

import sys

from fewlabel.datasets.training_files import TRAINING_FILES
from fewlabel.engine import finish
from fewlabel.methods import DatasetMethod, chosen
from fewlabel.settings import Params, run_stage
from fewlabel.storage import save_array, save_json, save_table


def main(params: Params) -> None:
    """Write the data set that `params.dataset.name` names to data/raw/.

    Arrays are as in `fewlabel.methods.Images`; class_names.json is a list; train_files.csv names
    each training image and the SHA-256 of its content; skipped_files.csv has the files that could
    not be used, and why. Nothing is written before all arrays are there.

    Raises
    ------
    FewlabelError
        If no source has the data set, or a user's own images cannot be used.
    """
    dataset: DatasetMethod = chosen("datasets", params.dataset)
    images = dataset.read()
    for name, array in images.arrays.items():
        save_array(f"data/raw/{name}.npy", array)
    save_json("data/raw/class_names.json", dataset.names_of_classes())
    save_table(TRAINING_FILES, {"image": images.names, "sha256": images.sha256})
    files, problems = zip(*images.problems, strict=True) if images.problems else ((), ())
    save_table("data/raw/skipped_files.csv", {"file": files, "problem": problems})
    finish("download")
    if images.problems:
        print(
            f"{len(images.problems)} files are skipped: see data/raw/skipped_files.csv",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run_stage(main)
