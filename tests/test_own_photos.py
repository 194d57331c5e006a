"""A user's own color photographs and labels survive whatever DVC and git are told to do."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from fewlabel.annotation.annotations import NO_CLASS
from fewlabel.selection.random_subset import random_subset
from tests.conftest import Project

NO_ANNOTATIONS = "image,sha256,label,labeled_at,labeled_by\n"
CLASSES = ["china", "flower"]
N_TRAIN, N_TEST, N_LABELS = 90, 20, 8
SETTINGS = {
    "dataset.name": "folder",
    "dataset.folder.image_size": 16,
    "dataset.folder.class_names": CLASSES,
    "label.source": "human",
    "label_budget": N_LABELS,
}
# No training: it takes most of the time, and knows no photograph but by what was made of it.
EXPERIMENT = ("exp", "run", "propagate")
# As the page does: it asks for the next image, and saves each annotation.
LABEL = """
import json, sys
import numpy as np
from fewlabel.web.session import LabelingSession
from fewlabel.annotation.queries import read_queries
from fewlabel.settings import read_params
label_of = json.load(open(sys.argv[1]))
session = LabelingSession(read_queries(read_params()), np.load("data/clusters/distance.npy"), "me")
while query := session.state("tab")["query"]:
    session.annotate(query["position"], label_of[query["name"]], [])
"""


def photos(seed, n):
    """Cut pieces of two photographs; return pairs of class and pixels."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        image = load_sample_images().images[i % 2]
        side = int(rng.integers(24, 60))
        top, left = (int(rng.integers(size - side)) for size in image.shape[:2])
        yield CLASSES[i % 2], image[top : top + side, left : left + side]


def write_folder(project, seed=0):
    """Write the photographs as files, some of which are to test with; return name -> class."""
    folder = project.folder / "data/images/photos"
    label_of = {}
    for i, (label, pixels) in enumerate(photos(seed, N_TRAIN + N_TEST)):
        part = "test" if i < N_TEST else f"part {i % 3}"
        name = f"{part}/é{seed}-{i}.{'jpg' if i % 4 == 0 else 'png'}"
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
        label_of[name] = label
    tests = [name for name in label_of if name.startswith("test/")]
    table = pd.DataFrame({"image": tests, "label": [label_of[name] for name in tests]})
    table.to_csv(folder / "test.csv", index=False)
    return "data/images/photos", "test.csv", label_of


def write_npz(project, seed=0):
    """Write the photographs as arrays."""
    drawn = list(photos(seed, N_TRAIN + N_TEST))
    images = np.stack([np.asarray(Image.fromarray(x).resize((16, 16))) for _, x in drawn])
    labels = np.array([CLASSES.index(label) for label, _ in drawn])
    np.savez(
        project.folder / "data/images/photos.npz",
        images=images[N_TEST:],
        test_images=images[:N_TEST],
        test_labels=labels[:N_TEST],
        train_labels=labels[N_TEST:],
    )
    label_of = {str(i): CLASSES[label] for i, label in enumerate(labels[N_TEST:])}
    return "data/images/photos.npz", None, label_of


@pytest.fixture(scope="session", params=[write_folder, write_npz])
def labeled(request, unreproduced, warm_environment, once):
    """Return a project whose photographs were labeled and trained on, and committed."""

    def make(folder):
        project = unreproduced.copy(folder / "project")
        label_and_train(replace(project, environment=warm_environment), request.param)

    return Project(once(request.param.__name__, make) / "project", warm_environment)


def label_and_train(project, write_photos):
    path, test_labels, label_of = write_photos(project)
    project.set(SETTINGS | {"dataset.folder.path": path, "dataset.folder.test_labels": test_labels})
    project.dvc("add", "--quiet", path)
    project.repro("dvc.yaml:cluster")
    (project.folder / ".git/label_of.json").write_text(json.dumps(label_of))
    label(project)
    project.repro()
    storage = project.folder.with_name("storage")
    project.dvc("remote", "add", "--default", "team", str(storage))
    project.commit("Label and train on my photographs")
    project.dvc("push", "--quiet")


def label(project):
    project.run("python", "-c", LABEL, ".git/label_of.json")


@pytest.fixture
def mine(labeled, tmp_path):
    project = labeled.copy(tmp_path / "project")
    shutil.copytree(labeled.folder.with_name("storage"), tmp_path / "storage")
    local = f"['remote \"team\"']\n    url = {tmp_path / 'storage'}\n"
    (project.folder / ".dvc/config.local").write_text(local, encoding="utf-8")
    return project


def owned(project):
    """Path -> hash of every photograph and of the labels."""
    hashes = project.hashes("data/images", "data/annotations/labels.csv")
    hashes = {n: h for n, h in hashes.items() if not n.endswith((".dvc", ".gitignore"))}
    is_folder = (project.folder / "data/images/photos").is_dir()
    assert len(hashes) == (N_TRAIN + N_TEST + 2 if is_folder else 2)
    assert n_labels(project) >= N_LABELS
    return hashes


def n_labels(project):
    table = (project.folder / "data/annotations/labels.csv").read_text(encoding="utf-8")
    return len(table.splitlines()) - 1


def test_dvc_lists_every_file_that_people_brought(mine):
    listed = set(mine.dvc("list", "--recursive", "--dvc-only", ".").splitlines())
    brought = {name for name in owned(mine) if name != "data/annotations/labels.csv"}
    assert brought <= listed
    assert (
        mine.run("git", "ls-files", "data/annotations").stdout.split()[-1]
        == "data/annotations/labels.csv"
    )


def test_a_clone_has_all_after_one_pull_and_nothing_to_run(mine, tmp_path):
    mine.run("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = replace(mine, folder=tmp_path / "clone")
    clone.dvc("remote", "modify", "--local", "team", "url", str(tmp_path / "storage"))
    clone.dvc("pull")
    assert owned(clone) == owned(mine)
    assert clone.repro("dvc.yaml") == []
    assert clone.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize("labeled", [write_folder], indirect=True)  # the harder of the two
def test_photographs_and_labels_survive_every_command(mine):
    before = owned(mine)
    for command in (
        "checkout",
        "checkout --force",
        "exp run --name half -S propagate.percentile=50 propagate",
        "exp run --queue -S propagate.percentile=40,60 propagate",
        "exp run --run-all",
        "exp run --temp --name third -S propagate.percentile=30 propagate",
        "exp apply third",
        "gc --workspace --force",
        "checkout --force",
        "gc --workspace --cloud --force",
        "checkout --force",
        "pull",
        "gc --all-commits --force",
        "checkout --force",
    ):
        mine.dvc(*command.split())
        assert owned(mine) == before, command


@pytest.mark.parametrize("labeled", [write_folder], indirect=True)  # the harder of the two
def test_labels_that_nobody_committed_survive_an_experiment(mine):
    mine.dvc(*EXPERIMENT, "--name", "half", "--set-param", "propagate.percentile=50")
    mine.run("git", "checkout", "--", "params.yaml")
    mine.set({"label_budget": N_LABELS + 4})
    mine.repro("dvc.yaml:cluster")
    label(mine)
    before = owned(mine)
    assert n_labels(mine) == N_LABELS + 4
    mine.dvc(*EXPERIMENT, "--name", "more", "--set-param", "propagate.percentile=60")
    assert owned(mine) == before
    # DVC puts everything back as it was in the experiment, without a word.
    mine.dvc("exp", "apply", "half")
    assert n_labels(mine) == N_LABELS
    mine.set({"label_budget": N_LABELS + 4})
    message = mine.run("dvc", "repro", fails=True).stderr
    assert "(4 were labeled here before: `fewlabel restore-labels`)" in message
    done = mine.run("python", "-m", "fewlabel.cli", "restore-labels")
    assert done.stdout == "4 labels are back\n"
    assert owned(mine) == before
    assert (
        mine.run("python", "-m", "fewlabel.cli", "restore-labels").stdout == "0 labels are back\n"
    )


def test_photographs_of_other_branches_come_back(mine):
    if not (mine.folder / "data/images/photos").is_dir():
        other, path = write_npz, "data/images/photos.npz"
    else:
        other, path = write_folder, "data/images/photos"
    before = owned(mine)
    mine.run("git", "checkout", "--quiet", "-b", "other")
    for old in before:
        if old.startswith("data/images/"):
            (mine.folder / old).unlink()
    *_, label_of = other(mine, seed=1)
    (mine.folder / "data/annotations/labels.csv").write_text(NO_ANNOTATIONS)
    mine.dvc("add", "--quiet", path)
    mine.repro("dvc.yaml:cluster")
    (mine.folder / ".git/label_of.json").write_text(json.dumps(label_of))
    label(mine)
    mine.commit("Other photographs")
    others = owned(mine)
    assert set(others.values()).isdisjoint(before.values())
    mine.dvc("push", "--quiet")
    for branch, expected in (("main", before), ("other", others), ("main", before)):
        mine.run("git", "checkout", "--quiet", branch)
        mine.dvc("checkout", "--force")
        assert owned(mine) == expected
    mine.dvc("gc", "--all-branches", "--force")
    mine.run("git", "checkout", "--quiet", "other")
    mine.dvc("checkout", "--force")
    assert owned(mine) == others


def test_an_oracle_may_know_the_classes(mine):
    label_of = json.loads((mine.folder / ".git/label_of.json").read_text())
    settings = {"label.source": "oracle"}
    folder = mine.folder / "data/images/photos"
    if folder.is_dir():
        label_of |= dict.fromkeys(list(label_of)[::4], NO_CLASS)
        table = pd.DataFrame({"image": list(label_of), "label": list(label_of.values())})
        table.to_csv(folder / "classes.csv", index=False)
        settings["dataset.folder.train_labels"] = "classes.csv"
        mine.dvc("add", "--quiet", "data/images/photos")
    mine.set(settings)
    mine.repro("select", "label", "evaluate_propagation")
    names = pd.read_csv(mine.folder / "data/raw/train_files.csv", dtype=str)["image"]
    position = {name: i for i, name in enumerate(CLASSES)} | {NO_CLASS: -1}
    truth = np.array([position[label_of[name]] for name in names])
    drawn = random_subset(len(truth), N_LABELS, seed=0)
    representatives = np.load(mine.folder / "data/clusters/representatives.npy")
    for baseline, asked in (("random_subset", drawn), ("representatives", representatives)):
        labels = np.load(mine.folder / f"data/{baseline}/labels.npy")
        assert len(asked) == N_LABELS
        np.testing.assert_array_equal(labels[asked], truth[asked])
        assert (np.delete(labels, asked) == -1).all()
    propagated = np.load(mine.folder / "data/propagated/labels.npy")
    assert (propagated[representatives] == truth[representatives]).all()
    metrics = json.loads((mine.folder / "metrics/propagation.json").read_text())
    right = (propagated == truth)[propagated >= 0].mean()
    assert metrics["label_accuracy"] == pytest.approx(right)
