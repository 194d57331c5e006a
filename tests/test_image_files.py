"""A user's own images, whole and broken ones."""

import hashlib
import io
import os
import shutil
import struct
import threading
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fewlabel import arrays
from fewlabel.datasets import decoding, file_parts
from fewlabel.datasets.decoding import decoded_image, fit_image
from fewlabel.datasets.file_list import ImageFilesError
from fewlabel.datasets.image_files import read_label_table
from fewlabel.methods import settings_of
from fewlabel.storage import save_array

CLASSES = ["cat", "dog"]


@pytest.fixture(autouse=True)
def here(tmp_path_factory, monkeypatch):
    """Work where what is read may be kept."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


def save(path, size=(9, 7), color=(200, 100, 0), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(sum(map(ord, path.name))).integers(0, 50, (*size[::-1], 3))
    image = Image.fromarray((np.array(color) + noise).clip(0, 255).astype(np.uint8))
    image.convert(mode).save(path)
    return path


def read(folder, *, size=8, **labels):
    folder_settings = settings_of("datasets", "folder")
    images = folder_settings(
        path=str(folder), image_size=size, class_names=CLASSES, **labels
    ).read()
    return images._replace(arrays={name: stack[:] for name, stack in images.arrays.items()})


def test_images_of_any_size_are_fitted_and_padded(tmp_path):
    save(tmp_path / "wide.png", (40, 20))
    save(tmp_path / "deep" / "high.jpg", (10, 30))
    save(tmp_path / "tiny.png", (1, 1))
    images = read(tmp_path)
    assert images.names == ["deep/high.jpg", "tiny.png", "wide.png"]
    assert images.arrays["train_images"].shape == (3, 8, 8, 3)
    high, tiny, wide = images.arrays["train_images"].astype(int)
    assert wide[2:6].min(axis=-1).max() < 60 < wide[2:6, :, 0].min()
    assert not wide[:2].any()
    assert not wide[6:].any()
    assert not high[:, :2].any()
    assert high[:, 3:5, 0].min() > 100
    assert tiny[..., 0].min() > 190
    assert (images.arrays["train_labels"] == -1).all()
    assert images.arrays["test_images"].shape == (0, 8, 8, 3)
    assert images.sha256[1] == hashlib.sha256((tmp_path / "tiny.png").read_bytes()).hexdigest()


def test_images_are_as_large_as_the_largest_by_default(tmp_path):
    save(tmp_path / "a.png", (9, 7))
    assert read(tmp_path, size=None).arrays["train_images"].shape == (1, 9, 9, 3)
    save(tmp_path / "b.png", (11, 40))
    (tmp_path / "broken.png").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.png")
    assert read(tmp_path, size=None).arrays["train_images"].shape == (2, 40, 40, 3)
    save(tmp_path / "c.png", (161, 10))
    assert read(tmp_path, size=None).arrays["train_images"].shape == (3, 160, 160, 3)


def test_small_images_are_enlarged_to_the_least_side(tmp_path):
    save(tmp_path / "a.png", (2, 3))
    assert read(tmp_path, size=None).arrays["train_images"].shape == (1, 8, 8, 3)


def test_gray_images_stay_gray_and_mixed_ones_are_colored(tmp_path):
    save(tmp_path / "a.png", mode="L")
    assert read(tmp_path).arrays["train_images"].shape == (1, 8, 8)
    save(tmp_path / "b.png")
    gray, colored = read(tmp_path).arrays["train_images"]
    assert (gray == gray[..., :1]).all()
    assert (colored != colored[..., :1]).any()


def test_unusual_pngs_are_decoded_to_what_they_show(tmp_path):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    Image.fromarray(pixels.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    np.testing.assert_array_equal(fit_image(tmp_path / "sixteen.png", (8, 8)), pixels)
    # Black is transparent, and then black again.
    Image.fromarray(pixels.astype(np.uint16) * 257).save(tmp_path / "clear.png", transparency=0)
    np.testing.assert_array_equal(fit_image(tmp_path / "clear.png", (8, 8)), pixels)
    Image.fromarray(pixels).save(tmp_path / "clear_gray.png", transparency=int(pixels[7, 7]))
    with decoded_image(tmp_path / "clear_gray.png", 8) as (image, _):
        assert image.mode == "L"
        np.testing.assert_array_equal(image, np.where(pixels == pixels[7, 7], 0, pixels))
    palette = Image.fromarray(np.eye(8, dtype=np.uint8), mode="P")
    palette.putpalette([0, 0, 255, 255, 0, 0])
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(fit_image(tmp_path / "palette.png", (8, 8, 3))[0, 0], [255, 0, 0])
    see_through = np.full((8, 8, 4), 255, np.uint8)
    see_through[:4, :, 3] = 0
    Image.fromarray(see_through).save(tmp_path / "alpha.png")
    assert fit_image(tmp_path / "alpha.png", (8, 8))[[0, 7], 0].tolist() == [0, 255]


@pytest.mark.parametrize(("width", "is_kept"), [(31, True), (33, False)])
def test_an_image_of_which_nothing_would_be_left_is_skipped(width, is_kept, tmp_path):
    save(tmp_path / "a.png")
    Image.new("RGB", (width, 1), "white").save(tmp_path / "b.png")
    found = read(tmp_path, size=16)
    assert len(found.arrays["train_images"]) == 1 + is_kept
    if not is_kept:
        [(name, problem)] = found.problems
        assert name == "b.png"
        assert "33 x 1 pixels, of which nothing is left at 16 pixels per side" in problem


@pytest.mark.parametrize(
    "metadata", [{"exif": b"Exif\0\0no metadata"}, {"icc_profile": bytes(2_000_000)}]
)
def test_odd_metadata_harm_no_pixel(tmp_path, metadata):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png", **metadata)
    assert fit_image(tmp_path / "a.png", (8, 8, 3))[0, 0].tolist() == [255, 0, 0]


def test_a_photo_is_turned_upright(tmp_path):
    pixels = np.zeros((16, 8, 3), np.uint8)
    pixels[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = fit_image(tmp_path / "turned.jpg", (8, 16))
    assert upright[:, 9:].min() > 200
    assert upright[:, :7].max() < 50


def test_a_large_png(tmp_path):
    save(tmp_path / "large.png", (5000, 4000), mode="L")
    assert read(tmp_path, size=32).arrays["train_images"].shape == (1, 32, 32)


def test_a_large_jpeg_is_decoded_smaller(tmp_path):
    save(tmp_path / "large.jpg", (5000, 4000))
    with decoded_image(tmp_path / "large.jpg", 32) as (image, _):
        assert max(image.size) < 1000
    assert read(tmp_path, size=32).arrays["train_images"].shape == (1, 32, 32, 3)


def test_what_cannot_be_used_is_named(tmp_path):
    whole = save(tmp_path / "whole.png", (30, 30)).read_bytes()
    (tmp_path / "copy.png").write_bytes(whole)
    (tmp_path / "zz cut,ü.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden").write_text("not looked at")
    Image.new("RGB", (3, 3)).save(tmp_path / "image.gif")
    images = read(tmp_path)
    assert images.names == ["copy.png"]
    problems = dict(images.problems)
    assert list(problems) == [
        "empty.jpg", "image.gif", "notes.txt", "text.png", "whole.png", "zz cut,ü.png",
    ]  # fmt: skip
    assert problems["whole.png"] == "the same file as copy.png"
    assert problems["empty.jpg"] == "not a whole image: empty"
    assert problems["notes.txt"] == "not a PNG or JPEG by its name"
    assert problems["zz cut,ü.png"].startswith("not a whole image: ")
    assert str(tmp_path) not in "".join(problems.values())


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def link_to_folder(path):
    (path.parent / "folder").mkdir()
    path.symlink_to(path.parent / "folder")


SPECIAL = pytest.mark.parametrize("make", [pipe, device, link_to_folder])


@SPECIAL
def test_what_is_no_regular_file_is_skipped(tmp_path, make):
    save(tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    make(tmp_path / "special.png")
    images = read(tmp_path)
    assert images.names == ["a.png"]
    assert images.problems == [
        ("link.png", "the same file as a.png"),
        ("special.png", "not a regular file"),
    ]
    with pytest.raises(ValueError, match="not a regular file"):
        fit_image(tmp_path / "special.png", (8, 8))


@SPECIAL
def test_a_table_or_an_npz_that_is_no_regular_file_is_refused(tmp_path, make):
    make(tmp_path / "special.npz")
    with pytest.raises(
        ImageFilesError, match=r"special.npz cannot be read as \.npz: not a regular"
    ):
        read(tmp_path / "special.npz")
    with pytest.raises(ImageFilesError, match="cannot be read: not a regular file"):
        read_label_table(tmp_path / "special.npz")


def test_a_file_of_absurd_size_is_skipped(tmp_path):
    save(tmp_path / "a.png")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(10**11)
    assert read(tmp_path).problems == [
        ("huge.png", "of 100,000,000,000 bytes, but at most 268,435,456 are read")
    ]


def test_links_to_folders_are_named_and_not_followed(tmp_path):
    save(tmp_path / "sub" / "a.png")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    images = read(tmp_path)
    assert images.names == ["sub/a.png"]
    assert images.problems == [
        ("sub/loop", "not a PNG or JPEG by its name; links to folders are not followed")
    ]


def test_folders_nested_too_deeply_are_refused(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    for _ in range(20):
        Path("d" * 250).mkdir()
        os.chdir("d" * 250)
    with pytest.raises(ImageFilesError, match="cannot be searched: File name too long") as raised:
        read(tmp_path)
    assert len(str(raised.value)) < 500


def png_of_size(width, height):
    """Return a PNG of gray zeros, which are compressed to nothing."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    compressor = zlib.compressobj(1)
    rows = [compressor.compress(bytes(1 + width)) for _ in range(height)]
    data = b"".join([*rows, compressor.flush()])
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    save(tmp_path / "a.png")
    for name, size in (("large.png", (13_000, 13_000)), ("long.png", (2**31 - 1, 1))):
        whole = png_of_size(8, 8)
        header = whole[12:16] + struct.pack(">II", *size) + whole[24:29]
        (tmp_path / name).write_bytes(
            whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = read(tmp_path)
    assert images.names == ["a.png"]
    assert images.problems == [
        ("large.png", "of 13,000 x 13,000 pixels, but at most 67,108,864 pixels are allowed"),
        ("long.png", "of 2,147,483,647 x 1 pixels, but at most 67,108,864 pixels are allowed"),
    ]


def test_a_jpeg_may_have_more_pixels_as_it_is_decoded_smaller(tmp_path):
    Image.new("L", (15_000, 14_000), 90).save(tmp_path / "large.jpg", quality=10)
    Image.new("L", (20_000, 14_000), 90).save(tmp_path / "larger.jpg", quality=10)
    images = read(tmp_path)
    assert images.names == ["large.jpg"]
    (problem,) = images.problems
    assert problem == (
        "larger.jpg", "of 20,000 x 14,000 pixels, but at most 268,435,456 pixels are allowed",
    )  # fmt: skip
    with pytest.raises(ValueError, match="of 15,000 x 14,000 pixels, but at most 67,108,864"):
        fit_image(tmp_path / "large.jpg", (7_000, 7_000))


def test_one_large_image_is_decoded_at_a_time(tmp_path, monkeypatch):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(png_of_size(4200, 4000 + i))
    active, most = set(), []
    pad = decoding.ImageOps.pad

    def note(image, size):
        active.add(threading.get_ident())
        most.append(len(active))
        padded = pad(image, size)
        active.discard(threading.get_ident())
        return padded

    monkeypatch.setattr(file_parts, "_BLOCK_FILES", 1)
    monkeypatch.setattr("fewlabel.parallel.cpu_count", lambda: 4)
    monkeypatch.setattr(decoding.ImageOps, "pad", note)
    assert len(read(tmp_path).names) == 4
    assert most == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "name",
    ["a\rb.png", "a\nb.png", "a\r\nb.png", "\x1b[31mred.png", "a\x85b.png", "a\u2028b.png"],
)
def test_a_name_of_several_lines_is_skipped(tmp_path, name):
    save(tmp_path / "0.png")
    save(tmp_path / name)
    images = read(tmp_path)
    assert images.names == ["0.png"]
    ((shown, problem),) = images.problems
    assert problem == "its name has a control character or a line separator"
    assert shown == name.encode("unicode_escape").decode()


def test_a_name_that_is_not_utf8_is_skipped(tmp_path):
    save(tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    save(tmp_path / "b.png")
    assert read(tmp_path).problems == [("\\udcff.png", "its name is not UTF-8")]


def test_images_to_test_with_are_not_trained_on(tmp_path):
    copied = save(tmp_path / "test" / "dog" / "d.png").read_bytes()
    save(tmp_path / "test" / "cat" / "c.png")
    (tmp_path / "a copy.png").write_bytes(copied)
    save(tmp_path / "train me.png")
    images = read(tmp_path, test_labels="test")
    assert images.names == ["train me.png"]
    assert images.arrays["test_labels"].tolist() == [0, 1]
    assert images.problems == [("a copy.png", "the same file as test/dog/d.png")]

    pd.DataFrame({"label": ["dog"], "image": ["train me.png"]}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    by_table = read(tmp_path, test_labels="labels.csv")
    assert by_table.arrays["test_labels"].tolist() == [1]
    assert "train me.png" not in by_table.names
    assert len(by_table.names) == 2  # one of the copies


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("image,label\na.png,cow\n", ["a.png", "'cow'", "cat, dog"]),
        ("image,label\nb.png,cat\n", ["b.png", "is not in"]),
        ("image,label\na.png,cat\na.png,dog\n", ["gives a.png two labels"]),
        ("image,label\n\x1b[0m.png,cat\n", ["names \\x1b[0m.png, which is not in"]),
        ("label,image\ncat\n", ["names no image, which is not in"]),
        ("image,class\na.png,cat\n", ["columns image and label", "has image, class"]),
        ("image,label,label\na.png,cat,dog\n", ["image and label, but has image, label, label"]),
        ("", ["columns image and label", "has none"]),
    ],
)
def test_wrong_test_labels_are_refused(tmp_path, table, words):
    save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
    with pytest.raises(ImageFilesError) as raised:
        read(tmp_path, test_labels="labels.csv")
    assert all(word in str(raised.value) for word in words), raised.value


def test_other_spellings_of_a_name_are_the_same_image(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "sub" / "b.png")
    save(tmp_path / "c.png")
    (tmp_path / "labels.csv").write_text("image,label\n./a.png,cat\nsub/../sub//b.png,dog\n")
    images = read(tmp_path, test_labels="./labels.csv")
    assert images.names == ["c.png"]
    assert images.arrays["test_labels"].tolist() == [0, 1]
    (tmp_path / "labels.csv").write_text("image,label\na.png,cat\n./a.png,dog\n")
    with pytest.raises(ImageFilesError, match=r"gives \./a\.png two labels"):
        read(tmp_path, test_labels="labels.csv")


def test_linked_copies_of_images_to_test_with_are_not_trained_on(tmp_path):
    save(tmp_path / "z.png")
    (tmp_path / "a.png").symlink_to("z.png")
    save(tmp_path / "c.png")
    (tmp_path / "labels.csv").write_text("image,label\nz.png,cat\n")
    images = read(tmp_path, test_labels="labels.csv")
    assert images.names == ["c.png"]
    assert images.problems == [("a.png", "the same file as z.png")]


@pytest.mark.parametrize(
    "test_labels",
    ["", ".", "./", "..", "../labels.csv", "sub/../../x/labels.csv", "/etc", "ABSOLUTE"],
)
def test_test_labels_outside_the_folder_are_refused(tmp_path, test_labels):
    save(tmp_path / "x" / "a.png")
    for folder in (tmp_path, tmp_path / "x"):
        (folder / "labels.csv").write_text("image,label\na.png,cat\n")
    test_labels = test_labels.replace("ABSOLUTE", str(tmp_path / "x" / "labels.csv"))
    with pytest.raises(ImageFilesError) as raised:
        read(tmp_path / "x", test_labels=test_labels)
    shown = test_labels or "''"
    assert str(raised.value) == (
        f"dataset.folder.test_labels is {shown}, but must be null, or a CSV or a folder inside "
        f"{tmp_path / 'x'}"
    )


@pytest.mark.parametrize("make", ["image,label\n", "", ".hidden", "link"])
def test_test_labels_without_any_image_are_refused(tmp_path, make):
    save(tmp_path / "a.png")
    save(tmp_path / ".hidden" / "cat" / "b.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / ".hidden")
    (tmp_path / "labels.csv").write_text(make)
    test_labels = "labels.csv" if "," in make else make or "empty"
    with pytest.raises(ImageFilesError) as raised:
        read(tmp_path, test_labels=test_labels)
    assert str(raised.value) == (
        f"dataset.folder.test_labels is {test_labels}, but must be null where there is no image "
        "to test with"
    )


def test_test_labels_of_no_usable_image_are_refused(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("text")
    (tmp_path / "c.txt").write_text("text")
    (tmp_path / "labels.csv").write_text("image,label\nb.png,cat\nc.txt,dog\n")
    with pytest.raises(ImageFilesError) as raised:
        read(tmp_path, test_labels="labels.csv")
    assert str(raised.value) == (
        "dataset.folder.test_labels is labels.csv, but must be null, or name an image that can be "
        "used, as none of 2 there can (b.png: not a whole image: neither PNG nor JPEG by its "
        "content)"
    )


def test_the_table_itself_is_no_image_to_test_with(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("image,label\na.png,cat\nlabels.csv,dog\n")
    with pytest.raises(ImageFilesError, match=r"names labels\.csv, which is not in"):
        read(tmp_path, test_labels="labels.csv")


@pytest.mark.parametrize("key", ["test_labels", "train_labels"])
def test_a_table_of_labels_beside_an_npz_is_refused(tmp_path, key):
    np.savez(tmp_path / "a.npz", images=np.ones((2, 3, 3), np.uint8))
    with pytest.raises(ImageFilesError, match=rf"{key} is some\.csv, but must be null where"):
        read(tmp_path / "a.npz", **{key: "some.csv"})


def test_class_folders_and_tables_say_the_true_classes(tmp_path):
    for name in ("dog/a.png", "cat/deep/b.png", "cat/c.png", "d.png"):
        save(tmp_path / "all" / name)
    (tmp_path / "all/test.csv").write_text("image,label\nd.png,dog\n")
    of_folders = read(tmp_path / "all", train_labels=".", test_labels="test.csv")
    assert of_folders.names == ["cat/c.png", "cat/deep/b.png", "dog/a.png"]
    assert of_folders.arrays["train_labels"].tolist() == [0, 0, 1]
    assert of_folders.arrays["test_labels"].tolist() == [1]


def test_a_table_may_have_the_classes_of_images_to_test_with_too(tmp_path):
    for name in ("a.png", "b.png", "test/cat/c.png"):
        save(tmp_path / name)
    table = "image,label\nb.png,cat\na.png,dog\ntest/cat/c.png,dog\n"
    (tmp_path / "labels.csv").write_text(table)
    images = read(tmp_path, train_labels="labels.csv", test_labels="test")
    assert images.names == ["a.png", "b.png"]
    assert images.arrays["train_labels"].tolist() == [1, 0]
    assert images.arrays["test_labels"].tolist() == [0]


def test_true_classes_of_some_images_only_are_refused(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / name)
    (tmp_path / "labels.csv").write_text("image,label\nb.png,cat\n")
    words = r"has no class of 2 of 3 images to train on in .*, such as a\.png; name all, or none"
    with pytest.raises(ImageFilesError, match=words):
        read(tmp_path, train_labels="labels.csv")


def test_the_mark_of_no_class_is_for_images_to_train_on(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / name)
    (tmp_path / "labels.csv").write_text("image,label\nb.png,!\nc.png,dog\na.png,cat\n")
    assert read(tmp_path, train_labels="labels.csv").arrays["train_labels"].tolist() == [0, -1, 1]
    with pytest.raises(ImageFilesError, match=r"calls b\.png '!', but .* has cat, dog"):
        read(tmp_path, test_labels="labels.csv")


def test_true_classes_outside_the_folder_are_refused(tmp_path):
    save(tmp_path / "x" / "a.png")
    (tmp_path / "labels.csv").write_text("image,label\na.png,cat\n")
    with pytest.raises(ImageFilesError, match=r"train_labels is \.\./labels.csv, but must be null"):
        read(tmp_path / "x", train_labels="../labels.csv")


def test_no_image_is_an_error(tmp_path):
    with pytest.raises(ImageFilesError, match="must be a folder, a"):
        read(tmp_path / "nowhere")
    with pytest.raises(ImageFilesError, match="no PNG or JPEG file to train on"):
        read(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ImageFilesError, match=r"1 files are skipped; not a whole image"):
        read(tmp_path)
    save(tmp_path / "b.png")
    with pytest.raises(ImageFilesError, match="test_labels is nothing"):
        read(tmp_path, test_labels="nothing")
    for name in ("x" * 300, "\0"):  # which no file can have
        with pytest.raises(ImageFilesError, match="but must be a CSV or a folder in") as raised:
            read(tmp_path, test_labels=name)
        assert str(raised.value).isprintable()
    with pytest.raises(ImageFilesError, match="x…, but must be a folder, a"):
        read("x" * 300)


def test_arrays_of_an_npz(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (5, 6, 4, 3)).astype(np.uint8)
    tests = {"test_images": ~images[:2], "test_labels": [1, 0]}
    np.savez(tmp_path / "a.npz", images=images, train_labels=[0, 1, 1, -1, 1], **tests)
    read_back = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(read_back.arrays["train_images"], images)
    assert read_back.arrays["test_labels"].tolist() == [1, 0]
    assert read_back.arrays["train_labels"].tolist() == [0, 1, 1, -1, 1]
    assert read_back.names == list("01234")
    assert len(set(read_back.sha256)) == 5


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": np.array([{"a": 1}], object)}, "must be uint8 .* not object of shape"),
        ({"pictures": np.zeros((2, 3, 3), np.uint8)}, "named images, but has pictures"),
        ({"images": np.zeros((2, 3, 3))}, "must be uint8"),
        ({"images": np.zeros((2, 9), np.uint8)}, "must be uint8"),
        ({"images": np.zeros((2, 3, 3, 2), np.uint8)}, "must be uint8"),
        ({"images": np.zeros((0, 3, 3), np.uint8)}, "must have images"),
        (
            {"images": np.zeros((2, 3, 3), np.uint8), "test_images": np.zeros((1, 3, 3), np.uint8)},
            "one of test_labels for each",
        ),
        (
            {
                "images": np.zeros((2, 3, 3), np.uint8),
                "test_images": np.zeros((1, 3, 3), np.uint8),
                "test_labels": [2],
            },
            "0 to 1",
        ),
        (
            {
                "images": np.zeros((2, 3, 3), np.uint8),
                "test_images": np.zeros((1, 3, 3), np.uint8),
                "test_labels": [-1],
            },
            "0 to 1, positions in dataset.folder.class_names$",
        ),
        ({"images": np.uint8(3)}, "must be uint8"),
        ({"images": np.zeros((2, 3, 3), np.uint8), "train_labels": [0]}, "one of train_labels for"),
        (
            {"images": np.zeros((2, 3, 3), np.uint8), "train_labels": [0, -2]},
            "train_labels of .* must be -1 to 1, positions in .*, -1 of no class",
        ),
        ({"images": np.zeros((9**9, 0, 3), np.uint8)}, "must be uint8"),
        (
            {
                "images": np.zeros((2, 3, 3), np.uint8),
                "test_images": np.zeros((1, 3, 3), np.uint8),
                "test_labels": np.zeros(1, [("a", "i8")]),
            },
            "0 to 1",
        ),
    ],
)
def test_a_wrong_npz_is_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ImageFilesError, match=words):
        read(tmp_path / "a.npz")


def test_copies_in_an_npz_are_skipped(tmp_path):
    images = np.zeros((4, 3, 3), np.uint8)
    images[1], images[3] = 1, 1
    np.savez(tmp_path / "a.npz", images=images, test_images=images[1:2], test_labels=[0])
    read_back = read(tmp_path / "a.npz")
    assert read_back.names == ["0"]
    assert [name for name, _ in read_back.problems] == ["1", "2", "3"]


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    whole = io.BytesIO()
    np.savez(whole, images=np.zeros((2, 3, 3), np.uint8))
    array = io.BytesIO()
    np.save(array, np.zeros((2, 3, 3), np.uint8))
    for content in (b"text", whole.getvalue()[:-30], array.getvalue()):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(ImageFilesError, match=r"cannot be read as \.npz"):
            read(tmp_path / "a.npz")


def npz(path, *, header=None, file_size=None, **arrays):
    """Write an .npz; the header of `images` and its size in the zip may be others."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            content = content.getvalue()
            if name == "images" and header:
                start = io.BytesIO()
                np.lib.format.write_array_header_1_0(start, header)
                content = start.getvalue() + content[128:]
            archive.writestr(f"{name}.npy", content)
        if file_size:
            archive.getinfo("images.npy").file_size = file_size
    return path


def header(*shape, descr="|u1"):
    return {"descr": descr, "fortran_order": False, "shape": shape}


IMAGES = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


def test_other_arrays_of_an_npz_are_not_read(tmp_path):
    npz(tmp_path / "a.npz", images=IMAGES, other=np.zeros(2**27, np.uint8))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("broken.npy", b"text")
    np.testing.assert_array_equal(read(tmp_path / "a.npz").arrays["train_images"], IMAGES)


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ({"header": header(2, 3, 2)}, r"has more bytes than its shape \(2, 3, 2\) needs"),
        ({"header": header(2, 3, 4)}, "it ends after 1 of 2 rows"),
        ({"header": header(2, 3, 10**15)}, "needs 6,000,000,000,000,000 bytes of disk, but only "),
        ({"header": header(2, 3, -3)}, "must be uint8 of shape"),
        ({"header": header(-2, 3, 3)}, "must have images"),
        ({"header": header(2, 3, 3, descr="<f8")}, "must be uint8 .* not float64 of shape"),
        ({"header": header(10**12, 3, 3), "file_size": 9 * 10**12 + 128}, "bytes of disk"),
        ({"header": header(3, 3, 3), "file_size": 27 + 128}, r"cannot be read as \.npz"),
    ],
)
def test_an_npz_that_lies_about_its_size_is_refused(tmp_path, lie, words):
    npz(tmp_path / "a.npz", images=IMAGES, **lie)
    with pytest.raises(ImageFilesError, match=words) as raised:
        read(tmp_path / "a.npz")
    assert str(raised.value).isprintable()


def test_an_npz_that_does_not_fit_on_the_disk_is_refused(tmp_path, monkeypatch):
    bomb = npz(tmp_path / "a.npz", images=np.zeros((1000, 100, 100), np.uint8))
    usage = shutil.disk_usage(".")._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ImageFilesError, match="10,000,000 bytes of disk, but only 1,000,000"):
        read(bomb)


def test_an_npz_in_fortran_order_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((3, 4, 5), np.uint8).T)
    with pytest.raises(ImageFilesError, match=r"of shape \(5, 4, 3\) in Fortran order"):
        read(tmp_path / "a.npz")


def test_a_damaged_npz_is_read_or_refused(tmp_path):
    whole = npz(tmp_path / "whole.npz", images=IMAGES).read_bytes()
    rng = np.random.default_rng(0)
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= rng.integers(1, 256)
        (tmp_path / "a.npz").write_bytes(damaged)
        try:
            read_back = read(tmp_path / "a.npz")
        except ImageFilesError as error:
            assert str(error).isprintable()  # noqa: PT017 (either is right)
        else:
            np.testing.assert_array_equal(read_back.arrays["train_images"], IMAGES)


def write_photos(folder):
    for i in range(40):
        save(folder / "photos" / f"{i}.png", (200, 150 + i))
    return "photos"


def write_npz(folder):
    (folder / "npz").mkdir()
    noise = np.random.default_rng(0).integers(256, size=(40, 256, 256, 3), dtype=np.uint8)
    np.savez_compressed(folder / "npz" / "a.npz", images=noise)
    return "npz/a.npz"


@pytest.mark.parametrize("write", [write_photos, write_npz])
def test_memory_holds_a_block_of_the_images(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path)
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 1_000_000)
    tracemalloc.start()
    images = settings_of("datasets", "folder")(path=path, image_size=256).read()
    save_array("images.npy", images.arrays["train_images"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    written = np.load("images.npy")
    assert written.shape == (40, 256, 256, 3)
    np.testing.assert_array_equal(written, images.arrays["train_images"][:])
    assert peak < written.nbytes / 4
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["images.npy"]
