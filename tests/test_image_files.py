"""A user's own images, whole and broken ones."""

import hashlib
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.image_files import ImageFilesError, decode_image, fit_image, read_image_files

CLASSES = ["cat", "dog"]


def save(path, size=(9, 7), color=(200, 100, 0), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(sum(map(ord, path.name))).integers(0, 50, (*size[::-1], 3))
    image = Image.fromarray((np.array(color) + noise).clip(0, 255).astype(np.uint8))
    image.convert(mode).save(path)
    return path


def read(folder, *, size=8, test_labels=None):
    return read_image_files(str(folder), size, CLASSES, test_labels)


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
    palette = Image.fromarray(np.eye(8, dtype=np.uint8), mode="P")
    palette.putpalette([0, 0, 255, 255, 0, 0])
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(fit_image(tmp_path / "palette.png", (8, 8, 3))[0, 0], [255, 0, 0])
    see_through = np.full((8, 8, 4), 255, np.uint8)
    see_through[:4, :, 3] = 0
    Image.fromarray(see_through).save(tmp_path / "alpha.png")
    assert fit_image(tmp_path / "alpha.png", (8, 8))[[0, 7], 0].tolist() == [0, 255]


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
    assert max(decode_image(tmp_path / "large.jpg", 32).size) < 1000
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
        ("image,class\na.png,cat\n", ["columns image and label", "has image, class"]),
        ("", ["columns image and label", "has none"]),
    ],
)
def test_wrong_test_labels_are_refused(tmp_path, table, words):
    save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
    with pytest.raises(ImageFilesError) as raised:
        read(tmp_path, test_labels="labels.csv")
    assert all(word in str(raised.value) for word in words), raised.value


def test_no_image_is_an_error(tmp_path):
    with pytest.raises(ImageFilesError, match="must be a folder or an"):
        read(tmp_path / "nowhere")
    with pytest.raises(ImageFilesError, match="no PNG or JPEG file to train on"):
        read(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ImageFilesError, match=r"1 files are left out; not a whole image"):
        read(tmp_path)
    save(tmp_path / "b.png")
    with pytest.raises(ImageFilesError, match="test_labels is nothing"):
        read(tmp_path, test_labels="nothing")


def test_arrays_of_an_npz(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (5, 6, 4, 3)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=images, test_images=~images[:2], test_labels=[1, 0])
    read_back = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(read_back.arrays["train_images"], images)
    assert read_back.arrays["test_labels"].tolist() == [1, 0]
    assert read_back.names == list("01234")
    assert len(set(read_back.sha256)) == 5


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": np.array([{"a": 1}], object)}, "allow_pickle=False"),
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
        ({"images": np.uint8(3)}, "must be uint8"),
    ],
)
def test_a_wrong_npz_is_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ImageFilesError, match=words):
        read(tmp_path / "a.npz")


def test_copies_in_an_npz_are_left_out(tmp_path):
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
