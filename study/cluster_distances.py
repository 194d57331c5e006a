"""Distances to centroids as features: `python -m study.cluster_distances ROW`."""

from sklearn.pipeline import make_pipeline

from fewlabel.clustering import build_clustering
from fewlabel.semi_supervised import SupervisedClassifier
from study.models import build_model
from study.runner import PIPELINE_PARAMS, problem, run_row, settings


def prepare(row: dict, seed: int):
    """Build a pipeline of k-means, whose `transform` gives distances, and the classifier."""
    of_clustering = settings("cluster", "kmeans", path=PIPELINE_PARAMS)
    distances = build_clustering("kmeans", row["clusters"], seed, **of_clustering)
    classifier = make_pipeline(distances, SupervisedClassifier(build_model(row, seed)))
    return classifier, problem(row, seed)


if __name__ == "__main__":
    run_row("cluster_distances", prepare)
