"""Responses of image patches to patch centroids, without label or network (A. Coates, 2011)."""

import math
from typing import ClassVar

from pydantic import Field

from fewlabel.embeddings.components import too_large
from fewlabel.methods import MAX_INT, EmbeddingMethod, PositiveInt, Share

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
    pooling_grid: PositiveInt = Field(
        4,
        description="The image is pooled over this many regions per side: at most its side - "
        "patch_size + 1.",
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

    @property
    def n_leading(self):
        return self.n_leading_components

    def problems(self, n_images, image_shape):
        n_responses = self.pooling_grid**2 * self.n_centroids
        limits = [
            (
                "patches.n_leading_components",
                self.n_leading_components,
                self.n_components,
                "they are the first of embed.patches.n_components",
            ),
            (
                "patches.n_components",
                self.n_components,
                min(n_responses, PCA_IMAGES),
                f"they are of {n_responses} responses (n_centroids times the square of "
                f"pooling_grid) of at most {PCA_IMAGES} images",
            ),
        ]
        if not image_shape:
            return too_large(*limits)
        height, width, *channels = image_shape
        size = self.patch_size
        if size == 1 and math.prod(channels) == 1:
            return [
                "embed.patches.patch_size is 1, but must be at least 2 where images are gray: a "
                "single gray value has no contrast"
            ]
        side = min(height, width)
        n_positions = side - size + 1
        images = f"images are {height} x {width} pixels"
        positions = f"a patch of {size} pixels has {n_positions} positions per side, since {images}"
        return too_large(
            ("patches.patch_size", size, side, images),
            ("patches.pooling_grid", self.pooling_grid, n_positions, positions),
            *limits,
        )

    def memory_needed(self, image_shape, n_images, n_threads):
        from fewlabel.embeddings.patch_embedding import memory_needed

        needed = memory_needed(dict(self), image_shape, n_images[0], n_threads)
        return needed | {"n_components": 4 * self.n_components * sum(n_images)}

    def build(self, image_shape, seed):
        from fewlabel.embeddings.patch_embedding import PatchEmbedding

        settings = self.model_dump(exclude={"n_leading_components"})
        return PatchEmbedding(image_shape, **settings, random_state=seed)
