"""Why rbf label propagation fails on pixels: `python -m study.underflow ROW`."""

import sys

import numpy as np
from sklearn.neighbors import NearestNeighbors

from stages.artifacts import save_json
from study.label_propagation import prepare
from study.runner import settings

GAMMA = 20  # scikit-learn's default


def main(row: str) -> None:
    """Write how near the nearest image is, and its affinity in float32, to study/underflow.json."""
    classifier, problem = prepare(settings("label_propagation", row), seed=0)
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(problem.X)
    distance, _ = nearest.kneighbors(problem.X_test)
    affinity = np.exp(-GAMMA * distance.astype(np.float32) ** 2)
    predicted = classifier.fit(problem.X, problem.y).predict(problem.X_test)
    without = affinity[:, 0] == 0
    measures = {
        "median_squared_distance": float(np.median(distance**2)),
        "images_without_affinity": float(without.mean()),
        "of_them_given_the_first_class": float((predicted == 0)[without].mean()),
    }
    save_json("study/underflow.json", measures)


if __name__ == "__main__":
    main(*sys.argv[1:])
