"""Labels spread over the kNN graph (D. Zhou et al., NIPS 2003)."""

import numpy as np
from pydantic import Field

from fewlabel.arrays import Floats, Graph, Ints
from fewlabel.methods import Pool, PositiveInt, PropagationMethod
from fewlabel.propagation.confidence import best_class, by_cluster, cluster_weights
from fewlabel.propagation.knn_graph import in_order, spread_labels


class Settings(PropagationMethod):
    alpha: float = Field(
        0.95,
        gt=0,
        lt=1,
        description="Share of an image's scores that comes from its neighbors, between 0 and 1.",
    )
    n_iterations: PositiveInt = Field(
        60, description="Times that labels spread from neighbor to neighbor."
    )

    def propagate(self, pool: Pool) -> tuple[Ints, Floats]:
        affinity = pool.affinity()
        return spread_over_graph(affinity, pool.assignment, pool.y, pool.n_classes, **dict(self))


def spread_over_graph(
    affinity: Graph, assignment: Ints, y: Ints, n_classes: int, *, alpha: float, n_iterations: int
) -> tuple[Ints, Floats]:
    """Spread labels over the kNN graph, with confidence where the best class is far ahead.

    The labels of a cluster weigh as much as it has images, since they stand for them. That makes
    class mass follow the data, where the usual normalization to the shares of the labels makes it
    follow the clustering (docs/decisions/label-weights.md says why).

    Arguments are as of `fewlabel.methods.Pool` and `fewlabel.propagation.knn_graph.spread_labels`,
    results as of `fewlabel.propagation.confidence.best_class`.

    Examples
    --------
    >>> from fewlabel.propagation.knn_graph import affinity_graph, nearest_neighbors
    >>> X = np.array([[0], [1], [2], [7], [8]], np.float32)
    >>> affinity = affinity_graph(*nearest_neighbors(X, n_neighbors=1))
    >>> assignment, y = np.array([0, 0, 0, 1, 1]), np.array([-1, 0, -1, 1, -1])
    >>> spread_over_graph(affinity, assignment, y, 2, alpha=0.9, n_iterations=20)[0]
    array([0, 0, 0, 1, 1])
    """
    weights = cluster_weights(assignment, y >= 0)
    # The margin needs a second class, if one that no image has.
    n_classes = max(n_classes, 2)
    order = by_cluster(assignment)
    ordered = in_order(affinity, order), y[order], weights[order]
    spread = np.empty((len(y), n_classes), np.float32)
    spread[order] = spread_labels(*ordered, n_classes, alpha=alpha, n_iterations=n_iterations)
    return best_class(spread, y)
