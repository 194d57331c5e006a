"""Get a data set: `python -m study.data DATASET`."""

import sys
from pydoc import locate

from fewlabel.errors import exit_on_error
from fewlabel.normalization import to_unit
from fewlabel.storage import save_array
from study.settings import settings


def main(name: str) -> None:
    """Write its images, float32 in [0, 1], and its labels to study/data/DATASET/."""
    images = locate(settings("datasets", name)).Settings().read()
    for array_name, array in images.arrays.items():
        scaled = to_unit(array) if array_name.endswith("images") else array
        save_array(f"study/data/{name}/{array_name}.npy", scaled)


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
