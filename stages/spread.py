"""Give every training image a class, and say how confident that is."""

from functools import cache, partial

import numpy as np

from fewlabel.methods import Pool, possible, suited_facts
from fewlabel.normalization import load_rows
from fewlabel.propagation.comparison import best_method
from fewlabel.settings import Params, run_stage
from fewlabel.storage import (
    load_array,
    load_graph,
    load_joblib,
    load_json,
    save_array,
    save_table,
    verified,
)


def main(params: Params) -> None:
    """Write the pseudo-label and the confidence of every image, each of shape (n_images,).

    Images that are to get no label have the class -1, and the least confidence. held_out.csv has
    what each label would be by the others (`fewlabel.propagation.comparison.HeldOut`).
    """
    images, name = cache(partial(load_rows, "train")), params.embed.method
    pool = Pool(
        y=load_array("data/representatives/labels.npy"),
        n_classes=len(load_json(verified("data/raw/class_names.json"))),
        assignment=load_array("data/clusters/assignment.npy"),
        distance=cache(partial(load_array, "data/clusters/distance.npy")),
        affinity=cache(partial(load_graph, "data/graph/affinity.npz")),
        images=images,
        features=cache(partial(load_array, "data/embedded/train_features.npy")),
        embedding=cache(partial(load_joblib, "models/embedding.joblib")),
        has_ordered_components=lambda: (
            suited_facts("embeddings", name, images().image_shape).ordered_components
        ),
    )
    method, held_out = best_method(pool, possible("propagation", params.propagate))
    pseudo_labels, confidence = method.propagate(pool)
    excluded = load_array("data/representatives/excluded.npy")
    pseudo_labels[excluded], confidence[excluded] = -1, -np.inf
    save_array("data/spread/pseudo_labels.npy", pseudo_labels)
    save_array("data/spread/confidence.npy", confidence)
    save_table("data/spread/held_out.csv", held_out._asdict())


if __name__ == "__main__":
    run_stage(main)
