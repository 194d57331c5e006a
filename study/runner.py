"""Rows of the study: settings read, seeds run side by side, figures written."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ruamel.yaml import YAML

from fewlabel.errors import exit_on_error
from fewlabel.selection.random_subset import random_subset
from fewlabel.storage import load_joblib, save_json

PIPELINE_PARAMS = "study/pipeline.yaml"


class Problem(NamedTuple):
    """What one fit gets, and what it is measured on.

    Attributes
    ----------
    X, X_test : ndarray of shape (n_images, n_features), float32
    y : ndarray of shape (n_images,), int
        -1 where unlabeled.
    labels : ndarray of shape (n_images,), int
        All of them, to measure propagated ones by, after the fact.
    y_test : ndarray of shape (n_test_images,), int
    """

    X: np.ndarray
    y: np.ndarray
    labels: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def load(folder: str, seed: int | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of study/FOLDER, or of what it has for this seed, and the labels there.

    Returns
    -------
    dict of str to ndarray
        ``train_images`` and ``test_images``: float32 rows of pixels in [0, 1], or of an embedding;
        ``train_labels`` and ``test_labels``.
    """
    folder = Path("study", folder)
    of_seed = folder / str(seed)
    images = of_seed if of_seed.exists() else folder
    return {
        "train_images": _rows(images / "train_images.npy"),
        "train_labels": np.load(folder / "train_labels.npy"),
        "test_images": _rows(images / "test_images.npy"),
        "test_labels": np.load(folder / "test_labels.npy"),
    }


def load_clusters(name: str, seed: int) -> tuple:
    """Return the fitted clustering of this name and seed, and its representatives."""
    path = f"study/clusters/{name}.joblib"
    return load_joblib(path, lock=Path("study/dvc.lock"))[seed]


def _rows(path):
    images = np.load(path)
    return images.reshape(len(images), -1)


def settings(*keys: str, path: str = "study/params.yaml") -> dict:
    """Return a section of the study's settings, or of another params file."""
    # YAML 1.2, as DVC writes it: 1e-05 is a number, where PyYAML reads it as text.
    section = YAML(typ="safe", pure=True).load(Path(path))
    for key in keys:
        section = section[key]
    return section


def problem(row: dict, seed: int, chosen: np.ndarray | None = None) -> Problem:
    """Load the features that a row names; keep the labels of the images that it chooses.

    Parameters
    ----------
    row
        With `features`, and where `chosen` is None with `labels` (how many) and `chosen` (which:
        random, first, last, or balanced, which is random and as many of each class).
    seed
        Of the features and of the choice.
    chosen
        Indices of the images to label, if something else chooses them.
    """
    data = load(row["features"], seed)
    labels = data["train_labels"]
    if chosen is None:
        chosen = _choose(row, labels, seed)
    y = np.full(len(labels), -1)
    y[chosen] = labels[chosen]
    return Problem(data["train_images"], y, labels, data["test_images"], data["test_labels"])


def _choose(row, labels, seed):
    n_images, n_labels = len(labels), row["labels"]
    match row["chosen"]:
        case "first":
            return np.arange(n_labels)
        case "last":
            return np.arange(n_images - n_labels, n_images)
    order = random_subset(n_images, n_images, seed)
    if row["chosen"] == "random":
        return order[:n_labels]
    classes = np.unique(labels)
    of_each = [order[labels[order] == c][: n_labels // len(classes)] for c in classes]
    return np.concatenate(of_each)


def run_row(family: str, prepare: Callable[[dict, int], tuple]) -> None:
    """Run the row that the command line names with each of its seeds; write study/rows/ROW.json.

    Parameters
    ----------
    family
        Section of study/params.yaml that has the row.
    prepare
        Called with the row's settings and a seed; returns an unfitted classifier and a `Problem`.
    """
    from joblib import Parallel, delayed, parallel_config

    from fewlabel.parallel import progress

    row = sys.argv[1]
    row_settings = settings(family, row)
    seeds = range(row_settings["seeds"])
    # A process a core with one thread each does more than one process with two threads.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    with (
        exit_on_error(),
        parallel_config("loky", n_jobs=-1, inner_max_num_threads=1),
    ):
        runs = Parallel(return_as="generator")(
            delayed(_measure)(prepare, row_settings, seed) for seed in seeds
        )
        results = list(progress(runs, row, total=len(seeds)))
    columns = {name: [result[name] for result in results] for name in results[0]}
    save_json(f"study/rows/{row}.json", columns)


def _measure(prepare, row_settings, seed):
    from sklearn.metrics import accuracy_score, f1_score

    from fewlabel.metrics import propagation_metrics

    classifier, problem = prepare(row_settings, seed)
    start = time.perf_counter()
    classifier.fit(problem.X, problem.y)
    fitted = time.perf_counter()
    predicted = classifier.predict(problem.X_test)
    done = time.perf_counter()
    measures = {
        "accuracy": float(accuracy_score(problem.y_test, predicted)),
        "weighted_f1": float(f1_score(problem.y_test, predicted, average="weighted")),
        "fit_seconds": round(fitted - start, 2),
        "predict_seconds": round(done - fitted, 2),
    }
    if hasattr(classifier, "propagated_"):
        given = np.where(classifier.propagated_, classifier.transduction_, -1)
        propagation = propagation_metrics(problem.labels, given)
        measures |= {name: propagation[name] for name in ("coverage", "label_accuracy")}
    return measures
