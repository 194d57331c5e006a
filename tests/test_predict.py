"""What `fewlabel predict` reads and prints, with a model that says what it is told."""

import csv
import io
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from fewlabel import cli
from fewlabel import predict as command
from fewlabel.errors import FewlabelError

HOSTILE = ["a\rb", "a\nb", "a\r\nb", "\x1b[2Jx", "a\x85b", "a\u2028b", 'a",b', " # a ", "NA", "é"]


class Model:
    """Stands in for a trained classifier; its classes' names are hostile, too."""

    image_shape = (8, 8)
    class_names = ("cat\x1b[31m", "dog")
    surest = 1.0

    def __init__(self, path):
        pass

    def predict_proba(self, images):
        """Return the share of white as the first probability."""
        share = images.reshape(len(images), -1).mean(axis=1) / 255
        rows = np.stack([share, 1 - share], axis=1)
        return np.where(rows > 0.9, self.surest, rows)


@pytest.fixture(autouse=True)
def model(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "PortableClassifier", Model)
    monkeypatch.chdir(tmp_path)
    return Model


def save(path, gray=0):
    Image.new("L", (8, 8), gray).save(path, "PNG")


def printed(capsysbinary):
    return capsysbinary.readouterr().out


def test_names_in_a_csv_are_those_of_the_files(capsysbinary):
    names = [os.fsdecode(b"a\xff.png"), *(f"{name}.png" for name in HOSTILE)]
    for i, name in enumerate(names):
        save(name, 255 * (i % 2))
    command.predict("model", names, "csv")
    text = os.fsdecode(printed(capsysbinary))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["image"] for row in rows] == names
    assert [row["label"] for row in rows] == [
        Model.class_names[1 - i % 2] for i in range(len(rows))
    ]
    assert rows[0]["probability"] == "1.0000"


def test_a_csv_of_plain_names_has_no_quotes(capsysbinary):
    save("a.png")
    command.predict("model", ["a.png"], "csv")
    assert printed(capsysbinary) == b"image,label,probability\na.png,dog,1.0000\n"


def test_a_table_shows_no_control_character(capsysbinary):
    for name in HOSTILE:
        save(f"{name}.png", 255)
    command.predict("model", ["."], "table")
    lines = printed(capsysbinary).decode().split("\n")
    assert len(lines) == 1 + len(HOSTILE) + 1
    assert all(line.isprintable() for line in lines)
    assert sum("cat\\x1b[31m" in line for line in lines) == len(HOSTILE)
    assert len({len(line) for line in lines[1:-1]}) == 1
    assert any(line.startswith("\\x1b[2Jx.png ") for line in lines)


@pytest.mark.usefixtures("sigterm_as_before")
def test_a_terminal_that_lacks_a_character_gets_its_code(monkeypatch):
    save("é.png")
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    monkeypatch.setattr(sys, "argv", ["fewlabel", "predict", "model", "é.png"])
    cli.main()
    narrow.flush()
    assert "\\xe9.png  dog" in narrow.buffer.getvalue().decode("ascii")


def test_names_in_json_are_those_of_the_files(capsysbinary):
    name = os.fsdecode(b"\x1b\r\xff.png")
    save(name)
    command.predict("model", [name], "json")
    (row,) = json.loads(printed(capsysbinary))
    assert row["image"] == name


def test_a_list_has_a_name_a_line(capsysbinary, monkeypatch):
    names = [b"a\x85b.png", "a\u2028b.png".encode(), b"\xff.png", b"a\rb.png", b" c.png"]
    for name in names:
        save(os.fsdecode(name))
    listed = io.TextIOWrapper(io.BytesIO(b"\n".join(names) + b"\r\n"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", listed)
    command.predict("model", ["-"], "json")
    rows = json.loads(printed(capsysbinary))
    assert [os.fsencode(row["image"]) for row in rows] == names


def test_what_is_no_regular_file_is_named_among_the_unread(capsysbinary):
    save("a.png")
    os.mkfifo("pipe\x1b[31m.png")
    os.symlink("/dev/zero", "zero.png")  # noqa: PTH211 (shorter)
    with pytest.raises(FewlabelError) as raised:
        command.predict("model", [".", "zero.png", "gone.png", "x" * 300], "csv")
    assert str(raised.value) == (
        "5 of 6 are no whole PNG or JPEG images: pipe\\x1b[31m.png (not a regular file); "
        "zero.png (not a regular file); zero.png (not a regular file); "
        "gone.png (cannot be read: No such file or directory); "
        f"{'x' * 300} (cannot be read: File name too long)"
    )
    assert printed(capsysbinary).splitlines()[1:] == [b"a.png,dog,1.0000"]


def test_the_most_probable_classes_are_a_row_each(capsysbinary):
    save("a.png", 64)
    command.predict("model", ["a.png"], "csv", top=5)
    assert printed(capsysbinary).splitlines()[1:] == [
        b"a.png,dog,0.7490",
        b"a.png,cat\x1b[31m,0.2510",
    ]
    command.predict("model", ["a.png"], "csv", top=5, threshold=0.75)
    assert printed(capsysbinary).splitlines()[1:] == [b"a.png,?,0.7490"]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_batches_change_nothing(capsysbinary, batch_size):
    for i in range(5):
        save(f"{i}.png", 50 * i)
    command.predict("model", ["."], "csv")
    whole = printed(capsysbinary)
    command.predict("model", ["."], "csv", batch_size=batch_size)
    assert printed(capsysbinary) == whole


@pytest.mark.parametrize("surest", [np.nan, np.inf])
def test_probabilities_that_are_no_numbers_are_refused(capsysbinary, monkeypatch, surest):
    monkeypatch.setattr(Model, "surest", surest)
    save("a.png", 128)
    save("b.png")
    with pytest.raises(FewlabelError) as raised:
        command.predict("model.zip", ["."], "csv")
    assert str(raised.value) == (
        "model.zip gives b.png probabilities that are not finite numbers; it must be trained again"
    )
    assert not printed(capsysbinary)


def test_images_are_printed_also_where_none_of_a_batch_can_be_read(capsysbinary, tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").write_text("text")
    save("c.png")
    with pytest.raises(FewlabelError, match=r"^2 of 3 are no whole PNG or JPEG images: a\.png \("):
        command.predict("model", ["a.png", "b.png", "c.png"], "csv", batch_size=2)
    assert printed(capsysbinary) == b"image,label,probability\nc.png,dog,1.0000\n"


def test_a_folder_without_an_image_is_named(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "notes.txt").touch()
    with pytest.raises(FewlabelError, match=r"^photos has no PNG or JPEG file$"):
        command.predict("model", ["photos"], "csv")
