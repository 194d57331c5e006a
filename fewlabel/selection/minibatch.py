"""k-means on batches of images, and the image nearest to each centroid."""

from pydantic import Field

from fewlabel.methods import PositiveInt, SelectionMethod
from fewlabel.selection.clusters import fit_clusters


class Settings(SelectionMethod):
    batch_size: PositiveInt = Field(4096, description="Images per batch.")
    max_iter: PositiveInt = Field(20, description="Most passes over the images.")

    def build(self, n_clusters, seed):
        """Return an unfitted scikit-learn clustering."""
        from sklearn.cluster import MiniBatchKMeans

        return MiniBatchKMeans(n_clusters, **dict(self), random_state=seed)

    def select(self, X, n_clusters, seed):
        return fit_clusters(self.build(n_clusters, seed), X)
