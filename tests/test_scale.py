"""What `make bench-scale` measures on: copies of images, and the picture of what it took."""

import numpy as np
import pytest

from benchmarks import scale
from docs.figures import draw_scale
from fewlabel import parallel
from fewlabel.storage import load_json

N_COPIES = 60


@pytest.fixture
def images():
    """Return images of three classes: a square at a place of each class's own."""
    labels = np.arange(30) % 3
    images = np.zeros((30, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[6 : 14 + label, 6 + 4 * label : 14 + 4 * label] = 200
    return images, labels


def test_copies_are_new_images_of_their_class(images):
    copies, labels = scale.copied(*images, N_COPIES)
    assert len({copy.tobytes() for copy in copies} - {image.tobytes() for image in images[0]}) == 60
    assert set(labels) == {0, 1, 2}
    columns = np.arange(28)
    centers = (copies.sum(axis=1) * columns).sum(axis=1) / copies.sum(axis=(1, 2))
    np.testing.assert_allclose(centers, 9.5 + 4 * labels, atol=scale.MAX_SHIFT + 1)


def test_fewer_copies_are_the_first_of_more(images, monkeypatch):
    monkeypatch.setattr(scale, "_BLOCK_ROWS", 20)
    fewer, more = (scale.copied(*images, n)[0] for n in (N_COPIES - 20, N_COPIES))
    np.testing.assert_array_equal(fewer, more[: len(fewer)])


def test_copies_do_not_depend_on_the_number_of_cores(images, monkeypatch):
    monkeypatch.setattr(scale, "_BLOCK_ROWS", 7)
    found = []
    for n_cores in (1, 4):
        monkeypatch.setattr(parallel, "cpu_count", lambda n=n_cores: n)
        found.append(scale.copied(*images, N_COPIES)[0])
    np.testing.assert_array_equal(*found)


def test_locks_are_the_same_whatever_the_order_of_their_stages(tmp_path):
    stages = [f"  {name}:\n    outs:\n    - path: {name}\n      md5: {name}\n" for name in "ab"]

    def md5(*texts):
        (tmp_path / "dvc.lock").write_text("".join(["stages:\n", *texts]))
        return scale.lock_md5(tmp_path / "dvc.lock")

    assert md5(*stages) == md5(*reversed(stages))
    assert md5(*stages) != md5(stages[0], stages[1].replace("md5: b", "md5: c"))


def test_the_picture_shows_what_was_measured():
    runs = load_json(scale.REPORT)["runs"]
    cost, memory = draw_scale(runs).axes
    on_threads = [run for run in runs if run["engine"] == "threads"]
    for line, other in zip(cost.lines, memory.lines, strict=True):
        for run, ms, mb in zip(on_threads, line.get_ydata(), other.get_ydata(), strict=True):
            [record] = [r for r in run["stages"] if r["stage"] == line.get_label()]
            assert ms == pytest.approx(1000 * record["seconds"] / run["images"])
            assert mb == record["peak_memory_mb"]
