"""Fit the estimator of a row with each seed, and measure it: `python -m study.row FAMILY ROW`."""

import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator

from fewlabel.errors import exit_on_error
from fewlabel.metrics import propagation_metrics
from fewlabel.selection.random_subset import random_subset
from fewlabel.storage import load_joblib, save_json
from study.estimators.build import build
from study.estimators.propagation_classifier import PropagationClassifier
from study.settings import settings


class Data(NamedTuple):
    """A data set of the study.

    Attributes
    ----------
    X, X_test : ndarray of shape (n_images, n_pixels), float32
        Pixels from 0 to 1.
    labels, y_test : ndarray of shape (n_images,), int
    image_shape : tuple of ints
    """

    X: np.ndarray
    labels: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    image_shape: tuple[int, ...]


def load(dataset: str) -> Data:
    """Read study/data/DATASET."""
    train_images, labels, test_images, y_test = (
        np.load(Path("study/data", dataset, f"{split}_{name}.npy"))
        for split in ("train", "test")
        for name in ("images", "labels")
    )
    X, X_test = (images.reshape(len(images), -1) for images in (train_images, test_images))
    return Data(X, labels, X_test, y_test, train_images.shape[1:])


def complete(row: dict) -> dict:
    """Add to a row of on_clusters what it shares with others: data set, clusters, seeds."""
    return settings("clusters", row["clusters"]) | row if "clusters" in row else row


def prepare(row: dict, seed: int) -> tuple[Any, Data, np.ndarray]:
    """Build the estimator of a row, and label the images that the row chooses.

    Returns
    -------
    estimator
        Not fitted.
    data : Data
        The row's images, labeled ones first if they are not all.
    y : ndarray of shape (n_images,), int
        -1 where unlabeled.
    """
    data = load(row["dataset"])
    estimator = build(row["estimator"], data.image_shape, seed)
    if "clusters" in row:
        path = f"study/clusters/{row['clusters']}.joblib"
        clustering, chosen = load_joblib(path, lock=Path("study/dvc.lock"))[seed]
        if "percentile" in row:
            estimator = PropagationClassifier(
                estimator, FrozenEstimator(clustering), row["percentile"]
            )
    else:
        chosen = _choose(row, data.labels, seed)
    y = np.full(len(data.labels), -1)
    y[chosen] = data.labels[chosen]
    if not learns_from_unlabeled(row):
        taken = np.flatnonzero(y >= 0)
    elif "images" in row:
        taken = np.argsort(y < 0, kind="stable")[: row["images"]]
    else:
        taken = slice(None)
    return estimator, data._replace(X=data.X[taken], labels=data.labels[taken]), y[taken]


def learns_from_unlabeled(row: dict) -> bool:
    """Whether a row's estimator is given unlabeled images, too."""
    return row.get("unlabeled", "percentile" in row)


def _choose(row, labels, seed):
    n_images, n_labels = len(labels), row["labels"]
    match row["chosen"]:
        case "first":
            return np.arange(n_labels)
        case "last":
            return np.arange(n_images - n_labels, n_images)
    order = random_subset(n_images, n_images, seed=seed)
    if row["chosen"] == "random":
        return order[:n_labels]
    classes = np.unique(labels)
    by_class = [order[labels[order] == c][: n_labels // len(classes)] for c in classes]
    return np.concatenate(by_class)


def main(family: str, name: str) -> None:
    """Write study/rows/ROW.json: metric -> its value with each seed."""
    from joblib import Parallel, delayed, parallel_config

    from fewlabel.parallel import progress

    row = complete(settings(family, name))
    seeds = range(row["seeds"])
    # A process per core with one thread each does more than one process with two threads.
    # TensorFlow's operations have one thread each already (`fewlabel.kernels`).
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    with parallel_config("loky", n_jobs=-1, inner_max_num_threads=1):
        runs = Parallel(return_as="generator")(delayed(_measure)(row, seed) for seed in seeds)
        results = list(progress(runs, name, total=len(seeds)))
    columns = {metric: [result[metric] for result in results] for metric in results[0]}
    save_json(f"study/rows/{name}.json", columns)


def _measure(row, seed):
    from sklearn.metrics import accuracy_score, f1_score

    estimator, data, y = prepare(row, seed)
    start = time.perf_counter()
    estimator.fit(data.X, y)
    fitted = time.perf_counter()
    predicted = estimator.predict(data.X_test)
    done = time.perf_counter()
    metrics = {
        "accuracy": float(accuracy_score(data.y_test, predicted)),
        "weighted_f1": float(f1_score(data.y_test, predicted, average="weighted")),
        "fit_seconds": round(fitted - start, 2),
        "predict_seconds": round(done - fitted, 2),
    }
    if hasattr(estimator, "propagated_"):
        given = np.where(estimator.propagated_, estimator.transduction_, -1)
        propagation = propagation_metrics(data.labels, given)
        metrics |= {name: propagation[name] for name in ("coverage", "label_accuracy")}
    return metrics


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
