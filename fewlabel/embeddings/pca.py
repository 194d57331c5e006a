"""Principal components of the pixels."""

import math
from typing import ClassVar

from pydantic import Field

from fewlabel.embeddings.components import too_large
from fewlabel.methods import EmbeddingMethod, PositiveInt


class Settings(EmbeddingMethod):
    n_components: PositiveInt = Field(
        128, description="Principal components kept; at most the number of pixels."
    )

    ordered_components: ClassVar[bool] = True

    def problems(self, n_images, image_shape):
        if not image_shape:
            return []
        n_values = math.prod(image_shape)
        reason = f"there are {n_images} training images of {n_values} values"
        limit = min(n_images, n_values)
        return too_large(("pca.n_components", self.n_components, limit, reason))

    def memory_needed(self, image_shape, n_images, n_threads):
        return {"n_components": 4 * self.n_components * sum(n_images)}

    def build(self, image_shape, seed):
        from sklearn.decomposition import PCA

        return PCA(self.n_components, random_state=seed)
