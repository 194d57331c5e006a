"""Clusters by a scikit-learn clustering, and the image that represents each cluster."""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from fewlabel.arrays import Indexed
from fewlabel.errors import FewlabelError
from fewlabel.methods import Clusters
from fewlabel.parallel import log_duration
from fewlabel.storage import row_parts

MAX_FITTED = 100_000
_FITTED_PER_CLUSTER = 50


def fit_clusters(clustering: Any, X: Indexed) -> Clusters:
    """Fit a KMeans or MiniBatchKMeans; find each image's cluster and each one's representative.

    The distance is Euclidean, to the centroid; the representative is the image that is nearest to
    it, the first of equals. Of more than 200,000 images, centroids are learned from evenly spaced
    ones, 100,000 at least, or 50 for each cluster.

    Raises
    ------
    FewlabelError
        If there are fewer images than clusters, or a cluster is empty, as happens with fewer
        different images than clusters.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> X = np.array([[0], [1], [2], [9], [9.5]])
    >>> fit_clusters(KMeans(2, random_state=0), X).representatives
    array([1, 3])
    """
    if len(X) < clustering.n_clusters:
        raise FewlabelError(
            f"label_budget is {clustering.n_clusters}, but must be at most {len(X)}: a cluster "
            "needs an image"
        )
    # Two threads add in one order whichever ends first; with more, sums differ in the last bit.
    with (
        threadpool_limits(2, user_api="openmp"),
        log_duration(f"k-means: {clustering.n_clusters:,} clusters of {len(X):,} images"),
    ):
        n_fitted = max(MAX_FITTED, _FITTED_PER_CLUSTER * clustering.n_clusters)
        clustering.fit(X[:: max(len(X) // n_fitted, 1)])
        assignment = np.empty(len(X), np.int32)
        distance = np.empty(len(X), np.float32)
        for part in row_parts(len(X)):
            rows = X[part]
            assignment[part] = clustering.predict(rows)
            offsets = rows - clustering.cluster_centers_[assignment[part]]
            distance[part] = np.sqrt(np.einsum("ij,ij->i", offsets, offsets))
    by_cluster = np.lexsort((distance, assignment))
    clusters, first = np.unique(assignment[by_cluster], return_index=True)
    if len(clusters) < clustering.n_clusters:
        raise FewlabelError(
            f"k-means left {clustering.n_clusters - len(clusters)} of {clustering.n_clusters} "
            "clusters empty; lower label_budget (minibatch leaves more of them empty than kmeans)"
        )
    return Clusters(clustering, assignment, distance, by_cluster[first])
