"""Keep the pseudo-labels of the most confident images of each cluster."""

import numpy as np

from fewlabel.propagation.held_out import expected_accuracy, load_held_out
from fewlabel.propagation.percentile import evenly_spaced, most_confident
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, save_training_set


def main(params: Params) -> None:
    """Write labels of shape (n_images,), -1 where none is kept, and weights to data/propagated/.

    Images whose labels are to measure what is trained get none, and a label that was not propagated
    is none. accuracy.json has the share of labels that the others predict, or null.
    """
    given = load_array("data/representatives/labels.npy")
    pseudo_labels = load_array("data/spread/pseudo_labels.npy")
    confidence = load_array("data/spread/confidence.npy")
    assignment = load_array("data/clusters/assignment.npy")
    labels = np.where(pseudo_labels == given, given, -1)
    kept = most_confident(confidence, assignment, params.propagate.percentile)
    kept &= load_array("data/check/labels.npy") < 0
    kept = evenly_spaced(kept & (labels < 0) & (pseudo_labels >= 0), params.train.max_images)
    propagated = np.where(kept, pseudo_labels, -1)
    save_training_set(
        "propagated",
        np.where(labels >= 0, labels, propagated),
        weights=np.where(labels >= 0, params.propagate.label_weight, propagated >= 0),
        accuracy=expected_accuracy(load_held_out(), given),
    )


if __name__ == "__main__":
    run_stage(main)
