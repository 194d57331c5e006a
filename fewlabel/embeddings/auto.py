"""patches for gray images of at most 64 x 64 pixels, pretrained for others."""

from typing import ClassVar

from fewlabel.methods import EmbeddingMethod, are_photographs


class Settings(EmbeddingMethod):
    """Nothing to set."""

    candidates: ClassVar[tuple[str, ...]] = ("patches", "pretrained")

    def choose(self, image_shape: tuple[int, ...]) -> str:
        return "pretrained" if are_photographs(image_shape) else "patches"
