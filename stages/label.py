"""Label the representative of each cluster."""

import numpy as np

from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_json, save_array, verified, write


def main(params: Params) -> None:
    """Write labels and which images are to get none, and a contact sheet to look at.

    data/representatives/labels.npy and excluded.npy are of shape (n_images,), the first with -1
    where unlabeled, the second of bool.

    Raises
    ------
    fewlabel.annotation.annotations.AnnotationsError
        If people have not labeled all representatives, contradict each other, or labeled other
        images.
    """
    from fewlabel.annotation.contact_sheet import draw_contact_sheet
    from fewlabel.annotation.queries import human_labels, read_queries
    from fewlabel.selection.oracle import oracle_labels

    error_rate, seed = params.label.oracle_error_rate, params.seed
    assignment = load_array("data/clusters/assignment.npy")
    if params.label.source == "human":
        labels, excluded = human_labels(read_queries())
    else:
        representatives = load_array("data/clusters/representatives.npy")
        true_labels = load_array("data/raw/train_labels.npy")
        labels = oracle_labels(true_labels, representatives, error_rate=error_rate, seed=seed)
        excluded = np.zeros(len(labels), bool)
    save_array("data/representatives/labels.npy", labels)
    save_array("data/representatives/excluded.npy", excluded)

    labeled = np.flatnonzero(labels >= 0)
    images = load_array("data/raw/train_images.npy", mmap_mode="r")[labeled]
    sizes = np.bincount(assignment)[assignment[labeled]]
    names = load_json(verified("data/raw/class_names.json"))
    figure = draw_contact_sheet(images, labels[labeled], sizes, names)
    write("metrics/contact_sheet.png", figure.savefig)


if __name__ == "__main__":
    run_stage(main)
