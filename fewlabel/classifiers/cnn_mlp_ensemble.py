"""The mean of a CNN on pixels and a wide dense network on the embedding."""

from pydantic import Field

from fewlabel.classifiers.cnn import Settings as CnnSettings
from fewlabel.classifiers.wide_mlp import WideMlp
from fewlabel.methods import ClassifierMethod


class Settings(ClassifierMethod):
    cnn: CnnSettings = Field(CnnSettings(), description="As for cnn.")
    wide_mlp: WideMlp = Field(WideMlp(), description="As for wide_mlp.")

    @property
    def reads(self):
        return "pixels and embedding"

    @property
    def needs_unit_pixels(self):
        return "cnn.augment" if self.cnn.augment else None

    def build(self, image_shape, seed):
        from fewlabel.classifiers.networks import EnsembleClassifier

        return EnsembleClassifier(image_shape, **self.model_dump(), random_state=seed)
