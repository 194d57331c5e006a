"""Keep the pseudo-labels of the most confident images of each cluster."""

import numpy as np

from fewlabel.propagation.percentile import most_confident
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, save_array


def main(params: Params) -> None:
    """Write labels of shape (n_images,), -1 where none is kept, to data/propagated/."""
    labels = load_array("data/representatives/labels.npy")
    pseudo_labels = load_array("data/spread/pseudo_labels.npy")
    confidence = load_array("data/spread/confidence.npy")
    assignment = load_array("data/clusters/assignment.npy")
    kept = most_confident(confidence, assignment, params.propagate.percentile)
    propagated = np.where(kept, pseudo_labels, -1)
    save_array("data/propagated/labels.npy", np.where(labels >= 0, labels, propagated))


if __name__ == "__main__":
    run_stage(main)
