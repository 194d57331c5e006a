"""Kernel regression from the labels, combined with the kNN graph."""

from functools import partial

import numpy as np
from pydantic import Field

from fewlabel.arrays import Floats, Graph, Ints
from fewlabel.embeddings.components import leading_components
from fewlabel.methods import Pool, PositiveFloat, PositiveInt, PropagationMethod
from fewlabel.propagation.confidence import best_class, by_cluster, cluster_weights
from fewlabel.propagation.knn_graph import in_order, smooth, spread_labels
from fewlabel.rows import MappedRows


class Settings(PropagationMethod):
    alpha: float = Field(0.95, gt=0, lt=1, description="As for graph.")
    n_iterations: PositiveInt = Field(60, description="As for graph.")
    graph_half_weight: float = Field(
        100.0,
        ge=0,
        allow_inf_nan=False,
        description="Number of labels with which labels spread as for graph count half; with more "
        "they count less, and with 0, or with features of a pretrained network, not at all.",
    )
    neighbor_half_weight: PositiveFloat = Field(
        500.0,
        description="Number of labels with which an image's own scores count as much as its "
        "neighbors'; with more labels they count more.",
    )

    def propagate(self, pool: Pool) -> tuple[Ints, Floats]:
        affinity, scores = pool.affinity(), _scores(pool)
        settings = dict(self) | ({"graph_half_weight": 0} if pool.facts.separates_classes else {})
        return combine_with_graph(affinity, pool.assignment, scores, pool.y, **settings)


def _scores(pool: Pool) -> Floats:
    from fewlabel.propagation.kernel_regression import MIN_COMPONENTS, class_scores, examples

    labeled = np.flatnonzero(pool.y >= 0)
    if not len(labeled):
        return np.zeros((len(pool.y), pool.n_classes), np.float32)
    features = pool.features
    positions, example_features = examples(labeled, features, pool.images(), pool.embedding())
    if pool.facts.ordered_components:
        n_components = max(MIN_COMPONENTS, len(labeled))
        lead = partial(leading_components, n_components=n_components)
        features, example_features = MappedRows(features, lead), lead(example_features)
    return class_scores(features, example_features, pool.y[positions], pool.n_classes)


def combine_with_graph(
    affinity: Graph,
    assignment: Ints,
    scores: Floats,
    y: Ints,
    *,
    alpha: float,
    n_iterations: int,
    graph_half_weight: float,
    neighbor_half_weight: float,
) -> tuple[Ints, Floats]:
    """Combine class scores from a regression with the kNN graph, with confidence in clear winners.

    The scores are multiplied by the probabilities that labels spread over the graph give, as by a
    second expert (G. Hinton, "Training Products of Experts by Minimizing Contrastive Divergence",
    Neural Computation 2002), then smoothed over the graph, without less difference between images
    than before (docs/decisions/propagation.md). The more labels there are, the more the
    regression knows that neighbors do not: with n labels, the exponent of the spread probabilities
    is graph_half_weight / (graph_half_weight + n), and the share of its neighbors in an image's
    smoothed scores neighbor_half_weight / (neighbor_half_weight + n).

    Parameters
    ----------
    affinity, alpha, n_iterations
        As in `fewlabel.propagation.knn_graph.spread_labels`.
    assignment, y
        As of `fewlabel.methods.Pool`; labels replace their images' scores.
    scores : ndarray of shape (n_images, n_classes)
        From `fewlabel.propagation.kernel_regression.class_scores`; what is below 0 counts as 0.

    Returns
    -------
    pseudo_labels, confidence
        As of `fewlabel.methods.PropagationMethod.propagate`.
    """
    labeled, n_classes = np.flatnonzero(y >= 0), scores.shape[1]
    order = by_cluster(assignment)
    ordered, own, smoothed = in_order(affinity, order), np.maximum(scores, 0), np.empty_like(scores)
    if graph_half_weight:
        seeds = y[order], cluster_weights(assignment, y >= 0)[order], n_classes
        spread = spread_labels(ordered, *seeds, alpha=alpha, n_iterations=n_iterations)
        own[order] *= spread ** (graph_half_weight / (graph_half_weight + len(labeled)))
    own /= np.maximum(own.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    own[labeled] = np.eye(n_classes, dtype=np.float32)[y[labeled]]
    neighbor_share = neighbor_half_weight / (neighbor_half_weight + len(labeled))
    smoothed[order] = smooth(ordered, own[order], alpha=neighbor_share, n_iterations=n_iterations)
    return best_class(_as_varied_as(own, smoothed), y)


def _as_varied_as(before: Floats, smoothed: Floats) -> Floats:
    """Give each class the mean and the standard deviation over all images that it had before.

    Smoothing keeps what a class has everywhere and takes from what tells images apart, the more so
    the worse the graph is. What is left would be the most frequent class, whatever the image.
    """
    (mean, std), (mean_after, std_after) = (
        (scores.mean(axis=0, dtype=np.float64), scores.std(axis=0, dtype=np.float64))
        for scores in (before, smoothed)
    )
    factor = std / np.maximum(std_after, np.finfo(np.float32).tiny)
    varied: Floats = np.maximum((smoothed - mean_after) * factor + mean, 0).astype(np.float32)
    return varied
