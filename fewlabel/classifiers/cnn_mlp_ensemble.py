"""The mean of a CNN on pixels and a wide dense network on the embedding."""

from types import ModuleType
from typing import Any

from pydantic import Field

from fewlabel.arrays import Classifier
from fewlabel.classifiers.cnn import Settings as CnnSettings
from fewlabel.classifiers.wide_mlp import WideMlp
from fewlabel.methods import ClassifierMethod, Reads


class Settings(ClassifierMethod):
    cnn: CnnSettings = Field(CnnSettings(), description="As for cnn.")
    wide_mlp: WideMlp = Field(WideMlp(), description="As for wide_mlp.")

    @property
    def reads(self) -> Reads:
        return "pixels and embedding"

    @property
    def needs_unit_pixels(self) -> str | None:
        return "train.cnn_mlp_ensemble.cnn.augment is True" if self.cnn.augment else None

    def build(self, image_shape: tuple[int, ...] | None, seed: int) -> Classifier:
        from fewlabel.classifiers.networks import EnsembleClassifier

        return EnsembleClassifier(image_shape, **self.model_dump(), random_state=seed)

    @staticmethod
    def to_keras(keras: ModuleType, classifier: Any, rows: Any) -> Any:
        return classifier(rows)
