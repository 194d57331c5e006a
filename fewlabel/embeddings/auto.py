"""patches for gray images of at most 64 x 64 pixels, pretrained for others."""

from typing import ClassVar

from fewlabel.methods import EmbeddingMethod


class Settings(EmbeddingMethod):
    """Nothing to set."""

    candidates: ClassVar[tuple[str, ...]] = ("patches", "pretrained")
