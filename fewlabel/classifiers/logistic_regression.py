"""Multinomial logistic regression."""

from typing import TYPE_CHECKING

from pydantic import Field

from fewlabel.classifiers.network_method import Features
from fewlabel.methods import ClassifierMethod, PositiveFloat, PositiveInt

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression


class Settings(ClassifierMethod):
    features: Features = "embedding"
    C: PositiveFloat = Field(0.1, description="Inverse strength of the L2 penalty.")
    max_iter: PositiveInt = Field(
        500, description="Most iterations of the solver; it stops earlier where it has converged."
    )

    def build(self, image_shape: tuple[int, ...] | None, seed: int) -> "LogisticRegression":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=self.C, max_iter=self.max_iter, random_state=seed)

    def problem(self, classifier: "LogisticRegression") -> str | None:
        import numpy as np

        if np.isfinite(classifier.coef_).all():
            return None
        return (
            f"logistic_regression.C is {self.C:g}, but the coefficients became infinite or not a "
            "number in training; choose one nearer to 1"
        )
