"""Give every training image a class, and say how far to trust it."""

import joblib
import numpy as np

from stages.artifacts import load_json, save_array
from stages.params import Params, run


def main(params: Params) -> None:
    """Write the class and the trust of every image, each of shape (n_images,).

    Images that are to get no label have the class -1, and are trusted least.
    """
    from fewlabel.propagation import spread_over_clusters, spread_over_graph

    answers = np.load("data/labeled/labels.npy")
    assignment = np.load("data/clusters/assignment.npy")
    if params.propagate.method == "graph":
        affinity = joblib.load("data/graph/affinity.joblib")
        n_classes = len(load_json("data/raw/class_names.json"))
        settings = params.propagate.graph
        classes, trust = spread_over_graph(
            affinity, assignment, answers, n_classes, settings.alpha, settings.n_sweeps
        )
    else:
        distance = np.load("data/clusters/distance.npy")
        classes, trust = spread_over_clusters(assignment, distance, answers)
    excluded = np.load("data/labeled/excluded.npy")
    classes[excluded], trust[excluded] = -1, -np.inf
    save_array("data/spread/classes.npy", classes)
    save_array("data/spread/trust.npy", trust)


if __name__ == "__main__":
    run(main)
