"""cnn_mlp_ensemble for gray images of at most 64 x 64 pixels, logistic_regression for others."""

from typing import ClassVar

from fewlabel.methods import ClassifierMethod, are_photographs


class Settings(ClassifierMethod):
    """Nothing to set."""

    candidates: ClassVar[tuple[str, ...]] = ("cnn_mlp_ensemble", "logistic_regression")

    def choose(self, image_shape: tuple[int, ...]) -> str:
        return "logistic_regression" if are_photographs(image_shape) else "cnn_mlp_ensemble"
