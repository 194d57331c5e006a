"""k-means on batches of images, and the image nearest to each centroid."""

from typing import Any

from pydantic import Field

from fewlabel.arrays import Indexed
from fewlabel.methods import Clusters, PositiveInt, SelectionMethod


class Settings(SelectionMethod):
    batch_size: PositiveInt = Field(4096, description="Images per batch.")
    max_iter: PositiveInt = Field(20, description="Most passes over the images.")

    def build(self, n_clusters: int, seed: int) -> Any:
        """Return an unfitted scikit-learn clustering."""
        from sklearn.cluster import MiniBatchKMeans

        return MiniBatchKMeans(n_clusters, **dict(self), random_state=seed)

    def select(self, X: Indexed, *, n_clusters: int, seed: int) -> Clusters:
        from fewlabel.selection.clusters import fit_clusters

        return fit_clusters(self.build(n_clusters, seed), X)
