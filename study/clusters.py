"""k-means of a feature space, one a seed: `python -m study.clusters NAME`."""

import sys

from fewlabel.clustering import build_clustering, nearest_to_centroids
from fewlabel.errors import fail_in_one_line
from stages.artifacts import save_joblib
from study.runner import PIPELINE_PARAMS, load, settings


def main(name: str) -> None:
    """Write seed -> (fitted clustering, representatives) to study/clusters/NAME.joblib."""
    of_clustering = settings("clusters", name)
    algorithm = of_clustering["algorithm"]
    of_algorithm = settings("cluster", algorithm, path=PIPELINE_PARAMS)
    by_seed = {}
    for seed in range(of_clustering["seeds"]):
        images = load(of_clustering["features"], seed)["train_images"]
        n_clusters = of_clustering["n_clusters"]
        clustering = build_clustering(algorithm, n_clusters, seed, **of_algorithm)
        *_, representatives = nearest_to_centroids(clustering, images)
        by_seed[seed] = clustering, representatives
    save_joblib(f"study/clusters/{name}.joblib", by_seed)


if __name__ == "__main__":
    with fail_in_one_line():
        main(*sys.argv[1:])
