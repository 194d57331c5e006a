"""The pixels as they are."""

from types import ModuleType
from typing import Any

from fewlabel.arrays import Transformer
from fewlabel.methods import EmbeddingMethod


class Settings(EmbeddingMethod):
    """Nothing to set."""

    def build(self, image_shape: tuple[int, ...], seed: int) -> Transformer:
        from sklearn.preprocessing import FunctionTransformer

        identity: Transformer = FunctionTransformer()
        return identity

    @staticmethod
    def to_keras(keras: ModuleType, embedding: Any, rows: Any) -> Any:
        return rows
