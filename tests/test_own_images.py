"""A user's own images from labels in a file to predictions, through the real commands."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

TINTS = np.array([(255, 190, 120), (120, 255, 180), (150, 170, 255)])
SETTINGS = {
    "dataset.name": "folder",
    "dataset.folder.path": "data/images/photos",
    "dataset.folder.image_size": 16,
    "dataset.folder.class_names": list("0123456789"),
    "dataset.folder.test_labels": "test.csv",
    "label.source": "human",
    "label_budget": 60,
    "embed.patches.patch_size": 5,
    "embed.patches.n_centroids": 64,
}
N_TRAIN, N_TEST = 700, 100


def label_of(name):
    return name.split("-")[0].rpartition("/")[2]


@pytest.fixture(scope="module")
def own(unreproduced, warm_environment, tmp_path_factory):
    """Return a project on colored digits of mixed sizes, in which the clusters are made."""
    project = unreproduced.copy(tmp_path_factory.mktemp("own") / "project")
    project = replace(project, environment=warm_environment)
    project.run("git", "config", "user.name", "Zoë")
    folder = project.folder / "data/images/photos"
    digits, rng = load_digits(), np.random.default_rng(0)
    for i in range(N_TRAIN + N_TEST):
        colored = digits.images[i][..., None] / 16 * TINTS[rng.integers(3)]
        side = int(rng.integers(16, 60))
        suffix = "jpg" if i % 5 == 0 else "png"
        path = folder / f"part {i % 3}/{digits.target[i]}-é{i}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(colored.astype(np.uint8)).resize((side, side + i % 4)).save(path)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    tests = names[:: (N_TRAIN + N_TEST) // N_TEST]
    table = pd.DataFrame({"image": tests, "label": map(label_of, tests)})
    table.to_csv(folder / "test.csv", index=False)
    project.set(SETTINGS)
    project.dvc("add", "--quiet", "data/images/photos")
    project.repro("dvc.yaml:cluster")
    return project


def fewlabel(project, *arguments, **settings):
    return project.run("python", "-m", "fewlabel.cli", *arguments, **settings)


def asked_about(project):
    """Return the names of the images that Label Studio would ask about."""
    fewlabel(project, "export-tasks", "tasks")
    tasks = json.loads((project.folder / "tasks/tasks.json").read_text(encoding="utf-8"))
    return [task["data"]["name"] for task in tasks]


@pytest.fixture(scope="module")
def trained(own, tmp_path_factory):
    """Return the project after its representatives were labeled by a CSV."""
    project = own.copy(tmp_path_factory.mktemp("trained") / "project")
    names = asked_about(project)
    assert len(names) == 60
    table = pd.DataFrame({"note": "x", "image": names, "label": map(label_of, names)})
    table.to_csv(project.folder / "mine.csv", index=False)
    assert fewlabel(project, "import-labels", "mine.csv").stdout == "60 labels are new\n"
    project.repro()
    project.commit("Train")
    return project


def metrics(project, name):
    return json.loads((project.folder / f"metrics/{name}.json").read_text())


def test_the_pipeline_trains_on_labels_from_a_table(trained):
    assert metrics(trained, "propagated")["accuracy"] > 0.75
    assert metrics(trained, "random_subset") == {"train_images": 0}  # nobody was asked
    assert "label_accuracy" not in metrics(trained, "propagation")
    assert trained.repro() == []
    assert fewlabel(trained, "import-labels", "mine.csv").stdout == "0 labels are new\n"
    trained.dvc("plots", "show", "--json")


def test_predictions_of_files_folders_and_a_list(trained):
    folder = trained.folder / "data/images/photos"
    names = pd.read_csv(folder / "test.csv", dtype=str)
    paths = "\n".join(f"data/images/photos/{name}" for name in names["image"])
    (trained.folder / "paths.txt").write_text(paths, encoding="utf-8")
    command = "python -m fewlabel.cli predict models/classifier.keras - --format csv < paths.txt"
    (trained.folder / "predicted.csv").write_text(
        trained.run("sh", "-c", command).stdout, encoding="utf-8"
    )
    predicted = pd.read_csv(trained.folder / "predicted.csv", dtype={"label": str})
    assert predicted["image"].tolist() == paths.splitlines()
    assert predicted["probability"].between(0.1, 1).all()
    right = (predicted["label"] == names["label"]).mean()
    assert right == pytest.approx(metrics(trained, "propagated")["accuracy"])

    one = f"data/images/photos/{names['image'][0]}"
    done = fewlabel(trained, "predict", "models/classifier.keras", one, "--format", "json")
    (row,) = json.loads(done.stdout)
    assert row["label"] == predicted["label"][0]
    assert row["probability"] == pytest.approx(predicted["probability"][0], abs=1e-4)
    done = fewlabel(trained, "predict", "models/classifier.keras", "data/images/photos/part 1")
    assert done.stdout.splitlines()[0].split() == ["image", "label", "probability"]
    assert len(done.stdout.splitlines()) > 200


def test_what_is_no_image_is_named_after_the_others(trained):
    (trained.folder / "text.png").write_text("text")
    one = next((trained.folder / "data/images/photos/part 0").glob("*.png"))
    done = fewlabel(
        trained, "predict", "models/classifier.keras", "text.png", str(one), "gone.png", fails=True
    )
    assert len(done.stdout.splitlines()) == 2
    assert "error: 2 of 3 are no whole PNG or JPEG images: text.png (" in done.stderr


def test_the_model_works_anywhere(trained, tmp_path):
    (tmp_path / "model.keras").write_bytes(
        (trained.folder / "models/classifier.keras").read_bytes()
    )
    one = next((trained.folder / "data/images/photos/part 0").glob("*.png"))
    elsewhere = replace(
        trained,
        folder=tmp_path,
        environment=trained.environment | {"PYTHONPATH": str(trained.folder)},
    )

    def predict(*options):
        done = fewlabel(elsewhere, "predict", "model.keras", str(one), "--format", "json", *options)
        return json.loads(done.stdout)

    (best,) = predict()
    rows = predict("--top", "10", "--batch-size", "1")
    assert len(rows) == 10
    assert rows[0] == best
    assert sum(row["probability"] for row in rows) == pytest.approx(1, abs=1e-5)
    (uncertain,) = predict("--threshold", "1")
    assert (uncertain["label"], uncertain["probability"]) == ("?", best["probability"])
    message = fewlabel(elsewhere, "predict", "model.keras", "x", "--threshold", "80", fails=True)
    assert "'80' is no number from 0 to 1" in message.stderr
    message = fewlabel(elsewhere, "predict", "model.keras", "x", "--top", "0", fails=True).stderr
    assert "'0' is no whole number from 1" in message


def test_a_changed_model_is_refused_in_its_checkout(trained, tmp_path):
    project = trained.copy(tmp_path / "project")
    model = project.folder / "models/classifier.keras"
    content = model.read_bytes()
    model.unlink()  # it may be a link to the cache
    model.write_bytes(content + b"\0")
    message = fewlabel(project, "predict", "models/classifier.keras", "x.png", fails=True).stderr
    assert "error: models/classifier.keras has the MD5" in message


def test_the_model_card_says_what_the_model_is(trained, tmp_path):
    card = (trained.folder / "models/model_card.md").read_text(encoding="utf-8")
    for words in (
        "folder, 700 training",
        "16 x 16 pixels, color",
        "60 of a budget of 60, by human",
    ):
        assert words in card
    assert f"| accuracy | {metrics(trained, 'propagated')['accuracy']:.4g} |" in card
    trained.run("git", "tag", "-a", "-m", "first", "classifier@v1.0.0")
    trained.dvc("artifacts", "get", ".", "classifier", "--rev", "v1.0.0", "-o", str(tmp_path / "m"))
    assert (tmp_path / "m").read_bytes() == (
        trained.folder / "models/classifier.keras"
    ).read_bytes()


def test_a_larger_budget_asks_only_for_what_is_missing(trained, tmp_path):
    project = trained.copy(tmp_path / "project")
    project.set({"label_budget": 70})
    message = project.run("dvc", "repro", fails=True).stderr
    assert "error: 10 of 70 images have no label yet; run `make label`" in message
    before = pd.read_csv(project.folder / "data/annotations/labels.csv", dtype=str)
    names = asked_about(project)
    assert len(names) == 10
    assert not set(names) & set(before["image"])

    # Label Studio's export, as its documentation shows it.
    tasks = json.loads((project.folder / "tasks/tasks.json").read_text(encoding="utf-8"))
    for i, task in enumerate(tasks):
        choice = {
            "from_name": "label",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": [label_of(task["data"]["name"]) if i else "not sure"]},
        }
        cancelled = {"result": [], "was_cancelled": True}
        task |= {"id": i, "annotations": [{"result": [choice], "was_cancelled": False}, cancelled]}
    (project.folder / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    assert fewlabel(project, "import-labels", "export.json").stdout == "10 labels are new\n"
    after = pd.read_csv(project.folder / "data/annotations/labels.csv", dtype=str)
    assert after["image"].is_monotonic_increasing
    after = after.set_index("image")
    pd.testing.assert_frame_equal(after.loc[before["image"]].reset_index(), before)
    assert after["label"][names[0]] == "?"
    assert set(after["labeled_by"]) == {"Zoë"}
    project.repro("dvc.yaml:evaluate_propagation")
    assert metrics(project, "propagation")["coverage"] > 0.8
    status = project.run("git", "status", "--porcelain", "data/annotations").stdout
    assert status == " M data/annotations/labels.csv\n"  # git's, and not DVC's


def test_labels_of_an_image_that_is_gone_or_changed_are_refused_by_name(trained, tmp_path):
    project = trained.copy(tmp_path / "project")
    labeled = pd.read_csv(project.folder / "data/annotations/labels.csv", dtype=str)["image"]
    folder = project.folder / "data/images/photos"
    content = (folder / labeled[0]).read_bytes()
    before = np.load(project.folder / "data/representatives/labels.npy")

    def refused():
        project.repro("dvc.yaml:download")
        return project.run("dvc", "repro", "--single-item", "dvc.yaml:label", fails=True).stderr

    Image.new("RGB", (20, 20), "red").save(folder / labeled[0])
    message = refused()
    assert f"images that changed since: {labeled[0]} ({label_of(labeled[0])});" in message
    (folder / labeled[0]).rename(folder / "moved.png")
    message = refused()
    assert f"images that are gone: {labeled[0]} ({label_of(labeled[0])});" in message
    # Found by its content, under the name that `download` gives it: a copy's.
    (folder / "moved.png").unlink()
    (folder / "copy a.png").write_bytes(content)
    (folder / labeled[0]).write_bytes(content)
    project.repro("dvc.yaml:label")
    skipped = pd.read_csv(project.folder / "data/raw/skipped_files.csv", dtype=str)
    assert labeled[0] in set(skipped["file"])
    names = pd.read_csv(project.folder / "data/raw/train_files.csv", dtype=str)["image"]
    after = np.load(project.folder / "data/representatives/labels.npy")
    assert (before >= 0).sum() == (after >= 0).sum() == len(labeled)
    assert after[names == "copy a.png"] == int(label_of(labeled[0]))


def test_contradictions_stop_the_pipeline_until_they_are_settled(trained, tmp_path):
    project = trained.copy(tmp_path / "project")
    path = project.folder / "data/annotations/labels.csv"
    first, second = pd.read_csv(path, dtype=str).iloc[:2].to_dict("records")
    with path.open("a", encoding="utf-8") as file:
        for line, by in ((first, "Ann"), (second, "Bob")):
            line |= {"label": "!", "labeled_by": by, "labeled_at": "2026-01-01T00:00:00+00:00"}
            file.write(",".join(line.values()) + "\n")
    named = (f"{first['image']} (! by Ann, ", f"{second['image']} (! by Bob, ")
    for command in (
        ("dvc", "repro"),
        ("python", "-m", "fewlabel.cli", "import-labels", "mine.csv"),
    ):
        message = project.run(*command, fails=True).stderr
        assert all(words in message for words in named)
        assert "settle them with `make label`" in message
    done = fewlabel(project, "settle-labels", "Bob", fails=True)
    assert done.stdout == "1 contradictions are settled\n"
    assert named[0] in done.stderr
    assert named[1] not in done.stderr
    assert fewlabel(project, "settle-labels", "latest").stdout == "1 contradictions are settled\n"
    assert pd.read_csv(path, dtype=str)["label"].value_counts()["!"] == 1
    project.repro("dvc.yaml:label")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("image,label\nIMAGE,cow\n", "mine.csv has labels that are no class: "),
        ("image,label\nnowhere.png,1\n", "mine.csv labels images that are gone: nowhere.png"),
        ("image,label\nIMAGE,1\nIMAGE,2\n", "IMAGE (1 by Zoë in mine.csv, 2 by Zoë in mine.csv)"),
        ("image,label,sha256\nIMAGE,1,ffff\n", "mine.csv labels images that changed since"),
        ("image,class\nIMAGE,1\n", "must have the columns image and label, but has image, class"),
    ],
)
def test_a_wrong_table_propagation_is_refused(own, tmp_path, content, words):
    project = own.copy(tmp_path / "project")
    image = asked_about(project)[0]
    (project.folder / "mine.csv").write_text(content.replace("IMAGE", image), encoding="utf-8")
    message = fewlabel(project, "import-labels", "mine.csv", fails=True).stderr
    assert words.replace("IMAGE", image) in message
    assert len(pd.read_csv(project.folder / "data/annotations/labels.csv")) == 0


def test_fewer_images_than_the_budget_is_an_error(own, tmp_path):
    project = own.copy(tmp_path / "project")
    project.set({"label_budget": 10_000})
    message = project.run("dvc", "repro", "dvc.yaml:cluster", fails=True).stderr
    assert "error: label_budget is 10000, but must be at most 700" in message
