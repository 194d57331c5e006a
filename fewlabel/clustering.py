"""k-means, and the image that stands for each cluster."""

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans, kmeans_plusplus
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from fewlabel.errors import FewlabelError
from fewlabel.parallel import announced

_SEEDING_SAMPLES = 10_000


def sampled_kmeans_plusplus(X, n_clusters, random_state):
    """Seed k-means by greedy k-means++ on a random sample: as good as on all, and much faster.

    The sample has 10,000 rows, or four for each cluster where that is more.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    n_clusters : int
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of shape (n_clusters, n_features)

    References
    ----------
    D. Arthur, S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.
    """
    rng = check_random_state(random_state)
    n_sampled = min(max(_SEEDING_SAMPLES, 4 * n_clusters), len(X))
    sampled = rng.choice(len(X), n_sampled, replace=False)
    return kmeans_plusplus(X[sampled], n_clusters, random_state=rng)[0]


def build_clustering(algorithm, n_clusters, seed, *, max_iterations, **settings):
    """Unfitted scikit-learn clustering.

    Parameters
    ----------
    algorithm : {"kmeans", "minibatch"}
    n_clusters, seed, max_iterations : int
    **settings
        The algorithm's own, as scikit-learn spells them; "k-means++" is that of a sample.
    """
    if settings.get("init") == "k-means++":
        settings["init"] = sampled_kmeans_plusplus
    kind = {"kmeans": KMeans, "minibatch": MiniBatchKMeans}[algorithm]
    return kind(n_clusters, max_iter=max_iterations, random_state=seed, **settings)


def nearest_to_centroids(clustering, X):
    """Fit the clustering; find each sample's cluster and each cluster's representative.

    Parameters
    ----------
    clustering : KMeans or MiniBatchKMeans
        Fitted here.
    X : ndarray of shape (n_samples, n_features)

    Returns
    -------
    assignment : ndarray of shape (n_samples,), int32
    distance : ndarray of shape (n_samples,), float32
        Euclidean, to the centroid of the sample's own cluster.
    representatives : ndarray of shape (n_clusters,), int64
        The sample of each cluster that is nearest to its centroid, the first of equals.

    Raises
    ------
    FewlabelError
        If there are fewer samples than clusters, or a cluster is empty, as happens with fewer
        different samples than clusters.
    """
    if len(X) < clustering.n_clusters:
        raise FewlabelError(
            f"label_budget is {clustering.n_clusters}, but must be at most {len(X)}: a cluster "
            "needs an image"
        )
    # Two threads add in one order whichever ends first; with more, sums differ in the last bit.
    with (
        threadpool_limits(2, user_api="openmp"),
        announced(f"k-means: {clustering.n_clusters:,} clusters of {len(X):,} images"),
    ):
        assignment = clustering.fit_predict(X)
    offsets = X - clustering.cluster_centers_[assignment]
    distance = np.sqrt(np.einsum("ij,ij->i", offsets, offsets)).astype(np.float32)
    by_cluster = np.lexsort((distance, assignment))
    clusters, first = np.unique(assignment[by_cluster], return_index=True)
    if len(clusters) < clustering.n_clusters:
        raise FewlabelError(
            f"k-means left {clustering.n_clusters - len(clusters)} of {clustering.n_clusters} "
            "clusters empty; lower label_budget (minibatch leaves more of them empty than kmeans)"
        )
    return assignment, distance, by_cluster[first]
