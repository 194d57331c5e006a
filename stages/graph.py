"""Connect each training image with its nearest neighbors."""

import numpy as np

from stages.artifacts import save_joblib
from stages.params import Params, run


def main(params: Params) -> None:
    """Write the normalized affinity matrix, sparse, of shape (n_images, n_images)."""
    from fewlabel.graph import affinity_graph, nearest_neighbors

    embedding = np.load("data/embedded/train_embedding.npy")
    neighbors, distances = nearest_neighbors(embedding, params.graph.n_neighbors)
    save_joblib("data/graph/affinity.joblib", affinity_graph(neighbors, distances))


if __name__ == "__main__":
    run(main)
