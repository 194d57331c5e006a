"""Make the part of CIFAR-10 that is measured as photographs: a folder of JPEG files.

`python -m benchmarks.cifar10_part FOLDER` gets the published images, over HTTPS.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fewlabel.arrays import Array
from fewlabel.errors import FewlabelError
from fewlabel.methods import settings_of
from fewlabel.parallel import progress

N_OF_EACH_CLASS = {"train": 2000, "test": 500}


def main(folder: Path) -> None:
    """Write 20,000 images to train on and 5,000 to test with to a folder that is not there yet."""
    dataset = settings_of("datasets", "cifar10")()
    write_part(folder, dataset.read().arrays, dataset.names_of_classes(), N_OF_EACH_CLASS)


def write_part(
    folder: Path,
    arrays: Mapping[str, Array],
    class_names: Sequence[str],
    n_of_each_class: Mapping[str, int],
) -> None:
    """Write SPLIT/CLASS/NUMBER.jpg of random images; NUMBER is the image's position in its class.

    Parameters
    ----------
    folder
    arrays, class_names
        As of a data set.
    n_of_each_class
        Split, train or test, -> images.

    Raises
    ------
    FewlabelError
        If the folder is there already.
    """
    if folder.exists():
        raise FewlabelError(f"{folder} is there already; name another, or delete it")
    rng = np.random.default_rng(0)
    for split, n in n_of_each_class.items():
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        for label, name in enumerate(progress(class_names, f"write {split}")):
            (folder / split / name).mkdir(parents=True)
            of_class = np.flatnonzero(labels == label)
            for number in sorted(rng.choice(len(of_class), n, replace=False)):
                path = folder / split / name / f"{number:04}.jpg"
                Image.fromarray(images[of_class[number]]).save(path)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except FewlabelError as error:
        sys.exit(f"error: {error}")
