"""kNN graphs of a feature space, one per seed: `python -m study.graphs NAME`."""

import sys

from fewlabel.errors import exit_on_error
from fewlabel.propagation.knn_graph import affinity_graph, nearest_neighbors
from fewlabel.storage import save_graph
from study.runner import PIPELINE_PARAMS, load, settings


def main(name: str) -> None:
    """Write the affinity of the training images to study/graphs/NAME/SEED.npz."""
    of_graph = settings("graphs", name)
    n_neighbors = settings("graph", "n_neighbors", path=PIPELINE_PARAMS)
    for seed in range(of_graph["seeds"]):
        images = load(of_graph["features"], seed)["train_images"]
        affinity = affinity_graph(*nearest_neighbors(images, n_neighbors))
        save_graph(f"study/graphs/{name}/{seed}.npz", affinity)


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
