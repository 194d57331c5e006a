"""k-means of a feature space, one per seed: `python -m study.clusters NAME`."""

import sys

from fewlabel.errors import exit_on_error
from fewlabel.methods import settings_of
from fewlabel.storage import save_joblib
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
        clusters = settings_of("selection", algorithm)(**of_algorithm).select(
            images, n_clusters, seed
        )
        by_seed[seed] = clusters.model, clusters.representatives
    save_joblib(f"study/clusters/{name}.joblib", by_seed)


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
