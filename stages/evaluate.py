"""Measure one classifier on the test images: `python -m stages.evaluate TRAINING_SET LABELS`."""

from functools import partial

import numpy as np

from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_json, save_json, save_table, verified


def main(params: Params, training_set: str, labels_path: str) -> None:
    """Write metrics/TRAINING_SET.json, the confusion matrix and the per-class table.

    Without test images, or without labels to train on, there is nothing to measure, and they say
    so by being empty.

    Parameters
    ----------
    params
        The settings; none is read.
    training_set
        Whose model to measure.
    labels_path
        The labels it was trained on.
    """
    from fewlabel.classifiers.files import classifier_input, load_classifier
    from fewlabel.metrics import classification_metrics, per_class_table
    from fewlabel.normalization import load_rows

    labels = load_array("data/raw/test_labels.npy")
    class_names = load_json(verified("data/raw/class_names.json"))
    train_images = int((load_array(labels_path) >= 0).sum())
    metrics: dict[str, float] = {"train_images": train_images}
    if len(labels) and train_images:
        load_features = partial(load_array, "data/embedded/test_features.npy")
        reads, predict = load_classifier(verified(f"models/{training_set}"), len(class_names))
        probabilities = predict(classifier_input(reads, partial(load_rows, "test"), load_features))
        metrics = classification_metrics(labels, probabilities) | metrics
    else:
        labels, probabilities = labels[:0], np.zeros((0, len(class_names)), np.float32)
    save_json(f"metrics/{training_set}.json", metrics)

    names = np.array(class_names)
    predicted = probabilities.argmax(axis=1)
    confusion = {"actual": names[labels], "predicted": names[predicted]}
    save_table(f"metrics/{training_set}/confusion.csv", confusion)
    table = per_class_table(labels, predicted, class_names)
    save_table(f"metrics/{training_set}/per_class.csv", table)


if __name__ == "__main__":
    run_stage(main)
