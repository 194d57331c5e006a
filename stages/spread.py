"""Give every training image a class, and say how far to trust it."""

import numpy as np

from stages.artifacts import (
    load_array,
    load_graph,
    load_joblib,
    load_json,
    save_array,
    verified,
)
from stages.params import Params, run


def main(params: Params) -> None:
    """Write the class and the trust of every image, each of shape (n_images,).

    Images that are to get no label have the class -1, and are trusted least.
    """
    from fewlabel.propagation import (
        combine_with_graph,
        spread_over_clusters,
        spread_over_graph,
    )

    answers = load_array("data/labeled/labels.npy")
    assignment = load_array("data/clusters/assignment.npy")
    method = params.propagate.method
    if method == "cluster":
        distance = load_array("data/clusters/distance.npy")
        classes, trust = spread_over_clusters(assignment, distance, answers)
    else:
        affinity = load_graph("data/graph/affinity.npz")
        n_classes = len(load_json(verified("data/raw/class_names.json")))
        settings = getattr(params.propagate, method)
        if method == "graph":
            classes, trust = spread_over_graph(
                affinity, assignment, answers, n_classes, **dict(settings)
            )
        else:
            scores = _scores(answers, n_classes)
            classes, trust = combine_with_graph(
                affinity, assignment, scores, answers, **dict(settings)
            )
    excluded = load_array("data/labeled/excluded.npy")
    classes[excluded], trust[excluded] = -1, -np.inf
    save_array("data/spread/classes.npy", classes)
    save_array("data/spread/trust.npy", trust)


def _scores(answers, n_classes):
    from sklearn.preprocessing import FunctionTransformer

    from fewlabel.embedding import leading_components
    from fewlabel.kernel_regression import LEAST_COMPONENTS, class_scores, examples
    from fewlabel.normalization import transform_images

    labeled = np.flatnonzero(answers >= 0)
    if not len(labeled):
        return np.zeros((len(answers), n_classes), np.float32)
    all_images = load_array("data/normalized/train_images.npy", mmap_mode="r")
    images, y = examples(all_images[labeled], answers[labeled])
    embedding = load_joblib("models/embedding.joblib")
    of_examples = transform_images(embedding, images)
    features = load_array("data/embedded/train_features.npy")
    if not isinstance(embedding, FunctionTransformer):  # pixels are in no order
        n_components = max(LEAST_COMPONENTS, len(labeled))
        features, of_examples = (
            leading_components(rows, n_components) for rows in (features, of_examples)
        )
    return class_scores(features, of_examples, y, n_classes)


if __name__ == "__main__":
    run(main)
