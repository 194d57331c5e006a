"""Give every training image a class, and say how confident that is."""

from functools import partial

import numpy as np

from fewlabel.methods import Pool, PropagationMethod, chosen, settings_of
from fewlabel.normalization import load_rows
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_graph, load_joblib, load_json, save_array, verified


def main(params: Params) -> None:
    """Write the pseudo-label and the confidence of every image, each of shape (n_images,).

    Images that are to get no label have the class -1, and the least confidence.
    """
    pool = Pool(
        y=load_array("data/representatives/labels.npy"),
        n_classes=len(load_json(verified("data/raw/class_names.json"))),
        assignment=load_array("data/clusters/assignment.npy"),
        distance=partial(load_array, "data/clusters/distance.npy"),
        affinity=partial(load_graph, "data/graph/affinity.npz"),
        images=partial(load_rows, "train"),
        features=partial(load_array, "data/embedded/train_features.npy"),
        embedding=partial(load_joblib, "models/embedding.joblib"),
        has_ordered_components=settings_of("embeddings", params.embed.method).ordered_components,
    )
    method: PropagationMethod = chosen("propagation", params.propagate)
    pseudo_labels, confidence = method.propagate(pool)
    excluded = load_array("data/representatives/excluded.npy")
    pseudo_labels[excluded], confidence[excluded] = -1, -np.inf
    save_array("data/spread/pseudo_labels.npy", pseudo_labels)
    save_array("data/spread/confidence.npy", confidence)


if __name__ == "__main__":
    run_stage(main)
