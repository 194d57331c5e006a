"""Label a random subset of the same budget: the baseline that representatives must beat."""

import numpy as np

from stages.artifacts import load_array, save_array
from stages.params import Params, run


def main(params: Params) -> None:
    """Write int64 labels of shape (n_images,), -1 where unlabeled, to data/selected/.

    People are asked about representatives only, so where they label, this baseline has no label.
    """
    from fewlabel.labeling import oracle_labels, random_subset

    labels = load_array("data/raw/train_labels.npy")
    budget, error_rate, seed = params.label_budget, params.label.oracle_error_rate, params.seed
    if params.label.source == "human":
        answers = np.full(len(labels), -1)
    else:
        chosen = random_subset(len(labels), budget, seed)
        answers = oracle_labels(labels, chosen, error_rate, seed)
    save_array("data/selected/labels.npy", answers)


if __name__ == "__main__":
    run(main)
