"""Nearest neighbors among so many images that not every pair can be compared."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.arrays import Array, Floats, Ints, blocks
from fewlabel.engine import UNFINISHED, loaded, run_parts
from fewlabel.kernels import N_THREADS
from fewlabel.parallel import for_each_block, log_duration
from fewlabel.propagation.knn_graph import nearest_first
from fewlabel.storage import StoredArray, row_parts, write

MIN_RECALL = 0.95
"""Least share of a sample's exact neighbors that must be found."""
_LISTS_PER_ROOT = 4
_TRAINED_PER_LIST = 50
_ITERATIONS = 10
_FIRST_PROBES = 4
_SAMPLE_ROWS = 1_000
_BLOCK_ROWS = 1_024
_NEIGHBORS = np.dtype([("image", np.int32), ("distance", np.float32)])
_logger = logging.getLogger(__name__)


def approximate_neighbors(X: StoredArray, n_neighbors: int) -> tuple[Ints, Floats, float]:
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
    """
    path = UNFINISHED / "graph" / "lists.faiss"
    recall = _write_lists(path, X, n_neighbors)
    parts, inputs = row_parts(len(X)), [*X.files, path]
    files = run_parts("graph/neighbors", _find_part, parts, path, X, n_neighbors, inputs=inputs)
    found = StoredArray(*files)[:]
    return found["image"], found["distance"], recall


def _find_part(part: slice, path: Path, X: StoredArray, n_neighbors: int) -> Array:
    """Return neighbors and distances of these rows, of shape (n_rows, n_neighbors)."""
    lists = loaded(_mapped_lists, path)
    found = np.empty((part.stop - part.start, n_neighbors), _NEIGHBORS)

    def find(rows: slice) -> None:
        positions = np.arange(part.start + rows.start, part.start + rows.stop)
        found["image"][rows], found["distance"][rows] = _search(lists, X, positions, n_neighbors)

    for_each_block(find, len(found), block_rows=_BLOCK_ROWS, description="nearest neighbors")
    return found


def _write_lists(path: Path, X: StoredArray, n_neighbors: int) -> float:
    """Write all rows in lists, and how many to compare; return the recall of a sample."""
    import faiss

    n_lists, n_columns = int(_LISTS_PER_ROOT * len(X) ** 0.5), X.shape[1]
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(n_columns), n_columns, n_lists)
    index.cp.niter = _ITERATIONS
    faiss.omp_set_num_threads(N_THREADS)
    with log_duration(f"{n_lists:,} lists of {len(X):,} images"):
        index.train(X[:: max(len(X) // (n_lists * _TRAINED_PER_LIST), 1)])
        for rows in blocks(X.shape):
            index.add(X[rows])
    recall = _probe_enough(index, X, n_neighbors)

    def save(temporary: Path) -> None:
        # faiss' own files say nothing of what a full disk lacks in their last bytes.
        with temporary.open("wb") as file:
            writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
            faiss.write_index(index, writer)

    write(path, save)
    return recall


def _mapped_lists(path: Path) -> Any:
    """Return lists of which memory holds what is read, once for all processes of a machine."""
    import faiss

    index: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    lists: Any = faiss.downcast_InvertedLists(index.invlists)
    lists.prefetch_nthread = 0  # else 32 threads read ahead what is in memory already
    return index


def _probe_enough(index: Any, X: StoredArray, n_neighbors: int) -> float:
    """Set how many lists are compared; return which share of a sample's neighbors is found."""
    rows = np.arange(0, len(X), -(-len(X) // _SAMPLE_ROWS))
    exact, _ = _exact(X, rows, n_neighbors)
    index.nprobe = _FIRST_PROBES
    while True:
        found, _ = _search(index, X, rows, n_neighbors)
        pairs = zip(exact, found, strict=True)
        recall = sum(len(np.intersect1d(*pair)) for pair in pairs) / exact.size
        _logger.info("%d of %d lists have %.1f %%", index.nprobe, index.nlist, 100 * recall)
        if recall >= MIN_RECALL or index.nprobe >= index.nlist:
            return recall
        index.nprobe *= 2


def _search(index: Any, X: StoredArray, rows: Ints, n_neighbors: int) -> tuple[Ints, Floats]:
    """Return positions and distances of other rows, each of shape (len(rows), n_neighbors)."""
    import faiss

    faiss.omp_set_num_threads(1)  # of this thread: blocks run beside each other
    squares, found = index.search(X[rows], n_neighbors + 1)
    others, distances = _without_own(found, np.sqrt(squares), rows)
    too_few = np.flatnonzero((others < 0).any(axis=1))
    if len(too_few):
        others[too_few], distances[too_few] = _exact(X, rows[too_few], n_neighbors)
    return others, distances


def _exact(X: StoredArray, rows: Ints, n_neighbors: int) -> tuple[Ints, Floats]:
    import faiss

    faiss.omp_set_num_threads(1)
    queries = X[rows]
    squares = np.full((len(rows), n_neighbors + 1), np.inf, np.float32)
    found = np.full(squares.shape, -1)
    for part in blocks(X.shape):
        some = X[part]
        more = faiss.knn(queries, some, min(n_neighbors + 1, len(some)))
        squares = np.hstack([squares, more[0]])
        found = np.hstack([found, more[1] + part.start])
        best = np.argsort(squares, axis=1, kind="stable")[:, : n_neighbors + 1]
        squares = np.take_along_axis(squares, best, axis=1)
        found = np.take_along_axis(found, best, axis=1)
    others, _ = _without_own(found, squares, rows)
    # The products lose digits where distances are small; the differences do not.
    near, position = np.unique(others, return_inverse=True)
    points = np.vstack([X[near], queries])
    own = np.arange(len(near), len(points))
    ordered, distances = nearest_first(points, own, position.reshape(others.shape))
    return near[ordered], distances


def _without_own(found: Ints, distances: Floats, rows: Ints) -> tuple[Ints, Floats]:
    """Take out each row itself, or the last where it is not among so many equals."""
    order = np.argsort(found == rows[:, None], axis=1, kind="stable")[:, :-1]
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(distances, order, axis=1)
