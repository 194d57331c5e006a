"""Labels spread over the kNN graph (D. Zhou et al., NIPS 2003)."""

from pydantic import Field

from fewlabel.methods import PositiveInt, PropagationMethod
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

    def propagate(self, pool):
        affinity = pool.affinity()
        return spread_over_graph(affinity, pool.assignment, pool.y, pool.n_classes, **dict(self))


def spread_over_graph(affinity, assignment, y, n_classes, alpha, n_iterations):
    """Spread labels over the kNN graph, with confidence where the best class is far ahead.

    The labels of a cluster weigh as much as it has images, since they stand for them. That makes
    class mass follow the data, where the usual normalization to the shares of the labels makes it
    follow the clustering (docs/decisions/label-weights.md says why).

    Parameters
    ----------
    affinity : sparse array of shape (n_images, n_images)
        From `fewlabel.propagation.knn_graph.affinity_graph`.
    assignment : ndarray of shape (n_images,), int
        Cluster of each image.
    y : ndarray of shape (n_images,), int
        Labels, -1 where unlabeled.
    n_classes, alpha, n_iterations
        As in `fewlabel.propagation.knn_graph.spread_labels`.

    Returns
    -------
    pseudo_labels : ndarray of shape (n_images,), int64
        -1 where no label reaches; the image's own label where it has one.
    confidence : ndarray of shape (n_images,), float32
        Probability of the best class less that of the second; infinite where `y` has a label.
    """
    weights = cluster_weights(assignment, y)
    # The margin needs a second class, if one that no image has.
    n_classes = max(n_classes, 2)
    probabilities = spread_labels(affinity, y, weights, n_classes, alpha, n_iterations)
    return best_class(probabilities, y)
