"""Nearest neighbors among so many images that not every pair can be compared."""

import logging
from typing import Any

import numpy as np

from fewlabel.arrays import Floats, Ints
from fewlabel.kernels import N_THREADS
from fewlabel.parallel import for_each_block, log_duration
from fewlabel.propagation.knn_graph import nearest_first

MIN_RECALL = 0.95
"""Least share of a sample's exact neighbors that must be found."""
_LISTS_PER_ROOT = 4
_TRAINED_PER_LIST = 50
_ITERATIONS = 10
_FIRST_PROBES = 4
_SAMPLE_ROWS = 1_000
_BLOCK_ROWS = 1_024
_logger = logging.getLogger(__name__)


def approximate_neighbors(X: Floats, n_neighbors: int) -> tuple[Ints, Floats, float]:
    """Find nearly all of each row's nearest neighbors among the other rows, by Euclidean distance.

    Rows lie in lists, by the nearest of 4 sqrt(n_samples) centroids, and a row is compared with
    those of the nearest lists only (J. Sivic, A. Zisserman, "Video Google: A Text Retrieval
    Approach to Object Matching in Videos", ICCV 2003; `IndexIVFFlat` of faiss). How many lists that
    are is doubled until 95 % of the exact neighbors of 1,000 evenly spaced rows are found.

    Returns
    -------
    neighbors, distances
        As of `fewlabel.propagation.knn_graph.nearest_neighbors`.
    recall
        The share of the exact neighbors of these 1,000 rows that is found.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
    >>> neighbors, distances, recall = approximate_neighbors(X, n_neighbors=5)
    >>> neighbors.shape, recall >= MIN_RECALL
    ((3000, 5), True)
    """
    index = _index(X)
    recall = _probe_enough(index, X, n_neighbors)
    neighbors = np.empty((len(X), n_neighbors), np.int32)
    distances = np.empty((len(X), n_neighbors), np.float32)

    def find(rows: slice) -> None:
        found = _search(index, X, np.arange(rows.start, rows.stop), n_neighbors)
        neighbors[rows], distances[rows] = nearest_first(X, rows, found)

    for_each_block(find, len(X), block_rows=_BLOCK_ROWS, description="nearest neighbors")
    return neighbors, distances, recall


def _index(X: Floats) -> Any:
    """Put all rows into lists, by centroids of evenly spaced rows."""
    import faiss

    n_lists = int(_LISTS_PER_ROOT * len(X) ** 0.5)
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(X.shape[1]), X.shape[1], n_lists)
    index.cp.niter = _ITERATIONS
    faiss.omp_set_num_threads(N_THREADS)
    with log_duration(f"{n_lists:,} lists of {len(X):,} images"):
        index.train(X[:: max(len(X) // (n_lists * _TRAINED_PER_LIST), 1)])
        index.add(X)
    return index


def _probe_enough(index: Any, X: Floats, n_neighbors: int) -> float:
    """Set how many lists are compared, and return which share of a sample's neighbors is found."""
    rows = np.arange(0, len(X), -(-len(X) // _SAMPLE_ROWS))
    exact = _exact(X, rows, n_neighbors)
    index.nprobe = _FIRST_PROBES
    while True:
        found = _search(index, X, rows, n_neighbors)
        pairs = zip(exact, found, strict=True)
        recall = sum(len(np.intersect1d(*pair)) for pair in pairs) / exact.size
        _logger.info("%d of %d lists have %.1f %%", index.nprobe, index.nlist, 100 * recall)
        if recall >= MIN_RECALL or index.nprobe >= index.nlist:
            return recall
        index.nprobe *= 2


def _search(index: Any, X: Floats, rows: Ints, n_neighbors: int) -> Ints:
    """Return positions of other rows, of shape (len(rows), n_neighbors)."""
    import faiss

    faiss.omp_set_num_threads(1)  # of this thread: blocks run beside each other
    _, found = index.search(X[rows], n_neighbors + 1)
    others = _without_own(found, rows)
    too_few = np.flatnonzero((others < 0).any(axis=1))
    if len(too_few):
        others[too_few] = _exact(X, rows[too_few], n_neighbors)
    return others


def _exact(X: Floats, rows: Ints, n_neighbors: int) -> Ints:
    import faiss

    faiss.omp_set_num_threads(1)
    _, found = faiss.knn(X[rows], X, n_neighbors + 1)
    return _without_own(found, rows)


def _without_own(found: Ints, rows: Ints) -> Ints:
    """Take out each row itself, or the last where it is not among so many equals."""
    own_last = np.argsort(found == rows[:, None], axis=1, kind="stable")
    return np.take_along_axis(found, own_last, axis=1)[:, :-1]
