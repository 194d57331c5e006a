"""A list of files in place of their folder: the same images, and no change that goes unnoticed."""

import csv
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewlabel import arrays, engine, storage
from fewlabel.datasets import file_parts
from fewlabel.datasets.file_list import ImageFilesError, folder_of, write_list
from fewlabel.methods import settings_of
from fewlabel.storage import load_json, save_array

CLASSES = ["cat", "dog"]
N_IMAGES = 7


@pytest.fixture(autouse=True)
def photos(here):
    """Work beside a folder of photographs, of which one is broken and one a copy."""
    for i in range(N_IMAGES):
        save(f"{i % 2}/cat/{i}.png", i)
    Path("photos/notes.txt").write_text("no image")
    Path("photos/1/broken.jpg").write_bytes(b"no image")
    Path("photos/1/copy.png").write_bytes(Path("photos/1/cat/1.png").read_bytes())


def save(name, seed, mode="RGB"):
    path = Path("photos", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


def read(path="photos.csv", **labels):
    settings = settings_of("datasets", "folder")
    return settings(path=path, image_size=8, class_names=CLASSES, **labels).read()


def pixels_of(images):
    return {name: stack[:].tolist() for name, stack in images.arrays.items()}


def rows():
    with Path("photos.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.reader(file))


def test_a_list_gives_the_same_as_its_folder():
    assert write_list("photos/") == "10 files are in photos.csv: 10 new, 0 changed, 0 gone"
    assert rows()[:2] == [["image", "sha256"], ["0/cat/0.png", sha256("0/cat/0.png")]]
    for labels in ({}, {"test_labels": "0"}):
        listed, found = read(**labels), read("photos", **labels)
        assert pixels_of(listed) == pixels_of(found)
        assert listed[1:] == found[1:]


def sha256(name):
    return hashlib.sha256(Path("photos", name).read_bytes()).hexdigest()


def test_files_that_come_later_follow_and_earlier_shards_stay(monkeypatch):
    monkeypatch.setattr(storage, "SHARD_ROWS", 3)
    monkeypatch.setattr(storage, "WHOLE_ROWS", 3)
    hashes = []
    for name in ("0/cat/00.png", "a.png"):
        write_list("photos")
        save_array("images", read().arrays["train_images"])
        hashes.append([shard["sha256"] for shard in load_json("images/manifest.json")["shards"]])
        save(name, 100 + len(hashes))
    assert write_list("photos") == "12 files are in photos.csv: 1 new, 0 changed, 0 gone"
    assert [row[0] for row in rows()[-2:]] == ["0/cat/00.png", "a.png"]
    before, after = hashes
    assert len(before) == len(after) == 3
    assert before[:2] == after[:2]
    Path("photos/0/cat/0.png").unlink()
    save("1/cat/1.png", 300)
    assert write_list("photos") == "11 files are in photos.csv: 0 new, 1 changed, 1 gone"


def change(path):
    path.write_bytes(Path("photos/0/cat/2.png").read_bytes())


def damage(path):
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("do", "what"),
    [(change, "has changed"), (damage, "has changed"), (Path.unlink, "No such file or directory")],
)
def test_a_file_that_is_not_as_listed_is_named(do, what):
    write_list("photos")
    do(Path("photos/0/cat/4.png"))
    message = rf"photos/0/cat/4.png is not the file that its list names \({what}\); bring it back"
    with pytest.raises(ImageFilesError, match=message):
        read()
    write_list("photos")
    read()


@pytest.mark.parametrize("folder", [".", "..", "/", "photos/gone"])
def test_a_folder_without_a_name_is_refused(folder):
    there = sorted(Path().iterdir())
    with pytest.raises(ImageFilesError, match="is no folder with a name; name one to list"):
        write_list(folder)
    assert sorted(Path().iterdir()) == there


def test_a_table_of_labels_must_be_listed_and_as_it_was():
    table = Path("photos/test.csv")
    table.write_text("image,label\n0/cat/0.png,cat\n")
    write_list("photos")
    assert read(test_labels="test.csv").arrays["test_labels"].tolist() == [0]
    table.write_text("image,label\n0/cat/0.png,dog\n")
    with pytest.raises(ImageFilesError, match=r"photos/test.csv is not the file that its list"):
        read(test_labels="test.csv")
    Path("photos/other.csv").write_text("image,label\n0/cat/0.png,cat\n")
    with pytest.raises(ImageFilesError, match=r"test_labels is other.csv, but must be null, or in"):
        read(test_labels="other.csv")


def test_names_need_not_be_unicode_nor_one_line():
    Path(os.fsdecode(b"photos/\xff.png")).write_bytes(b"")
    Path("photos/a\r\nb,'\".png").write_bytes(b"")
    write_list("photos")
    assert read()[1:] == read("photos")[1:]
    assert write_list("photos") == "12 files are in photos.csv: 0 new, 0 changed, 0 gone"


def test_what_is_no_regular_file_is_listed_without_a_hash():
    os.mkfifo("photos/pipe.png")
    Path("photos/zero.png").symlink_to("/dev/zero")
    Path("photos/lost.png").symlink_to("nowhere.png")
    write_list("photos")
    without_hash = ["lost.png", "pipe.png", "zero.png"]
    assert [row for row in rows() if not row[1]] == [[name, ""] for name in without_hash]
    reasons = ("cannot be read: No such file or directory", *2 * ["not a regular file"])
    refused = list(zip(without_hash, reasons, strict=True))
    assert read().problems == read("photos").problems
    assert read().problems[-2:] == refused[1:]
    assert refused[0] in read().problems


HASH = "0" * 64


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it must have the columns image and sha256"),
        ("image,label\na.png,cat\n", "it must have the columns image and sha256"),
        ("image,sha256\na.png\n", "must be a file and its SHA-256"),
        ("image,sha256\n\n", "must be a file and its SHA-256"),
        ("image,sha256\na.png,ABC\n", "must be a file and its SHA-256"),
        (f"image,sha256\n../a.png,{HASH}\n", "must name a file inside the folder"),
        (f"image,sha256\n/etc/passwd,{HASH}\n", "must name a file inside the folder"),
        (f"image,sha256\n0/../../a.png,{HASH}\n", "must name a file inside the folder"),
        (f"image,sha256\n..,{HASH}\n", "must name a file inside the folder"),
        (f"image,sha256\n,{HASH}\n", "must name a file inside the folder"),
        (f"image,sha256\na.png,{HASH}\na.png,{HASH}\n", "names a file again"),
        ('image,sha256\n"a', "unexpected end of data"),
    ],
)
def test_what_is_no_list_is_refused(text, problem):
    Path("photos.csv").write_text(text)
    for use in (read, lambda: write_list("photos")):
        with pytest.raises(ImageFilesError, match=f"^photos.csv is no list of files: .*{problem}"):
            use()


def test_what_is_no_folder_is_refused():
    with pytest.raises(ImageFilesError, match=r"^nowhere is no folder"):
        write_list("nowhere")
    with pytest.raises(ImageFilesError, match=r"path is nowhere, but must be a folder, a .csv"):
        read("nowhere")
    with pytest.raises(ImageFilesError, match=r"nowhere.csv is no list of files: .*No such file"):
        read("nowhere.csv")


def test_a_folder_may_be_named_as_a_list():
    Path("photos").rename("photos.csv")
    write_list("photos.csv")
    assert folder_of("photos.csv.csv") == Path("photos.csv")
    assert pixels_of(read("photos.csv.csv")) == pixels_of(read("photos.csv"))


def test_the_command():
    command = [sys.executable, "-m", "fewlabel.cli", "list-images"]
    done = subprocess.run([*command, "photos"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("10 files are in photos.csv")
    failed = subprocess.run([*command, "none"], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr == "error: none is no folder with a name; name one to list\n"


@pytest.mark.parametrize("path", ["photos", "photos.csv"])
def test_a_restart_reads_again_only_what_is_missing_or_was_changed(path, monkeypatch):
    write_list("photos")
    monkeypatch.setattr(arrays, "_MAX_BLOCK_ROWS", 4)
    decoded = []
    decode = file_parts.decoded_image

    def note(path, size):
        decoded.append(Path(path).name)
        return decode(path, size)

    monkeypatch.setattr(file_parts, "decoded_image", note)
    expected = pixels_of(read(path))
    assert len(decoded) == N_IMAGES + 2  # notes.txt has no image's name
    decoded.clear()
    assert pixels_of(read(path)) == expected
    assert decoded == []
    [*_, last] = sorted(Path("data/unfinished/download/read").glob("*.npy"))
    os.truncate(last, last.stat().st_size - 1)
    assert pixels_of(read(path)) == expected
    assert 0 < len(decoded) < 4
    decoded.clear()
    save("0/cat/0.png", 50)
    write_list("photos")
    assert pixels_of(read(path)) != expected
    assert "0.png" in decoded


def test_workers_read_the_same(monkeypatch):
    write_list("photos")
    monkeypatch.setattr(arrays, "_MAX_BLOCK_ROWS", 4)
    images = read()
    expected = pixels_of(images), images[1:]
    engine.finish("download")
    monkeypatch.setenv(engine.ENGINE, "dask:2")
    images = read()
    assert (pixels_of(images), images[1:]) == expected


def test_gray_parts_of_colored_images_become_colored(monkeypatch):
    monkeypatch.setattr(arrays, "_MAX_BLOCK_ROWS", 1)
    save("a gray.png", 9, "L")
    pixels = dict(zip(read("photos").names, read("photos").arrays["train_images"][:], strict=True))
    assert pixels["0/cat/0.png"].shape == (8, 8, 3)
    assert (pixels["a gray.png"] == pixels["a gray.png"][..., :1]).all()


def test_dvc_knows_one_file_and_runs_again_once_it_is_written_anew(project):
    place = project.folder / "data/images"
    place.mkdir(parents=True, exist_ok=True)
    Path("photos").rename(place / "photos")
    project.set({"dataset.name": "folder", "dataset.folder.class_names": CLASSES})
    project.set({"dataset.folder.path": "data/images/photos.csv", "label.source": "human"})

    def files():
        project.run("dvc", "repro", "download")
        table = project.folder / "data/raw/train_files.csv"
        return len(table.read_text(encoding="utf-8").splitlines()) - 1

    project.run("fewlabel", "list-images", "data/images/photos")
    assert files() == N_IMAGES
    (place / "photos/0/cat/0.png").rename(place / "elsewhere.png")
    assert files() == N_IMAGES
    project.run("fewlabel", "list-images", "data/images/photos")
    assert files() == N_IMAGES - 1
    lock = (project.folder / "dvc.lock").read_text(encoding="utf-8")
    assert "path: data/images/photos.csv" in lock
    assert not (project.folder / "data/unfinished/download").exists()
