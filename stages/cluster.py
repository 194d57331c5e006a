"""Cluster the training images, one cluster for each label of the budget."""

from stages.artifacts import load_array, load_graph, save_array, save_joblib
from stages.params import Params, run


def main(params: Params) -> None:
    """Write each image's cluster and distance, and each cluster's representative."""
    from fewlabel.clustering import build_clustering, nearest_to_centroids
    from fewlabel.graph import neighborhood_features

    affinity = load_graph("data/graph/affinity.npz")
    embedding = load_array("data/embedded/train_embedding.npy")
    of_clusters = params.cluster
    features = neighborhood_features(affinity, embedding, of_clusters.alpha, of_clusters.n_sweeps)
    settings = dict(getattr(of_clusters, of_clusters.algorithm))
    clustering = build_clustering(
        of_clusters.algorithm, params.label_budget, params.seed, **settings
    )
    assignment, distance, representatives = nearest_to_centroids(clustering, features)
    save_joblib("models/kmeans.joblib", clustering)
    save_array("data/clusters/assignment.npy", assignment)
    save_array("data/clusters/distance.npy", distance)
    save_array("data/clusters/representatives.npy", representatives)


if __name__ == "__main__":
    run(main)
