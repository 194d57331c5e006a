"""cnn_mlp_ensemble for gray images of at most 64 x 64 pixels, logistic_regression for others."""

from typing import ClassVar

from fewlabel.methods import ClassifierMethod


class Settings(ClassifierMethod):
    """Nothing to set."""

    candidates: ClassVar[tuple[str, ...]] = ("cnn_mlp_ensemble", "logistic_regression")
