"""Principal components of the pixels."""

import math
from types import ModuleType
from typing import Any, ClassVar

from pydantic import Field

from fewlabel.arrays import Transformer
from fewlabel.embeddings.components import largest_part, too_large
from fewlabel.keras_layers import dense
from fewlabel.methods import EmbeddingMethod, PositiveInt


class Settings(EmbeddingMethod):
    n_components: PositiveInt = Field(
        128, description="Principal components kept; at most the number of pixels."
    )

    ordered_components: ClassVar[bool] = True

    def problems(self, n_images: int | None, image_shape: tuple[int, ...] | None) -> list[str]:
        if n_images is None or image_shape is None:
            return []
        n_values = math.prod(image_shape)
        reason = f"there are {n_images} training images of {n_values} values"
        limit = min(n_images, n_values)
        return too_large(("embed.pca.n_components", self.n_components, limit, reason))

    def memory_needed(
        self, image_shape: tuple[int, ...], n_images: list[int], n_threads: int
    ) -> dict[str, int]:
        return {"n_components": 4 * self.n_components * largest_part(n_images)}

    def build(self, image_shape: tuple[int, ...], seed: int) -> Transformer:
        from fewlabel.embeddings.block_pca import BlockPCA

        return BlockPCA(self.n_components)

    @staticmethod
    def to_keras(keras: ModuleType, embedding: Any, rows: Any) -> Any:
        kernel = embedding.components_.T
        return dense(keras, rows, kernel, -embedding.mean_ @ kernel)
