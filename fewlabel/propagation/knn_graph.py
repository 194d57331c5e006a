"""The k-nearest-neighbor graph, and labels spread over it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from joblib import cpu_count

from fewlabel.arrays import Array, Floats, Graph, Ints
from fewlabel.parallel import for_each_block, progress

_BLOCK_ROWS = 128
_STRIDE = 32
_DIFFUSED_ROWS = 8192


def nearest_neighbors(X: Floats, n_neighbors: int) -> tuple[Ints, Floats]:
    """Find each row's exact nearest neighbors among the other rows, by Euclidean distance.

    All distances come from matrix products. Selecting the best of n candidates a row costs more
    than computing them, so columns are first reduced to n / 32 interleaved groups by their best
    member: the k best columns lie within the k best groups.

    Returns
    -------
    neighbors : ndarray of shape (n_samples, n_neighbors), int32
        Nearest first; `n_neighbors` must be less than n_samples.
    distances : ndarray of shape (n_samples, n_neighbors)

    Examples
    --------
    >>> neighbors, distances = nearest_neighbors(np.array([[0], [1], [3]], np.float32), 1)
    >>> neighbors.ravel(), distances.ravel()
    (array([1, 0, 1], dtype=int32), array([1., 1., 2.], dtype=float32))
    """
    n_samples = len(X)
    n_groups = -(-n_samples // _STRIDE)
    centered = X - X.mean(axis=0)
    half_norms = np.full(n_groups * _STRIDE, np.inf, np.float32)
    half_norms[:n_samples] = np.einsum("ij,ij->i", centered, centered) / 2
    columns = np.zeros((X.shape[1], n_groups * _STRIDE), np.float32)
    columns[:, :n_samples] = centered.T
    neighbors = np.empty((n_samples, n_neighbors), np.int32)
    distances = np.empty((n_samples, n_neighbors), np.float32)
    n_best_groups = min(n_neighbors, n_groups)
    members = np.arange(_STRIDE) * n_groups

    def find(rows: slice) -> None:
        closeness = centered[rows] @ columns
        closeness -= half_norms
        own = np.arange(rows.start, rows.stop)
        closeness[own - rows.start, own] = -np.inf
        best_of_group = closeness.reshape(len(own), _STRIDE, n_groups).max(axis=1)
        groups = np.argpartition(-best_of_group, n_best_groups - 1)[:, :n_best_groups]
        candidates = (groups[:, :, None] + members).reshape(len(own), -1)
        candidate_closeness = np.take_along_axis(closeness, candidates, axis=1)
        best = np.argpartition(-candidate_closeness, n_neighbors - 1)[:, :n_neighbors]
        found = np.take_along_axis(candidates, best, axis=1)
        # The products lose digits where distances are small; the differences do not.
        neighbors[rows], distances[rows] = nearest_first(centered, rows, found)

    for_each_block(find, n_samples, block_rows=_BLOCK_ROWS, description="nearest neighbors")
    return neighbors, distances


def nearest_first(X: Floats, rows: slice | Ints, found: Ints) -> tuple[Ints, Floats]:
    """Sort positions in X by their distance from each of these rows, and return both."""
    offsets = X[found] - X[rows, None]
    exact = np.sqrt(np.einsum("ijk,ijk->ij", offsets, offsets))
    order = np.lexsort((found, exact), axis=1)
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(exact, order, axis=1)


def affinity_graph(neighbors: Ints, distances: Floats) -> Graph:
    """Return weights exp(-4 d^2 / d_k^2) of the kNN graph, symmetrized and normalized.

    The width of each image's kernel is the distance d_k to its last neighbor, so a sparse region
    is as well connected as a dense one.

    Takes what `nearest_neighbors` returns; the result is float32, D^-1/2 W D^-1/2 of D. Zhou et
    al., NIPS 2003.

    Examples
    --------
    >>> affinity_graph(np.array([[1], [0]]), np.ones((2, 1), np.float32)).toarray().round(3)
    array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    from scipy import sparse

    n_samples, n_neighbors = neighbors.shape
    scale = np.maximum(distances[:, -1:], np.finfo(np.float32).tiny)
    weights = np.exp(-4 * (distances / scale) ** 2)
    starts = np.arange(0, n_samples * n_neighbors + 1, n_neighbors)
    directed = sparse.csr_array(
        (weights.ravel(), neighbors.ravel(), starts), shape=(n_samples, n_samples)
    )
    graph = (directed + directed.T).tocsr()
    root_degree = np.sqrt(graph.sum(axis=1))
    rows = np.repeat(np.arange(n_samples), np.diff(graph.indptr))
    graph.data /= root_degree[rows] * root_degree[graph.indices]
    graph.sort_indices()
    return graph.astype(np.float32)


def spread_labels(
    graph: Graph, y: Ints, weights: Array, n_classes: int, *, alpha: float, n_iterations: int
) -> Floats:
    """Return class probabilities of every image, by spreading the labels over the graph.

    Parameters
    ----------
    graph
        From `affinity_graph`.
    y : ndarray of shape (n_samples,)
        Class of an image, -1 where it is unlabeled.
    weights : ndarray of shape (n_samples,)
        How much a label counts.
    alpha : float in (0, 1)
        Share of an image's scores that comes from its neighbors in each iteration.
    n_iterations

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Rows sum to one; uniform where no label reaches.

    References
    ----------
    D. Zhou, O. Bousquet, T. Lal, J. Weston, B. Schoelkopf, "Learning with Local and Global
    Consistency", NIPS 2003.

    Examples
    --------
    >>> graph = affinity_graph(*nearest_neighbors(np.array([[0], [1], [9], [10]], np.float32), 1))
    >>> y = np.array([0, -1, -1, 1])
    >>> spread_labels(graph, y, np.ones(4), n_classes=2, alpha=0.9, n_iterations=9).argmax(axis=1)
    array([0, 0, 1, 1])
    """
    labeled = np.flatnonzero(y >= 0)
    seeds = np.zeros((len(y), n_classes), np.float32)
    seeds[labeled, y[labeled]] = weights[labeled]
    return smooth(graph, seeds, alpha=alpha, n_iterations=n_iterations)


def smooth(graph: Graph, seeds: Floats, *, alpha: float, n_iterations: int) -> Floats:
    """Mix the scores of each image with those of its neighbors, repeatedly, as `spread_labels`.

    Seeds are scores, not negative, of shape (n_samples, n_classes); so is the result, whose rows
    sum to one and are uniform where nothing reaches.
    """
    scores = diffuse(graph, seeds, alpha, n_iterations)
    total = scores.sum(axis=1, keepdims=True)
    reached = total > 0
    return np.where(reached, scores / np.where(reached, total, 1), np.float32(1 / seeds.shape[1]))


def in_order(graph: Graph, order: Ints) -> Graph:
    """Return the graph of these images in an order; rows add up in the order that they had.

    That changes no result. Where scores are larger than a processor's cache, an order in which
    neighbors are near each other halves the time.
    """
    from scipy import sparse

    rank = np.empty(len(order), graph.indices.dtype)
    rank[order] = np.arange(len(order))
    rows = graph[order]
    parts = rows.data, rank[rows.indices], rows.indptr
    return sparse.csr_array(parts, shape=graph.shape)


def diffuse(graph: Graph, rows: Floats, alpha: float, n_iterations: int) -> Floats:
    """Add to the row of each image those of its neighbors, and of theirs.

    Rows are of shape (n_samples, n_columns), and so is the result, of which each column depends on
    that column alone. Other arguments are as of `spread_labels`.
    """
    blocks = [slice(i, i + _DIFFUSED_ROWS) for i in range(0, len(rows), _DIFFUSED_ROWS)]
    neighbors = [graph[block] for block in blocks]
    before = after = rows

    def mix(block: slice, of_block: Graph) -> None:
        after[block] = alpha * (of_block @ before) + (1 - alpha) * rows[block]

    with ThreadPoolExecutor(cpu_count()) as threads:
        for _ in progress(range(n_iterations), "spread"):
            before, after = after, np.empty_like(rows)
            list(threads.map(mix, blocks, neighbors))
    return after
