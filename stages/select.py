"""Label a random subset of the same budget: the baseline that representatives must beat."""

import numpy as np

from fewlabel.arrays import Ints
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, save_training_set


def main(params: Params) -> None:
    """Write labels of shape (n_images,), -1 where unlabeled, to data/random_subset/.

    People are asked about representatives only, so where they label, this baseline has no label.
    """
    from fewlabel.selection.oracle import oracle_labels
    from fewlabel.selection.random_subset import random_subset

    true_labels = load_array("data/raw/train_labels.npy")
    budget, error_rate, seed = params.label_budget, params.label.oracle_error_rate, params.seed
    if params.label.source == "human":
        labels: Ints = np.full(len(true_labels), -1)
    else:
        chosen = random_subset(len(true_labels), budget, seed=seed)
        labels = oracle_labels(true_labels, chosen, error_rate=error_rate, seed=seed)
        if len(np.unique(labels[labels >= 0])) < 2:  # to train on; what is compared with it goes on
            print("the random subset has labels of one class only, so there is no baseline")
            labels = np.full(len(true_labels), -1)
    save_training_set("random_subset", labels)


if __name__ == "__main__":
    run_stage(main)
