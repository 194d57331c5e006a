"""Connect each training image with its nearest neighbors."""

from fewlabel.settings import Params, run_stage
from fewlabel.storage import save_graph, save_json, stored_array

MAX_EXACT = 100_000
"""Most images of which every pair is compared, in about 25 seconds on two cores."""


def main(params: Params) -> None:
    """Write the normalized affinity matrix, sparse, of shape (n_images, n_images).

    metrics/graph.json has the share of neighbors that were found, 1 where all were compared.

    Raises
    ------
    FewlabelError
        If there are no more images than neighbors, or more neighbors than memory holds.
    """
    from fewlabel.engine import finish
    from fewlabel.errors import FewlabelError
    from fewlabel.memory import require_memory
    from fewlabel.propagation.approximate_neighbors import approximate_neighbors
    from fewlabel.propagation.knn_graph import affinity_graph, nearest_neighbors

    embedding = stored_array("data/embedded/train_embedding.npy")
    n_neighbors = params.graph.n_neighbors
    if n_neighbors >= len(embedding):
        raise FewlabelError(
            f"graph.n_neighbors is {n_neighbors}, but must be at most {len(embedding) - 1}, since "
            f"there are {len(embedding)} training images"
        )
    # Index and distance of each neighbor, then index and weight in the graph, both ways.
    n_bytes = len(embedding) * n_neighbors * (8 + 2 * 8)
    require_memory(n_bytes, "graph.n_neighbors", n_neighbors)
    if len(embedding) <= MAX_EXACT:
        neighbors, distances = nearest_neighbors(embedding[:], n_neighbors)
        recall = 1.0
    else:
        neighbors, distances, recall = approximate_neighbors(embedding, n_neighbors)
    save_graph("data/graph/affinity.npz", affinity_graph(neighbors, distances))
    save_json("metrics/graph.json", {"neighbor_recall": recall})
    finish("graph")


if __name__ == "__main__":
    run_stage(main)
