"""Distances to centroids as features: `python -m study.cluster_distances ROW`."""

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fewlabel.methods import settings_of
from study.estimators.semi_supervised import SupervisedClassifier
from study.models import build_model
from study.runner import PIPELINE_PARAMS, problem, run_row, settings


def prepare(row: dict, seed: int):
    """Build a pipeline of k-means, whose `transform` gives distances, and the classifier."""
    of_clustering = settings("cluster", "kmeans", path=PIPELINE_PARAMS)
    distances = settings_of("selection", "kmeans")(**of_clustering).build(row["clusters"], seed)
    # They are so correlated that Newton's method fails in float32, which k-means returns.
    doubled = FunctionTransformer(np.asarray, kw_args={"dtype": np.float64})
    classifier = SupervisedClassifier(build_model(row, seed))
    return make_pipeline(distances, doubled, classifier), problem(row, seed)


if __name__ == "__main__":
    run_row("cluster_distances", prepare)
