"""Measure one classifier: `python -m stages.evaluate TRAINING_SET`."""

from functools import partial

import numpy as np

from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_json, save_json, save_table, verified

CHECK = "data/check/labels.npy"


def main(params: Params, training_set: str) -> None:
    """Write metrics/TRAINING_SET.json, the confusion matrix and the per-class table.

    Probabilities are calibrated first. data/check/TRAINING_SET.csv has what is predicted of the
    images that only measure. Without images to test with, or labels to train on, what cannot be
    measured is missing.

    Parameters
    ----------
    params
        The settings; none is read.
    training_set
        Whose model to measure; its labels and their expected accuracy are in data/TRAINING_SET/.
    """
    from fewlabel.calibration import tempered
    from fewlabel.classifiers.files import image_predictor
    from fewlabel.estimate import estimate
    from fewlabel.metrics import classification_metrics, per_class_table

    labels = load_array("data/raw/test_labels.npy")
    taught, check_labels = map(load_array, (f"data/{training_set}/labels.npy", CHECK))
    class_names = load_json(verified("data/raw/class_names.json"))
    metrics: dict[str, float] = {"train_images": int((taught >= 0).sum())}
    check = predicted = tested = labels[:0]
    if metrics["train_images"]:
        overconfident, predict = image_predictor(f"models/{training_set}", len(class_names))
        expected = load_json(verified(f"data/{training_set}/accuracy.json"))
        given = partial(predict, "train"), taught, check_labels, expected
        estimated, check, predicted = estimate(*given, is_overconfident=overconfident)
        if len(labels):
            probabilities = tempered(predict("test"), estimated["temperature"])
            metrics = classification_metrics(labels, probabilities) | metrics
            tested = probabilities.argmax(axis=1)
        metrics |= estimated
    save_json(f"metrics/{training_set}.json", metrics)
    save_table(f"data/check/{training_set}.csv", {"image": check, "predicted": predicted})

    names, labels = np.array(class_names), labels[: len(tested)]
    confusion = {"actual": names[labels], "predicted": names[tested]}
    save_table(f"metrics/{training_set}/confusion.csv", confusion)
    table = per_class_table(labels, tested, class_names)
    save_table(f"metrics/{training_set}/per_class.csv", table)


if __name__ == "__main__":
    run_stage(main)
