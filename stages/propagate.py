"""Keep the labels of the most trusted images of each cluster."""

import numpy as np

from fewlabel.percentile import most_trusted
from stages.artifacts import save_array
from stages.params import Params, run


def main(params: Params) -> None:
    """Write labels of shape (n_images,), -1 where none is trusted, to data/propagated/."""
    answers = np.load("data/labeled/labels.npy")
    classes = np.load("data/spread/classes.npy")
    trust = np.load("data/spread/trust.npy")
    assignment = np.load("data/clusters/assignment.npy")
    kept = most_trusted(trust, assignment, params.propagate.percentile)
    propagated = np.where(kept, classes, -1)
    save_array("data/propagated/labels.npy", np.where(answers >= 0, answers, propagated))


if __name__ == "__main__":
    run(main)
