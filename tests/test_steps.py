"""The pictures of docs/how-it-works.md, drawn from a run on digits."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from docs import steps

PAGE = (Path(__file__).parents[1] / "docs/how-it-works.md").read_text(encoding="utf-8")


def test_a_row_has_a_representative_and_images_of_its_cluster():
    assignment = np.arange(60) % 6
    rows = steps.members(np.array([6, 1, 8, 3, 10, 5]), assignment)
    assert [row[0] for row in rows] == [6, 1, 3, 5]
    for row in rows:
        assert set(assignment[row]) == {assignment[row[0]]}


def test_every_picture_of_the_page_is_drawn(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    for path in steps.FOLDER.glob("*.png"):
        path.unlink()
    monkeypatch.setattr(steps, "_N_MAPPED", 200)
    steps.main()
    shown = set(re.findall(r"\(steps/(\w+\.png)\)", PAGE))
    assert {path.name for path in steps.FOLDER.iterdir()} == shown
    for name in shown:
        with Image.open(steps.FOLDER / name) as image:
            assert min(image.size) > 100
