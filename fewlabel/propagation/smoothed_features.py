"""Features smoothed over the kNN graph, of which memory holds a few columns."""

from pathlib import Path

import numpy as np

from fewlabel.arrays import Floats, Ints, blocks
from fewlabel.engine import loaded, run_parts
from fewlabel.propagation.knn_graph import diffuse
from fewlabel.rows import scale_to_length
from fewlabel.storage import StoredArray, load_graph

_COLUMNS = 32  # which take, with a result of their size, less memory than their graph


class SmoothedFeatures:
    """Features of images smoothed over the graph, and half of the features themselves.

    Clusters of these follow the graph that labels spread over, and their representatives are
    typical of it; smoothed features alone would let unlike images represent a cluster.

    Rows are those of X diffused over the graph, each of the length that it had, then half of X:
    float32 of shape (n_samples, 2 * n_features), made where they are indexed.

    Parameters
    ----------
    graph
        The file of what `fewlabel.propagation.knn_graph.affinity_graph` gives.
    X : of shape (n_samples, n_features)
    alpha, n_iterations
        As of `fewlabel.propagation.knn_graph.spread_labels`.
    """

    def __init__(self, graph: str, X: StoredArray, *, alpha: float, n_iterations: int):
        parts = [slice(i, i + _COLUMNS) for i in range(0, X.shape[1], _COLUMNS)]
        arguments = graph, X, alpha, n_iterations
        inputs = [Path(graph), *X.files]
        files = run_parts("cluster/smoothed", _smooth_part, parts, *arguments, inputs=inputs)
        self._smoothed = [StoredArray(file) for file in files]
        self._X = X
        self.shape = len(X), 2 * X.shape[1]
        self.dtype = X.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Ints) -> Floats:
        own = self._X[rows]
        smoothed = np.hstack([columns[rows] for columns in self._smoothed])
        length = np.linalg.norm(own, axis=1, keepdims=True)
        return np.hstack([scale_to_length(smoothed, length), own / 2])


def _smooth_part(
    columns: slice, graph: str, X: StoredArray, alpha: float, n_iterations: int
) -> Floats:
    some = np.empty((len(X), len(range(*columns.indices(X.shape[1])))), X.dtype)
    for rows in blocks(X.shape):
        some[rows] = X[rows][:, columns]
    return diffuse(loaded(load_graph, graph), some, alpha, n_iterations)
