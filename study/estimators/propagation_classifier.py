"""The recipe as one classifier: cluster, propagate the labels of a few images, learn from them."""

import numpy as np
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.utils.validation import validate_data

from fewlabel.propagation.cluster import spread_over_clusters
from fewlabel.propagation.graph import spread_over_graph
from fewlabel.propagation.knn_graph import affinity_graph, nearest_neighbors
from fewlabel.propagation.percentile import most_confident
from study.estimators.semi_supervised import FinalClassifier, encode_labels


class PropagationClassifier(FinalClassifier):
    """A classifier of images to which the labels of a few have been propagated.

    Labels spread over clusters or over the kNN graph; of each cluster, the most confident
    percentile teaches the classifier, which then predicts images that it has not seen.

    Parameters
    ----------
    classifier : scikit-learn classifier or None, default=None
        None is `LogisticRegression()`.
    clustering : fitted or unfitted scikit-learn clustering with `cluster_centers_`, default=None
        None is `KMeans()`; `sklearn.frozen.FrozenEstimator` keeps a fitted one.
    method : {"cluster", "graph"}, default="cluster"
        What labels spread over.
    affinity : sparse array of shape (n_images, n_images) or None, default=None
        The graph of the images that are fitted, from
        `fewlabel.propagation.knn_graph.affinity_graph`; None computes it.
    n_neighbors : int, default=15
    alpha : float in (0, 1), default=0.95
    n_iterations : int, default=60
        As in `fewlabel.propagation.knn_graph.spread_labels`, for "graph".
    percentile : float, 0 < percentile <= 100, default=100

    Attributes
    ----------
    classifier_, clustering_ : the fitted copies
    classes_ : ndarray of shape (n_classes,)
    transduction_ : ndarray of shape (n_images,)
        Label of each image that was fitted; -1 where it got none (for classes that are numbers).
    propagated_ : ndarray of shape (n_images,), bool
        Which of them taught the classifier.
    """

    def __init__(
        self,
        classifier=None,
        clustering=None,
        method="cluster",
        affinity=None,
        n_neighbors=15,
        alpha=0.95,
        n_iterations=60,
        percentile=100,
    ):
        self.classifier = classifier
        self.clustering = clustering
        self.method = method
        self.affinity = affinity
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.n_iterations = n_iterations
        self.percentile = percentile

    def fit(self, X, y):
        """Propagate the labels and fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_images, n_features)
        y : array-like of shape (n_images,)
            -1 where unlabeled.
        """
        X, y = validate_data(self, X, y, ensure_min_samples=2)
        classes, codes = encode_labels(y)
        self.clustering_ = clone(self._unfitted_clustering(len(X))).fit(X, None)
        assignment = self.clustering_.predict(X)
        if self.method == "graph":
            affinity = self._affinity_of(X) if self.affinity is None else self.affinity
            spread, confidence = spread_over_graph(
                affinity, assignment, codes, len(classes), self.alpha, self.n_iterations
            )
        elif self.method == "cluster":
            offsets = X - self.clustering_.cluster_centers_[assignment]
            distance = np.sqrt(np.einsum("ij,ij->i", offsets, offsets))
            spread, confidence = spread_over_clusters(assignment, distance, codes)
        else:
            raise ValueError(f"method must be cluster or graph, not {self.method!r}")
        reached = spread >= 0
        self.transduction_ = np.where(reached, classes[spread], y)
        self.propagated_ = reached & most_confident(confidence, assignment, self.percentile)
        return self.fit_final(X[self.propagated_], self.transduction_[self.propagated_])

    def _unfitted_clustering(self, n_images):
        return KMeans(min(8, n_images)) if self.clustering is None else self.clustering

    def _affinity_of(self, X):
        n_neighbors = min(self.n_neighbors, len(X) - 1)
        return affinity_graph(*nearest_neighbors(X.astype(np.float32), n_neighbors))
