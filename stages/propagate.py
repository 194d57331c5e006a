"""Keep the labels of the most trusted images of each cluster."""

import numpy as np

from fewlabel.percentile import most_trusted
from stages.artifacts import load_array, save_array
from stages.params import Params, run


def main(params: Params) -> None:
    """Write labels of shape (n_images,), -1 where none is trusted, to data/propagated/."""
    answers = load_array("data/labeled/labels.npy")
    classes = load_array("data/spread/classes.npy")
    trust = load_array("data/spread/trust.npy")
    assignment = load_array("data/clusters/assignment.npy")
    kept = most_trusted(trust, assignment, params.propagate.percentile)
    propagated = np.where(kept, classes, -1)
    save_array("data/propagated/labels.npy", np.where(answers >= 0, answers, propagated))


if __name__ == "__main__":
    run(main)
