"""Features of a network that was trained on other photographs."""

import re
from typing import Any, ClassVar, Literal

from pydantic import Field

from fewlabel.arrays import OnnxPart, Transformer
from fewlabel.methods import EmbeddingMethod, Share

NETWORKS = (
    *("convnext_tiny", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"),
    *("efficientnetv2_b0", "mobilenetv2"),
)
_FOLDER = "data/networks/"


class Settings(EmbeddingMethod):
    model: str = Field(
        "efficientnet_lite2",
        description=f"{', '.join(NETWORKS)}, which are downloaded; or a .keras or .onnx file of "
        f"one's own in {_FOLDER}.",
    )
    image_size: int | None = Field(
        None,
        ge=16,
        le=1024,
        description="Side in pixels at which the network sees images, 16 to 1024; or null: its "
        "own, or 160 where it takes any.",
    )
    scaling: Literal["own", "none", "unit", "symmetric", "imagenet", "clip"] = Field(
        "own",
        description="Pixels that the network expects: own (as it is known of those downloaded), "
        "none (0 to 255), unit (0 to 1), symmetric (-1 to 1), imagenet or clip (standardized).",
    )
    tokens: Literal["class", "mean"] = Field(
        "class",
        description="Which token counts where the network gives some: class (the first) or mean.",
    )
    variance_power: Share = Field(0.0, description="As for patches.")

    separates_classes: ClassVar[bool] = True
    needs_unit_pixels: ClassVar[bool] = True

    def problems(self, n_images: int | None, image_shape: tuple[int, ...] | None) -> list[str]:
        if self.model in NETWORKS:
            if self.scaling == "own":
                return []
            return [
                f"embed.pretrained.scaling is {self.scaling!r}, but must be 'own' where "
                f"embed.pretrained.model is {self.model!r}"
            ]
        if not re.fullmatch(rf"{_FOLDER}[^/]+\.(keras|onnx)", self.model):
            return [
                f"embed.pretrained.model is {self.model!r}, but must be one of "
                f"{', '.join(NETWORKS)}, or a .keras or .onnx file in {_FOLDER}"
            ]
        if self.scaling == "own":
            return [
                "embed.pretrained.scaling is 'own', but must be 'none', 'unit', 'symmetric', "
                "'imagenet' or 'clip' for a file of one's own: what its network was trained with"
            ]
        return []

    def build(self, image_shape: tuple[int, ...], seed: int) -> Transformer:
        from fewlabel.embeddings.frozen_network import of_catalog, of_file
        from fewlabel.embeddings.onnx_network import of_onnx_file
        from fewlabel.embeddings.pretrained_embedding import PretrainedEmbedding

        if self.model in NETWORKS:
            content = of_catalog(self.model, self.image_size)
        else:
            read = of_onnx_file if self.model.endswith(".onnx") else of_file
            content = read(self.model, self.image_size, self.scaling, self.tokens)
        return PretrainedEmbedding(
            content, image_shape, variance_power=self.variance_power, random_state=seed
        )

    @staticmethod
    def onnx_part(embedding: Any) -> OnnxPart | None:
        from fewlabel.embeddings.onnx_network import OnnxNetwork

        network = embedding.network_
        return network if isinstance(network, OnnxNetwork) else None
