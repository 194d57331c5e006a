"""Patch embeddings of a data set, one per seed: `python -m study.features DATASET`."""

import sys

import numpy as np

from fewlabel.errors import exit_on_error
from fewlabel.methods import settings_of
from fewlabel.storage import save_array
from study.runner import PIPELINE_PARAMS, load, settings


def main(dataset: str) -> None:
    """Write embeddings to study/patches/DATASET/SEED/, and the labels again beside them."""
    patches = settings("embed", "patches", path=PIPELINE_PARAMS)
    image_shape = np.load(f"study/data/{dataset}/train_images.npy", mmap_mode="r").shape[1:]
    data = load(f"data/{dataset}")
    folder = f"study/patches/{dataset}"
    for split in ("train", "test"):
        save_array(f"{folder}/{split}_labels.npy", data[f"{split}_labels"])
    for seed in range(settings("most_seeds")):
        embedding = settings_of("embeddings", "patches")(**patches).build(image_shape, seed)
        embedding.fit(data["train_images"])
        for images in ("train_images", "test_images"):
            embedded = embedding.transform(data[images]).astype(np.float32)
            save_array(f"{folder}/{seed}/{images}.npy", embedded)


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
