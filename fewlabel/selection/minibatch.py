"""k-means on batches of images, and the image nearest to each centroid."""

from pydantic import Field

from fewlabel.arrays import Indexed
from fewlabel.methods import Clusters, PositiveInt, SelectionMethod


class Settings(SelectionMethod):
    batch_size: PositiveInt = Field(4096, description="Images per batch.")
    max_iter: PositiveInt = Field(20, description="Most passes over the images.")

    def select(self, X: Indexed, *, n_clusters: int, seed: int) -> Clusters:
        from sklearn.cluster import MiniBatchKMeans

        from fewlabel.selection.clusters import fit_clusters

        return fit_clusters(MiniBatchKMeans(n_clusters, **dict(self), random_state=seed), X)
