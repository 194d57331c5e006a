"""The table of training images: row i is about the image at position i of every array."""

import csv

from fewlabel.errors import FewlabelError
from fewlabel.storage import verified

TRAINING_FILES = "data/raw/train_files.csv"


class TrainingFilesError(FewlabelError):
    """The table does not fit the images."""


def read_training_files(n_images: int) -> list[dict[str, str]]:
    """Read a row with `image` and `sha256` for each training image, or raise a FewlabelError.

    It must be what its stage wrote: one whole row, with a name of its own, for each image.
    """
    advice = "`dvc repro download` writes it again"
    try:
        with verified(TRAINING_FILES).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise TrainingFilesError(f"{TRAINING_FILES} cannot be read: {error}; {advice}") from error
    n_names = len({row.get("image") for row in rows})
    is_whole = all(list(row) == ["image", "sha256"] and all(row.values()) for row in rows)
    if not (is_whole and len(rows) == n_names == n_images):
        raise TrainingFilesError(
            f"{TRAINING_FILES} has {len(rows)} rows and {n_names} names, but must have one whole "
            f"row, with a name of its own, for each of {n_images} training images; {advice}"
        )
    return rows
