"""Cluster the training images, one cluster for each label of the budget."""

from fewlabel.methods import SelectionMethod, chosen
from fewlabel.settings import Params, run_stage
from fewlabel.storage import save_array, save_joblib, stored_array


def main(params: Params) -> None:
    """Write each image's cluster and distance, and each cluster's representative."""
    from fewlabel.engine import finish
    from fewlabel.propagation.smoothed_features import SmoothedFeatures

    features = SmoothedFeatures(
        "data/graph/affinity.npz",
        stored_array("data/embedded/train_embedding.npy"),
        alpha=params.cluster.alpha,
        n_iterations=params.cluster.n_iterations,
    )
    method: SelectionMethod = chosen("selection", params.cluster)
    clusters = method.select(features, n_clusters=params.label_budget, seed=params.seed)
    save_joblib("models/kmeans.joblib", clusters.model)
    save_array("data/clusters/assignment.npy", clusters.assignment)
    save_array("data/clusters/distance.npy", clusters.distance)
    save_array("data/clusters/representatives.npy", clusters.representatives)
    finish("cluster")


if __name__ == "__main__":
    run_stage(main)
