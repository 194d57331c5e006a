"""Train a classifier on the labels of one arm: `python -m stages.train ARM LABELS`."""

import numpy as np

from stages.artifacts import load_array
from stages.params import Params, run


def main(params: Params, arm: str, labels_path: str) -> None:
    """Write models/ARM/ and the learning curve of ARM; of an arm without labels, that it has none.

    Parameters
    ----------
    params
        The settings.
    arm
        Names the outputs.
    labels_path
        Labels of shape (n_images,), -1 where unlabeled.

    Raises
    ------
    FewlabelError
        If the labels are all of one class, or the model's numbers do not stay finite; nothing is
        written then.
    """
    from fewlabel.classifiers import build_classifier
    from fewlabel.errors import FewlabelError
    from stages.classifier_files import (
        BOTH,
        classifier_input,
        save_classifier,
        save_no_classifier,
    )
    from stages.learning_curve import fit_with_learning_curve, new_learning_curve

    labels = load_array(labels_path)
    labeled = np.flatnonzero(labels >= 0)
    if len(labeled) and len(np.unique(labels[labeled])) < 2:
        raise FewlabelError(
            f"{labels_path} has labels of one class only, and a classifier needs two; "
            "raise label_budget"
        )
    model = params.train.model
    settings = dict(getattr(params.train, model))
    if model == "two_views":
        settings = {view: dict(of_view) for view, of_view in settings.items()}
        features = BOTH
    else:
        features = settings.pop("features", "pixels")
    images = load_array("data/normalized/train_images.npy")
    X = classifier_input(features, images, load_array("data/embedded/train_features.npy"))
    image_shape = None if features == "embedding" else images.shape[1:]
    classifier = build_classifier(model, image_shape, params.seed, **settings)
    with new_learning_curve(f"metrics/{arm}/learning_curve") as live:
        if len(labeled):
            try:
                fit_with_learning_curve(classifier, X[labeled], labels[labeled], live)
            except FewlabelError as error:
                # It begins with the model and its setting, as a key does.
                section = "train.two_views" if model == "two_views" else "train"
                raise FewlabelError(f"{section}.{error}") from error
        else:
            live.next_step()
    if len(labeled):
        save_classifier(f"models/{arm}", classifier, features)
    else:
        save_no_classifier(f"models/{arm}")


if __name__ == "__main__":
    run(main)
