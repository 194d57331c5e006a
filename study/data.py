"""Get a data set: `python -m study.data DATASET`."""

import sys

from fewlabel.errors import fail_in_one_line
from fewlabel.normalization import to_unit
from stages.artifacts import save_array
from stages.datasets import DATASETS
from stages.download import read_dataset


def main(name: str) -> None:
    """Write its images, float32 in [0, 1], and its labels to study/data/DATASET/."""
    for array_name, array in read_dataset(DATASETS[name]).items():
        scaled = to_unit(array) if array_name.endswith("images") else array
        save_array(f"study/data/{name}/{array_name}.npy", scaled)


if __name__ == "__main__":
    with fail_in_one_line():
        main(*sys.argv[1:])
