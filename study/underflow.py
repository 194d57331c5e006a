"""Why rbf label propagation fails on pixels: `python -m study.underflow ROW`."""

import sys

import numpy as np
from sklearn.neighbors import NearestNeighbors

from fewlabel.errors import exit_on_error
from fewlabel.storage import save_json
from study.row import prepare
from study.settings import settings


def main(row: str) -> None:
    """Write how near the nearest image is, and what float64 gives, to study/underflow.json."""
    classifier, data, y = prepare(settings("on_features", row), seed=0)
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(data.X)
    distance, _ = nearest.kneighbors(data.X_test)
    affinity = np.exp(-classifier.gamma * distance.astype(np.float32) ** 2)
    predicted = classifier.fit(data.X, y).predict(data.X_test)
    without = affinity[:, 0] == 0
    doubled = classifier.fit(data.X.astype(np.float64), y)
    metrics = {
        "accuracy_in_float64": float(doubled.score(data.X_test, data.y_test)),
        "median_squared_distance": float(np.median(distance**2)),
        "images_without_affinity": float(without.mean()),
        "of_them_given_the_first_class": float((predicted == 0)[without].mean()),
    }
    save_json("study/underflow.json", metrics)


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
