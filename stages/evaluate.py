"""Measure the classifier of one arm on the test images: `python -m stages.evaluate ARM LABELS`."""

import numpy as np

from stages.artifacts import load_array, load_json, save_json, save_table, verified
from stages.params import Params, run


def main(params: Params, arm: str, labels_path: str) -> None:
    """Write metrics/ARM.json, the confusion matrix and the per-class table of ARM.

    Without test images, or without labels to train on, there is nothing to measure, and they say
    so by being empty.

    Parameters
    ----------
    params
        The settings; none is read.
    arm
        Whose model to measure.
    labels_path
        The labels it was trained on.
    """
    from fewlabel.measures import classification_metrics, per_class_table
    from stages.classifier_files import classifier_input, load_classifier

    labels = load_array("data/raw/test_labels.npy")
    class_names = load_json(verified("data/raw/class_names.json"))
    images = load_array("data/normalized/test_images.npy")
    embedded = load_array("data/embedded/test_features.npy")
    train_images = int((load_array(labels_path) >= 0).sum())
    metrics = {"train_images": train_images}
    if len(labels) and train_images:
        features, predict = load_classifier(verified(f"models/{arm}"), len(class_names))
        probabilities = predict(classifier_input(features, images, embedded))
        metrics = classification_metrics(labels, probabilities) | metrics
    else:
        labels, probabilities = labels[:0], np.zeros((0, len(class_names)))
    save_json(f"metrics/{arm}.json", metrics)

    names = np.array(class_names)
    predicted = probabilities.argmax(axis=1)
    confusion = {"actual": names[labels], "predicted": names[predicted]}
    save_table(f"metrics/{arm}/confusion.csv", confusion)
    table = per_class_table(labels, predicted, class_names)
    save_table(f"metrics/{arm}/per_class.csv", table)


if __name__ == "__main__":
    run(main)
