"""The published recipe, representatives and their clusters: `python -m study.recipe ROW`."""

from sklearn.frozen import FrozenEstimator

from study.estimators.propagation_classifier import PropagationClassifier
from study.estimators.semi_supervised import SupervisedClassifier
from study.models import build_model
from study.runner import load_clusters, problem, run_row


def prepare(row: dict, seed: int):
    """Label the representatives; with a percentile, propagate their labels over the clusters."""
    clustering, representatives = load_clusters(row["clusters"], seed)
    model = build_model(row, seed)
    if "percentile" in row:
        frozen = FrozenEstimator(clustering)
        classifier = PropagationClassifier(model, frozen, percentile=row["percentile"])
    else:
        classifier = SupervisedClassifier(model)
    return classifier, problem(row, seed, representatives)


if __name__ == "__main__":
    run_row("recipe", prepare)
