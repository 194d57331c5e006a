"""k-means, and the image nearest to each centroid."""

from typing import Any, Literal

from pydantic import Field

from fewlabel.arrays import Floats, Indexed
from fewlabel.methods import Clusters, PositiveInt, SelectionMethod

SEEDING_SAMPLES = 10_000


class Settings(SelectionMethod):
    init: Literal["k-means++", "random"] = Field(
        "k-means++", description="k-means++ (on a sample of the images) or random."
    )
    n_init: PositiveInt = Field(
        1, description="Runs from different seeds, of which the best is kept."
    )
    max_iter: PositiveInt = Field(
        50, description="Most iterations; it stops earlier where it has converged."
    )

    def select(self, X: Indexed, *, n_clusters: int, seed: int) -> Clusters:
        from sklearn.cluster import KMeans

        from fewlabel.selection.clusters import fit_clusters

        init = sampled_kmeans_plusplus if self.init == "k-means++" else self.init
        kmeans = KMeans(n_clusters, **dict(self) | {"init": init}, random_state=seed)
        return fit_clusters(kmeans, X)


def sampled_kmeans_plusplus(X: Floats, n_clusters: int, random_state: Any) -> Floats:
    """Seed k-means by greedy k-means++ on a random sample: as good as on all, and much faster.

    The sample has 10,000 rows, or four for each cluster where that is more. k-means++ is of
    D. Arthur, S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.
    """
    from sklearn.cluster import kmeans_plusplus
    from sklearn.utils import check_random_state

    rng = check_random_state(random_state)
    n_sampled = min(max(SEEDING_SAMPLES, 4 * n_clusters), len(X))
    sampled = rng.choice(len(X), n_sampled, replace=False)
    centroids: Floats = kmeans_plusplus(X[sampled], n_clusters, random_state=rng)[0]
    return centroids
