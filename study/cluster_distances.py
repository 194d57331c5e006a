"""Distances to centroids as features: `python -m study.cluster_distances ROW`."""

from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline

from fewlabel.semi_supervised import SupervisedClassifier
from study.models import build_model
from study.runner import problem, run_row


def prepare(row: dict, seed: int):
    """Build a pipeline of k-means, whose `transform` gives distances, and the classifier."""
    distances = KMeans(row["clusters"], init="random", random_state=seed)
    classifier = make_pipeline(distances, SupervisedClassifier(build_model(row, seed)))
    return classifier, problem(row, seed)


if __name__ == "__main__":
    run_row("cluster_distances", prepare)
