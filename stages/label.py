"""Label the representative of each cluster."""

from functools import partial

import numpy as np

from fewlabel import storage
from fewlabel.errors import FewlabelError
from fewlabel.settings import Params, run_stage


def main(params: Params) -> None:
    """Write labels and which images are to get none, and a contact sheet to look at.

    data/representatives/labels.npy and excluded.npy are of shape (n_images,), the first with -1
    where unlabeled, the second of bool; data/check/labels.npy is as the first, of images that only
    measure.

    Raises
    ------
    FewlabelError
        If people have not labeled all that they are asked about, or other images, or disagree; if
        there are labels of fewer than two classes.
    """
    from fewlabel.annotation.contact_sheet import draw_contact_sheet
    from fewlabel.annotation.queries import Labels, human_labels, read_queries
    from fewlabel.selection.oracle import oracle_labels

    queries, error_rate = read_queries(params), params.label.oracle_error_rate
    if params.label.source == "human":
        given = human_labels(queries)
    else:
        true_labels = storage.load_array("data/raw/train_labels.npy")
        ask = partial(oracle_labels, true_labels, error_rate=error_rate, seed=params.seed)
        budget, check = ask(queries.representatives), ask(queries.check_images)
        if len(np.unique(budget[budget >= 0])) < 2:
            raise FewlabelError(
                f"the oracle gives {params.label_budget:,} representatives labels of fewer than "
                "two classes, and a classifier needs two; raise label_budget"
            )
        excluded = np.zeros(len(true_labels), bool)
        for asked, answers in ((queries.representatives, budget), (queries.check_images, check)):
            excluded[asked] = answers[asked] < 0
        given = Labels(budget, check, excluded)
    labels, assignment = given.budget, queries.assignment
    storage.save_training_set("representatives", labels)
    storage.save_array("data/representatives/excluded.npy", given.excluded)
    storage.save_array("data/check/labels.npy", given.check)
    labeled = np.flatnonzero(labels >= 0)
    images = storage.stored_array("data/raw/train_images.npy")
    sizes = np.bincount(assignment)[assignment[labeled]]
    names = storage.load_json(storage.verified("data/raw/class_names.json"))
    figure = draw_contact_sheet(images, labeled, labels[labeled], sizes, names)
    storage.write("metrics/contact_sheet.png", figure.savefig)


if __name__ == "__main__":
    run_stage(main)
