"""Responses of image patches to patch centroids, without label or network (A. Coates, 2011)."""

import math
from typing import ClassVar

from pydantic import Field

from fewlabel.arrays import FLOAT_BYTES, INDEX_BYTES, Floats, Transformer
from fewlabel.embeddings.components import largest_part, leading_components, too_large
from fewlabel.methods import MAX_INT, EmbeddingMethod, PositiveInt, Share

MAX_POSITIONS = 64
"""Most positions of a patch along a side: in larger images, the patches lie further apart."""
PCA_IMAGES = 10_000
"""Most images that principal components are learned from."""


class Settings(EmbeddingMethod):
    patch_size: PositiveInt = Field(
        6,
        description="Side of a patch, in pixels: at most that of the image; 2 or more where images "
        "are gray.",
    )
    n_centroids: PositiveInt = Field(
        400,
        description="Patch centroids to compare each patch with: more are better and slower.",
    )
    n_sampled_patches: int = Field(
        200_000, ge=100, le=MAX_INT, description="Patches drawn to learn the centroids from."
    )
    pooling_grid: int = Field(
        4,
        ge=1,
        le=MAX_POSITIONS // 2,
        description="The image is pooled over this many regions per side: at most 32, and its "
        "side - patch_size + 1.",
    )
    n_components: PositiveInt = Field(
        512,
        description="Principal components kept of the pooled responses, for classifiers: at most "
        "10,000, and n_centroids * pooling_grid^2.",
    )
    variance_power: Share = Field(
        0.25,
        description="Divide a component by this power of its variance: 0 is PCA, 0.5 whitening.",
    )
    n_leading_components: PositiveInt = Field(
        128,
        description="The first of these components, for clusters and the graph: at most "
        "n_components.",
    )

    ordered_components: ClassVar[bool] = True
    needs_unit_pixels: ClassVar[bool] = True

    def problems(self, n_images: int | None, image_shape: tuple[int, ...] | None) -> list[str]:
        n_responses = self.pooling_grid**2 * self.n_centroids
        reason = (
            f"they are of {n_responses} responses (n_centroids times the square of pooling_grid) "
            f"of at most {PCA_IMAGES} images"
        )
        leading = "they are the first of embed.patches.n_components"
        problems = problems_of_patches(image_shape or (), self.patch_size, self.pooling_grid)
        problems += too_large(
            ("n_leading_components", self.n_leading_components, self.n_components, leading),
            ("n_components", self.n_components, min(n_responses, PCA_IMAGES), reason),
        )
        return [f"embed.patches.{problem}" for problem in problems]

    def memory_needed(
        self, image_shape: tuple[int, ...], n_images: list[int], n_threads: int
    ) -> dict[str, int]:
        from fewlabel.embeddings.patch_embedding import BLOCK_PATCHES

        n_values = self.patch_size**2 * math.prod(image_shape[2:])
        # Patches, whitened patches and a copy of them; image, row, column and owner of each.
        patch_bytes = 3 * n_values * FLOAT_BYTES + 4 * INDEX_BYTES
        # Pooled responses and a centered copy of them; each thread compares a block of patches.
        n_pooled = 2 * min(n_images[0], PCA_IMAGES) * self.pooling_grid**2
        centroid_bytes = (n_pooled + n_threads * BLOCK_PATCHES + n_values) * FLOAT_BYTES
        return {
            "n_components": self.n_components * largest_part(n_images) * FLOAT_BYTES,
            "n_sampled_patches": self.n_sampled_patches * patch_bytes,
            "n_centroids": self.n_centroids * centroid_bytes,
        }

    def build(self, image_shape: tuple[int, ...], seed: int) -> Transformer:
        from fewlabel.embeddings.patch_embedding import PatchEmbedding

        settings = self.model_dump(exclude={"n_leading_components"})
        return PatchEmbedding(image_shape, **settings, random_state=seed)

    def leading(self, features: Floats) -> Floats:
        return leading_components(features, self.n_leading_components)


def positions(side: int, patch_size: int) -> range:
    """Return where patches begin along a side of an image, in pixels.

    Examples
    --------
    >>> positions(28, 6), positions(224, 6)
    (range(0, 23), range(0, 219, 4))
    """
    n_positions = side - patch_size + 1
    return range(0, n_positions, math.ceil(n_positions / MAX_POSITIONS))


def problems_of_patches(
    image_shape: tuple[int, ...], patch_size: int, pooling_grid: int
) -> list[str]:
    """Say which patches and pooling regions images do not have; of no shape, nothing is known.

    Examples
    --------
    >>> problems_of_patches((8, 9), patch_size=10, pooling_grid=1)[0]
    'patch_size is 10, but must be at most 8: images are 8 x 9 pixels'
    """
    if not image_shape:
        return []
    height, width, *channels = image_shape
    if patch_size == math.prod(channels) == 1:
        return [
            "patch_size is 1, but must be at least 2 where images are gray: a single gray value "
            "has no contrast"
        ]
    side = min(height, width)
    n_positions = side - patch_size + 1
    images = f"images are {height} x {width} pixels"
    per_side = (
        f"a patch of {patch_size} pixels has {n_positions} positions per side, since {images}"
    )
    return too_large(
        ("patch_size", patch_size, side, images),
        ("pooling_grid", pooling_grid, n_positions, per_side),
    )
