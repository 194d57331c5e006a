"""scikit-learn's label propagation: `python -m study.label_propagation ROW`."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from study.estimators.dense_graph import LabelPropagation, LabelSpreading
from study.runner import problem, run_row


def prepare(row: dict, seed: int):
    """Propagate to the labeled and some of the other images, as the row says."""
    whole = problem(row, seed)
    # Labeled images first; the others stay in the order of the data set.
    taken = np.argsort(whole.y < 0, kind="stable")[: row["images"]]
    kind = {"label_propagation": LabelPropagation, "label_spreading": LabelSpreading}[row["model"]]
    classifier = kind(**row["settings"])
    if "components" in row:
        classifier = make_pipeline(PCA(row["components"], random_state=seed), classifier)
    return classifier, whole._replace(
        X=whole.X[taken], y=whole.y[taken], labels=whole.labels[taken]
    )


if __name__ == "__main__":
    run_row("label_propagation", prepare)
