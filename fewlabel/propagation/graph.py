"""Labels spread over the kNN graph (D. Zhou et al., NIPS 2003)."""

from pydantic import Field

from fewlabel.arrays import Floats, Graph, Ints
from fewlabel.methods import Pool, PositiveInt, PropagationMethod
from fewlabel.propagation.confidence import best_class, cluster_weights
from fewlabel.propagation.knn_graph import spread_labels


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
    affinity: Graph,
    assignment: Ints,
    y: Ints,
    n_classes: int,
    *,
    alpha: float,
    n_iterations: int,
) -> tuple[Ints, Floats]:
    """Spread labels over the kNN graph, with confidence where the best class is far ahead.

    The labels of a cluster weigh as much as it has images, since they stand for them. That makes
    class mass follow the data, where the usual normalization to the shares of the labels makes it
    follow the clustering (docs/decisions/label-weights.md says why).

    Parameters
    ----------
    affinity, y, n_classes, alpha, n_iterations
        As in `fewlabel.propagation.knn_graph.spread_labels`.
    assignment : ndarray of shape (n_images,)
        Cluster of each image.

    Returns
    -------
    pseudo_labels : ndarray of shape (n_images,), int64
        -1 where no label reaches; the image's own label where it has one.
    confidence : ndarray of shape (n_images,)
        Probability of the best class less that of the second; infinite where `y` has a label.

    Examples
    --------
    >>> import numpy as np
    >>> from fewlabel.propagation.knn_graph import affinity_graph, nearest_neighbors
    >>> X = np.array([[0], [1], [2], [7], [8]], np.float32)
    >>> affinity = affinity_graph(*nearest_neighbors(X, n_neighbors=1))
    >>> assignment, y = np.array([0, 0, 0, 1, 1]), np.array([-1, 0, -1, 1, -1])
    >>> spread_over_graph(affinity, assignment, y, 2, alpha=0.9, n_iterations=20)[0]
    array([0, 0, 0, 1, 1])
    """
    weights = cluster_weights(assignment, y)
    probabilities = spread_labels(
        affinity,
        y,
        weights,
        # The margin needs a second class, if one that no image has.
        max(n_classes, 2),
        alpha=alpha,
        n_iterations=n_iterations,
    )
    return best_class(probabilities, y)
