"""Cluster the training images, one cluster for each label of the budget."""

from fewlabel.methods import SelectionMethod, chosen
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_graph, save_array, save_joblib


def main(params: Params) -> None:
    """Write each image's cluster and distance, and each cluster's representative."""
    from fewlabel.propagation.knn_graph import graph_smoothed_features

    affinity = load_graph("data/graph/affinity.npz")
    embedding = load_array("data/embedded/train_embedding.npy")
    features = graph_smoothed_features(
        affinity,
        embedding,
        alpha=params.cluster.alpha,
        n_iterations=params.cluster.n_iterations,
    )
    method: SelectionMethod = chosen("selection", params.cluster)
    clusters = method.select(features, n_clusters=params.label_budget, seed=params.seed)
    save_joblib("models/kmeans.joblib", clusters.model)
    save_array("data/clusters/assignment.npy", clusters.assignment)
    save_array("data/clusters/distance.npy", clusters.distance)
    save_array("data/clusters/representatives.npy", clusters.representatives)


if __name__ == "__main__":
    run_stage(main)
