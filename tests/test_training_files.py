"""Rows of a user's images, whatever their files are called."""

import csv
import hashlib
import os
import tempfile
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from fewlabel.datasets.folder import Settings
from fewlabel.datasets.training_files import (
    TRAINING_FILES,
    TrainingFilesError,
    read_training_files,
)
from fewlabel.storage import save_table
from fewlabel.text import printable
from stages import download

HOSTILE = "\r\n\t\x0b\x0c\x1b\x1c\x85\u2028\u2029\u202e\u200d\ufeff\"',;#|\\ =@<>&%éπ你👍"
texts = st.text(st.sampled_from(HOSTILE) | st.characters(codec="utf-8"), max_size=20)
stems = texts.map(str.encode) | st.binary(max_size=20) | st.sampled_from([b"NA", b"null", b"nan"])
suffixes = st.sampled_from([b".png", b".PNG", b".jpg", b"", b".png ", b".png\n"])
names = st.builds(bytes.__add__, stems, suffixes).filter(
    lambda name: name not in (b"", b".", b"..") and not set(name) & {0, ord("/")}
)


def write_images(folder, names):
    """Write an image of its own color to each name, but no image to each third."""
    for i, name in enumerate(names):
        path = os.path.join(os.fsencode(folder), name)  # noqa: PTH118 (pathlib knows no bytes)
        with open(path, "wb") as file:  # noqa: PTH123
            if i % 3 < 2:
                Image.new("RGB", (8, 8), (i, 100, 200)).save(file, "PNG")
            else:
                file.write(b"no image %d" % i)


def read_table(path):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@given(st.lists(names, unique=True, max_size=6))
@example([b"a\rb.png", b"b.png", b"c", b"d.png"])
@example([b'"a",b.png', b" #c.png ", b"NA", b" NA .png", b"null.png", b'"'])
def test_each_row_keeps_the_content_of_its_own_file(vouch, names):
    names = [b"0.png", *(name for name in names if name != b"0.png")]
    with tempfile.TemporaryDirectory() as place, chdir(place):
        Path("images").mkdir()
        write_images("images", names)
        folder = Settings(path="images", image_size=8, class_names=["a", "b"])
        download.main(SimpleNamespace(dataset=SimpleNamespace(name="folder", folder=folder)))
        images = np.load("data/raw/train_images.npy")
        vouch()
        rows = read_training_files(len(images))
        for row, image in zip(rows, images, strict=True):
            content = Path("images", row["image"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == row["sha256"]
            assert (image == np.asarray(Image.open(Path("images", row["image"])))).all()
        used = [row["image"] for row in rows]
        shown = pd.read_csv(TRAINING_FILES, dtype=str, keep_default_na=False)["image"]
        assert shown.tolist() == used
        skipped = [row["file"] for row in read_table("data/raw/skipped_files.csv")]
        assert all(printable(name) == name for name in skipped)
        visible = [os.fsdecode(name) for name in names if not name.startswith(b".")]
        assert sorted([*used, *skipped]) == sorted(map(printable, visible))
        shown = pd.read_csv("data/raw/skipped_files.csv", dtype=str, keep_default_na=False)["file"]
        assert shown.tolist() == skipped


@pytest.mark.parametrize(
    ("content", "n_images"),
    [
        ("image,sha256\na.png,1\nb.png,2\n", 3),
        ("image,sha256\na\rb.png,1\n", 1),
        ("image,sha256\na\rb.png,1\n", 2),
        ("image,sha256\na.png,1\na.png,2\n", 2),
        ("image,sha256\na.png\n", 1),
        ("image,sha256\na.png,1,2\n", 1),
        ("image\na.png\n", 1),
        ('image,sha256\n"a.png,1\n', 1),
        ("", 1),
    ],
)
def test_a_table_that_does_not_fit_the_images_is_refused(
    content, n_images, tmp_path, monkeypatch, vouch
):
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)
    Path(TRAINING_FILES).write_bytes(content.encode())
    vouch()
    with pytest.raises(TrainingFilesError, match="`dvc repro download` writes it again"):
        read_training_files(n_images)


def test_a_table_is_read_as_it_was_written(tmp_path, monkeypatch, vouch):
    monkeypatch.chdir(tmp_path)
    save_table(TRAINING_FILES, {"image": ["a, b.png", "c.png"], "sha256": ["1", "2"]})
    vouch()
    assert read_training_files(2) == [
        {"image": "a, b.png", "sha256": "1"},
        {"image": "c.png", "sha256": "2"},
    ]
