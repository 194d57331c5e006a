"""The data set of solar cells, from a wheel like its package's."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from fewlabel import clients
from fewlabel.datasets import elpv
from fewlabel.errors import FewlabelError

PROBABILITIES = ["0.0", "1.0", "0.3333333333333333", "0.6666666666666666", "1.0"]


def wheel(rows=None):
    rows = rows or [f"images/{i}.png  {p}   mono" for i, p in enumerate(PROBABILITIES)]
    with zipfile.ZipFile(content := io.BytesIO(), "w") as archive:
        archive.writestr("elpv_dataset/data/labels.csv", "\n".join(rows))
        for i in range(len(PROBABILITIES)):
            image = Image.fromarray(np.full((4, 4), 10 * i, np.uint8))
            image.save(png := io.BytesIO(), "PNG")
            archive.writestr(f"elpv_dataset/data/images/{i}.png", png.getvalue())
    return content.getvalue()


def test_every_fourth_cell_is_to_test_with_and_over_a_half_is_defective():
    images = elpv.read_wheel(wheel())
    assert images.names == [f"images/{i}.png" for i in (0, 1, 2, 4)]
    assert images.arrays["train_images"][:, 0, 0].tolist() == [0, 10, 20, 40]
    assert images.arrays["train_labels"].tolist() == [0, 1, 0, 1]
    assert images.arrays["test_images"][:, 0, 0].tolist() == [30]
    assert images.arrays["test_labels"].tolist() == [1]
    assert len(set(images.sha256)) == 4


def test_another_package_is_refused(monkeypatch):
    monkeypatch.setattr(clients, "download_wheel", lambda package: wheel())
    with pytest.raises(FewlabelError, match=r"elpv-\S+ must have the SHA-256 85e3"):
        elpv.Settings().read()


def test_without_a_network_it_is_said(monkeypatch):
    def fail(package):
        raise OSError("pip: no network")

    monkeypatch.setattr(clients, "download_wheel", fail)
    with pytest.raises(FewlabelError, match=r"elpv cannot be had from .*: pip: no network"):
        elpv.Settings().read()


@pytest.mark.network
def test_the_package_has_the_cells():
    images, facts = elpv.Settings().read(), elpv.Settings.facts
    assert images.arrays["train_images"].shape == (facts.n_train_images, *facts.image_shape)
    assert images.arrays["test_images"].shape == (facts.n_test_images, *facts.image_shape)
    assert np.bincount(images.arrays["train_labels"]).tolist() == [1352, 616]
    assert np.bincount(images.arrays["test_labels"]).tolist() == [451, 205]
