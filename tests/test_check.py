"""Random labels through the pipeline: they measure, calibrate, and choose what is shipped."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.workspace import record_outputs
from fewlabel.calibration import tempered
from fewlabel.classifiers.files import classifier_input, load_classifier
from fewlabel.predictor import PortableClassifier

N_CHECK = 150


@pytest.fixture
def checked(reproduced, once, tmp_path, monkeypatch):
    def make(folder):
        project = reproduced.copy(folder / "project")
        project.set({"label.check_size": N_CHECK})
        project.repro()

    made = replace(reproduced, folder=once("checked", make) / "project")
    project = made.copy(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    return project


def read(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


@pytest.mark.usefixtures("checked")
def test_random_labels_measure_and_calibrate_and_teach_nothing():
    truth, check = np.load("data/raw/train_labels.npy"), np.load("data/check/labels.npy")
    images = np.flatnonzero(check >= 0)
    assert len(images) == N_CHECK
    np.testing.assert_array_equal(check[images], truth[images])
    for name, n in (("random_subset", None), ("representatives", N_CHECK), ("propagated", N_CHECK)):
        taught, table = np.load(f"data/{name}/labels.npy"), pd.read_csv(f"data/check/{name}.csv")
        metrics = read(f"metrics/{name}.json")
        assert (taught[table["image"]] == -1).all()
        assert len(table) == metrics["check_images"] == (n or (taught[images] == -1).sum())
        right = table["predicted"].to_numpy() == truth[table["image"]]
        assert metrics["check_accuracy"] == right.mean()
        _, predict = load_classifier(f"models/{name}", 10)
        predicted = predict(np.load("data/embedded/train_features.npy")).argmax(axis=1)
        assert metrics["check_low"] <= (predicted == truth).mean() <= metrics["check_high"]

    assert_packaged_is(read("models/shipped.json")["training_set"])


def assert_packaged_is(training_set):
    """Compare what is packaged with the pipeline's own predictions, calibrated."""
    shipped, metrics = read("models/shipped.json"), read(f"metrics/{training_set}.json")
    assert shipped == {"training_set": training_set, "temperature": metrics["temperature"]}
    about, predict = load_classifier(f"models/{training_set}", 10)
    tests = np.load("data/raw/test_images.npy")
    given = predict(classifier_input(about["features"], "test"))
    classifier = PortableClassifier("models/classifier.keras")
    expected = tempered(given, shipped["temperature"])
    np.testing.assert_allclose(classifier.predict_proba(tests), expected, atol=1e-5)
    assert f"The classifier of {training_set} is shipped" in classifier.card
    assert "random images that nothing was trained on; check_low" in classifier.card
    of_pseudo_labels = "It was taught by pseudo-labels" in classifier.card
    assert of_pseudo_labels == (training_set == "propagated")


def test_the_classifier_of_representatives_is_shipped_where_pseudo_labels_harm(checked):
    path = "data/propagated/labels.npy"
    taught, labels = np.load(path), np.load("data/representatives/labels.npy")
    np.save(path, np.where((taught >= 0) & (labels < 0), (taught + 1) % 10, taught))
    for stage in ("train propagated", "evaluate propagated", "verdict", "package"):
        record_outputs(checked.folder)
        checked.run("python", "-m", *f"stages.{stage}".split())
    record_outputs(checked.folder)
    assert_packaged_is("representatives")
