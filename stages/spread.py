"""Give every training image a class, and say how confident that is."""

from functools import partial

import numpy as np

from fewlabel import storage
from fewlabel.engine import finish, loaded
from fewlabel.methods import Pool, possible, suited_facts
from fewlabel.normalization import load_rows
from fewlabel.propagation.comparison import best_method, with_labels_of
from fewlabel.propagation.held_out import refuted_labels
from fewlabel.settings import Params, run_stage


def main(params: Params) -> None:
    """Write the pseudo-label and the confidence of every image, each of shape (n_images,).

    A label that the others refute is not propagated: its image gets a pseudo-label. Images that are
    to get no label have the class -1, and the least confidence. held_out.csv is a
    `fewlabel.propagation.held_out.HeldOut`.
    """
    rows = load_rows("train")
    features, graph = "data/embedded/train_features.npy", "data/graph/affinity.npz"
    embedding, distance = "models/embedding.joblib", "data/clusters/distance.npy"
    normalization = "models/normalization.joblib"
    files = features, graph, embedding, distance, normalization, *rows.images.files
    pool = Pool(
        y=storage.load_array("data/representatives/labels.npy"),
        n_classes=len(storage.load_json(storage.verified("data/raw/class_names.json"))),
        assignment=storage.load_array("data/clusters/assignment.npy"),
        distance=partial(storage.load_array, distance),
        affinity=partial(loaded, storage.load_graph, graph),
        images=partial(load_rows, "train"),
        features=storage.stored_array(features),
        embedding=partial(loaded, storage.load_joblib, embedding),
        facts=suited_facts("embeddings", params.embed.method, rows.image_shape),
    )
    methods = possible("propagation", params.propagate)
    method, held_out = best_method(pool, methods, files=files)
    kept = np.setdiff1d(np.flatnonzero(pool.y >= 0), refuted_labels(held_out, pool.y))
    pseudo_labels, confidence = method.propagate(with_labels_of(pool, kept))
    excluded = storage.load_array("data/representatives/excluded.npy")
    pseudo_labels[excluded], confidence[excluded] = -1, -np.inf
    storage.save_array("data/spread/pseudo_labels.npy", pseudo_labels)
    storage.save_array("data/spread/confidence.npy", confidence)
    storage.save_table("data/spread/held_out.csv", held_out._asdict())
    finish("spread")


if __name__ == "__main__":
    run_stage(main)
