"""Label the representative of each cluster."""

import numpy as np

from stages.artifacts import load_json, save_array, write
from stages.params import Params, run


def main(params: Params) -> None:
    """Write labels of shape (n_images,), -1 where unlabeled, and a contact sheet to look at."""
    from fewlabel.contact_sheet import draw_contact_sheet
    from fewlabel.labeling import oracle_labels

    representatives = np.load("data/clusters/representatives.npy")
    labels = np.load("data/raw/train_labels.npy")
    ask = {"oracle": oracle_labels}[params.label.source]
    answers = ask(labels, representatives, params.label.oracle_error_rate, params.seed)
    save_array("data/labeled/labels.npy", answers)

    images = np.load("data/raw/train_images.npy", mmap_mode="r")[representatives]
    sizes = np.bincount(np.load("data/clusters/assignment.npy"))
    names = load_json("data/raw/class_names.json")
    figure = draw_contact_sheet(images, answers[representatives], sizes, names)
    write("metrics/contact_sheet.png", figure.savefig)


if __name__ == "__main__":
    run(main)
