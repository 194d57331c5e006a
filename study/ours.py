"""The pipeline's method, whole or with one piece exchanged: `python -m study.ours ROW`."""

from pathlib import Path

from scipy import sparse
from sklearn.frozen import FrozenEstimator

from fewlabel.methods import settings_of
from study.estimators.propagation_classifier import PropagationClassifier
from study.estimators.semi_supervised import SupervisedClassifier
from study.runner import PIPELINE_PARAMS, load_clusters, problem, run_row, settings


def prepare(row: dict, seed: int):
    """Propagate as study/pipeline.yaml says, except where the row says otherwise, or not at all."""
    propagate = settings("propagate", path=PIPELINE_PARAMS)
    clustering, chosen = load_clusters(row["clusters"], seed)
    graph = Path("study/graphs", row["graph"], f"{seed}.npz")
    if not graph.exists():  # pixels are the same for every seed, and have one graph
        graph = graph.with_stem("0")
    model_settings = settings("train", "mlp", path=PIPELINE_PARAMS)
    model = settings_of("classifiers", "mlp")(**model_settings).build(None, seed)
    labeled = problem(row, seed, None if "chosen" in row else chosen)
    if "spread_over" not in row:
        return SupervisedClassifier(model), labeled
    classifier = PropagationClassifier(
        model,
        FrozenEstimator(clustering),
        method=row["spread_over"],
        affinity=sparse.load_npz(graph),
        percentile=row.get("percentile", propagate["percentile"]),
        **propagate["graph"],
    )
    return classifier, labeled


if __name__ == "__main__":
    run_row("ours", prepare)
