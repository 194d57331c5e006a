"""Clusters of pixels, one clustering per seed: `python -m study.clusters NAME`."""

import sys

from fewlabel.errors import exit_on_error
from fewlabel.selection.clusters import fit_clusters
from fewlabel.storage import save_joblib
from study.estimators.build import build
from study.row import load
from study.settings import settings


def main(name: str) -> None:
    """Write seed -> (fitted clustering, representatives) to study/clusters/NAME.joblib."""
    row = settings("clusters", name)
    data = load(row["dataset"])
    by_seed = {}
    for seed in range(row["seeds"]):
        clustering = build(row["estimator"], data.image_shape, seed)
        clustering.set_params(n_clusters=row["n_clusters"])
        clusters = fit_clusters(clustering, data.X)
        by_seed[seed] = clusters.model, clusters.representatives
    save_joblib(f"study/clusters/{name}.joblib", by_seed)


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
