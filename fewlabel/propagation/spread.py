"""From the labels of a few images to a class, and how far to trust it, for every image."""

import numpy as np

from fewlabel.propagation.knn_graph import smooth, spread_labels


def spread_over_clusters(assignment, distance, y):
    """Give each image the label of its cluster's labeled image; trust the near ones.

    Of several labels in a cluster, the most frequent counts, the smallest of equals; an image that
    has a label keeps it.

    Parameters
    ----------
    assignment : ndarray of shape (n_images,), int
    distance : ndarray of shape (n_images,), float
        To the centroid of the image's cluster.
    y : ndarray of shape (n_images,), int
        Labels, -1 where unlabeled.

    Returns
    -------
    classes : ndarray of shape (n_images,), int64
        -1 in a cluster without a label.
    trust : ndarray of shape (n_images,), float32
        The negative distance; infinite where `y` has a label.
    """
    labeled = np.flatnonzero(y >= 0)
    votes = np.zeros((assignment.max() + 1, max(y.max() + 1, 1)), int)
    np.add.at(votes, (assignment[labeled], y[labeled]), 1)
    class_of_cluster = np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
    trust = -distance.astype(np.float32)
    trust[labeled] = np.inf
    return np.where(y >= 0, y, class_of_cluster[assignment]), trust


def spread_over_graph(affinity, assignment, y, n_classes, alpha, n_sweeps):
    """Spread labels over the kNN graph; trust images whose best class is far ahead.

    The labels of a cluster weigh as much as it has images, since they stand for them. That makes
    class mass follow the data, where the usual normalization to the shares of the labels makes it
    follow the clustering (docs/choices.md has the measurements).

    Parameters
    ----------
    affinity : sparse array of shape (n_images, n_images)
        From `fewlabel.propagation.knn_graph.affinity_graph`.
    assignment : ndarray of shape (n_images,), int
        Cluster of each image.
    y : ndarray of shape (n_images,), int
        Labels, -1 where unlabeled.
    n_classes, alpha, n_sweeps
        As in `fewlabel.propagation.knn_graph.spread_labels`.

    Returns
    -------
    classes : ndarray of shape (n_images,), int64
        -1 where no label reaches; the image's own label where it has one.
    trust : ndarray of shape (n_images,), float32
        Probability of the best class less that of the second; infinite where `y` has a label.
    """
    weights = _cluster_weights(assignment, y)
    # The margin needs a second class, if one that no image has.
    n_classes = max(n_classes, 2)
    probabilities = spread_labels(affinity, y, weights, n_classes, alpha, n_sweeps)
    return _best_class(probabilities, y)


def combine_with_graph(
    affinity, assignment, scores, y, alpha, n_sweeps, spread_evidence, neighbor_evidence
):
    """Combine what a regression says of each image with the kNN graph; trust clear winners.

    The scores are multiplied by the probabilities that labels spread over the graph give, as by a
    second expert (G. Hinton, "Training Products of Experts by Minimizing Contrastive Divergence",
    Neural Computation 2002), then smoothed over the graph. The more labels there are, the more the
    regression knows that neighbors do not: with n labels, the exponent of the spread probabilities
    is spread_evidence / (spread_evidence + n), and the share of its neighbors in an image's
    smoothed scores neighbor_evidence / (neighbor_evidence + n).

    Parameters
    ----------
    affinity : sparse array of shape (n_images, n_images)
        From `fewlabel.propagation.knn_graph.affinity_graph`.
    assignment : ndarray of shape (n_images,), int
        Cluster of each image.
    scores : ndarray of shape (n_images, n_classes), float32
        From `fewlabel.propagation.kernel_regression.class_scores`; what is below 0 counts as 0.
    y : ndarray of shape (n_images,), int
        Labels, -1 where unlabeled; they replace their images' scores.
    alpha, n_sweeps
        As in `fewlabel.propagation.knn_graph.spread_labels`.
    spread_evidence, neighbor_evidence : float

    Returns
    -------
    classes, trust
        As of `spread_over_graph`.
    """
    labeled = np.flatnonzero(y >= 0)
    weights = _cluster_weights(assignment, y)
    spread = spread_labels(affinity, y, weights, scores.shape[1], alpha, n_sweeps)
    own = np.maximum(scores, 0)
    own *= spread ** (spread_evidence / (spread_evidence + len(labeled)))
    own /= np.maximum(own.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    own[labeled] = np.eye(scores.shape[1], dtype=np.float32)[y[labeled]]
    neighbor_share = neighbor_evidence / (neighbor_evidence + len(labeled))
    return _best_class(smooth(affinity, own, neighbor_share, n_sweeps), y)


def _cluster_weights(assignment, y):
    n_labels = np.bincount(assignment[y >= 0], minlength=assignment.max() + 1)
    return (np.bincount(assignment) / np.maximum(n_labels, 1))[assignment]


def _best_class(probabilities, y):
    second, best = np.partition(probabilities, (-2, -1), axis=1)[:, -2:].T
    trust = best - second
    classes = np.where(trust > 0, probabilities.argmax(axis=1), -1)
    labeled = y >= 0
    trust[labeled] = np.inf
    return np.where(labeled, y, classes), trust
