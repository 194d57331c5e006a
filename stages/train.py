"""Train a classifier: `python -m stages.train TRAINING_SET`."""

import numpy as np

from fewlabel.methods import ClassifierMethod, suited
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array


def main(params: Params, training_set: str) -> None:
    """Write models/TRAINING_SET/ and its learning curve; without labels, that it has none.

    Parameters
    ----------
    params
        The settings.
    training_set
        Its labels of shape (n_images,), -1 where unlabeled, and how much each counts, are in
        data/TRAINING_SET/.

    Raises
    ------
    FewlabelError
        If the labels are all of one class, or the model's numbers do not stay finite; nothing is
        written then.
    """
    from fewlabel.classifiers.files import classifier_input, save_classifier
    from fewlabel.errors import FewlabelError
    from fewlabel.learning_curve import fit_with_learning_curve, learning_curve
    from fewlabel.normalization import load_rows

    labels_path = f"data/{training_set}/labels.npy"
    labels = load_array(labels_path)
    labeled = np.flatnonzero(labels >= 0)
    if len(np.unique(labels[labeled])) == 1:
        raise FewlabelError(
            f"{labels_path} has labels of one class only, and a classifier needs two; "
            "raise label_budget"
        )
    method: ClassifierMethod = suited(
        "classifiers", params.train, lambda: load_rows("train").image_shape
    )
    X = classifier_input(method.reads, "train", labeled)
    with learning_curve(f"metrics/{training_set}") as live:
        classifier = method.build(getattr(X, "image_shape", None), params.seed)
        if len(labeled):
            weights = load_array(f"data/{training_set}/weights.npy")[labeled]
            fit_with_learning_curve(method, classifier, X, labels[labeled], weights, live)
            save_classifier(f"models/{training_set}", classifier, method)
        else:
            live.next_step()
            save_classifier(f"models/{training_set}", None, method)


if __name__ == "__main__":
    run_stage(main)
