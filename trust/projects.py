"""A project to attack: color photographs, tracked, labeled by a person, and a pipeline that ran."""

import csv
import hashlib
import random
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from ruamel.yaml import YAML
from sklearn.datasets import load_sample_image

from fewlabel.annotation.annotations import Annotation, now
from fewlabel.annotation.queries import Queries
from fewlabel.engine import UNFINISHED
from tests.conftest import Project, copy_checkout, private_environment, with_commands

PHOTOS = "data/images/photos"
LABELS = "data/annotations/labels.csv"
RESULTS = ("data", "models", "metrics")
SETTINGS = {
    "dataset.name": "folder",
    "dataset.folder.path": PHOTOS,
    "dataset.folder.image_size": 16,
    "dataset.folder.class_names": ["china", "flower"],
    "dataset.folder.test_labels": "test.csv",
    "label.source": "human",
    "label_budget": 12,
}
NO_QUERIES = Queries(
    names=[],
    sha256=[],
    class_names=[],
    assignment=np.zeros(0, int),
    representatives=np.zeros(0, int),
)
"""Annotations of any image can be saved without queries about it."""

_N_PHOTOS = 100
_TEST_EVERY = 5


def write_photos(folder: Path, seed: int, n: int = _N_PHOTOS) -> list[str]:
    """Write crops of two photographs as PNG and JPEG files of mixed sizes; return their names."""
    rng = random.Random(seed)
    scenes = {name: load_sample_image(f"{name}.jpg") for name in ("china", "flower")}
    names = []
    for i in range(n):
        scene = ("china", "flower")[i % 2]
        side, height = rng.randrange(24, 90), rng.randrange(24, 90)
        top, left = (rng.randrange(size - 90) for size in scenes[scene].shape[:2])
        crop = scenes[scene][top : top + height, left : left + side]
        names.append(f"part {i % 3}/{scene}-é{seed}-{i}.{'jpg' if i % 4 else 'png'}")
        path = folder / names[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(crop)).save(path)
    return names


def photo_project(folder: Path, home: Path, commands: Path) -> Project:
    """Make and commit a repository with photos, their labels and what the pipeline makes of them.

    Parameters
    ----------
    folder
        Where it goes.
    home
        Of the person whose it is.
    commands
        Folder of `warm_commands`, to run the pipeline with.
    """
    project = Project(folder, private_environment(home))
    copy_checkout(folder)
    project.set(SETTINGS)
    names = write_photos(folder / PHOTOS, seed=0)
    to_train_on = write_test_labels(project, names)
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    warm = replace(project, environment=with_commands(project.environment, commands))
    warm.dvc("add", "--quiet", PHOTOS)
    label(project, to_train_on)
    project.commit("Add photos and labels")
    warm.repro()
    project.commit("Run the pipeline")
    return project


def write_test_labels(project: Project, names: list[str]) -> set[str]:
    """Write which photos to test with, and their classes; return the other photos."""
    tests = names[::_TEST_EVERY]
    rows = [("image", "label"), *((name, scene_of(name)) for name in tests)]
    with (project.folder / PHOTOS / "test.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return set(names).difference(tests)


def scene_of(name: str) -> str:
    """Return the class of a photo."""
    return name.rpartition("/")[2].split("-")[0]


def label(project: Project, names: set[str]) -> None:
    """Annotate photos as a person does."""
    photos = project.folder / PHOTOS
    annotations = [
        new_annotation(
            name, hashlib.sha256((photos / name).read_bytes()).hexdigest(), scene_of(name)
        )
        for name in sorted(names)
    ]
    save_annotations(annotations, project.folder / LABELS)


def new_annotation(image: str, sha256: str, label: str) -> Annotation:
    """Return an annotation that somebody makes now."""
    return Annotation(image, sha256, label, now(), "somebody")


def save_annotations(annotations: list[Annotation], path: Path) -> None:
    """Save annotations of images that have none."""
    replace(NO_QUERIES, path=path).save((made, []) for made in annotations)


def read_annotations(path: Path) -> dict[str, Annotation]:
    """Return image -> its annotation."""
    annotations = replace(NO_QUERIES, path=path).read_any()
    return {image: found[0] for image, found in annotations.items() if len(found) == 1}


def module(command: str) -> list[str]:
    """Return the words of a stage's command without `python -m`."""
    return shlex.split(command)[2:]


def lock(project: Project) -> dict[str, dict]:
    """Return stage -> its entry in dvc.lock."""
    return YAML(typ="safe").load(project.folder / "dvc.lock")["stages"]


def results(project: Project) -> tuple[dict, dict]:
    """Return what dvc.lock says, whatever the order of its stages, and the metrics' hashes."""
    return lock(project), project.hashes("metrics")


def files(project: Project, stage: dict, of: str) -> list[str]:
    """Return the files among the `deps` or `outs` of a stage that the pipeline has made."""
    paths = [entry["path"] for entry in stage.get(of, []) if entry["path"].startswith(RESULTS)]
    kept = (PHOTOS, "data/annotations")
    return sorted(name for name in project.hashes(*paths) if not name.startswith(kept))


def belongings(project: Project) -> dict[str, str]:
    """Return path -> SHA-256 of what only people have: photos and labels."""
    hashes = project.hashes(PHOTOS, LABELS)
    return {name: digest for name, digest in hashes.items() if not name.endswith(".gitignore")}


def named_results(project: Project) -> dict[str, str]:
    """Return path -> SHA-256 of what stages read by its name.

    What is in data/unfinished/ is read only if the SHA-256 beside it says that it is whole.
    """
    hashes = project.hashes(*RESULTS)
    return {name: digest for name, digest in hashes.items() if UNFINISHED not in Path(name).parents}


def temporary_files(project: Project) -> list[str]:
    """Return the files, or files of folders, that have not got their name yet."""
    return [name for name in project.hashes(*RESULTS) if re.search(r"(^|/)\.\d+\.", name)]


def half_written(project: Project, before: dict[str, str]) -> list[str]:
    """Say which results have their name, but not the content that they had `before`."""
    temporary = temporary_files(project)
    return [
        f"{name} is half-written"
        for name, digest in named_results(project).items()
        if name not in temporary and before.get(name) != digest
    ]


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that may be there and read-only, as DVC's objects are; keep its mode."""
    mode = path.stat().st_mode if path.exists() else 0o644
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def clone(project: Project, folder: Path) -> Project:
    """Clone a project as a colleague does, with another cache and another record of hashes."""
    project.run("git", "clone", "--quiet", ".", str(folder))
    home = folder.with_name(f"{folder.name} home")
    return replace(project, folder=folder, environment=private_environment(home))


@contextmanager
def private_copy(project: Project) -> Iterator[Project]:
    """Make a copy that may be changed."""
    with tempfile.TemporaryDirectory() as folder:
        yield project.copy(Path(folder) / "project")


def make_repro(project: Project) -> subprocess.CompletedProcess:
    """Do what `make repro` does, with the packages that are here."""
    return project.attempt("make", "--old-file", ".venv/installed-cpu", "repro")


def cause_of(error: str) -> str:
    """Return the line of an output that says what went wrong, or the last lines without one."""
    lines = error.strip().splitlines()
    named = [line for line in lines if line.lower().startswith("error: ")]
    return named[0] if named else " | ".join(lines[-4:])
