"""Multinomial logistic regression."""

from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from fewlabel.arrays import Classifier, Floats
from fewlabel.classifiers.network_method import Features
from fewlabel.errors import FewlabelError
from fewlabel.keras_layers import dense
from fewlabel.methods import ClassifierMethod, PositiveFloat, PositiveInt


class Settings(ClassifierMethod):
    features: Features = "embedding"
    C: PositiveFloat = Field(
        10.0, description="How much the mean loss of a label counts against the L2 penalty."
    )
    max_iter: PositiveInt = Field(
        500, description="Most iterations of the solver; it stops earlier where it has converged."
    )

    is_overconfident: ClassVar[bool] = True

    def build(self, image_shape: tuple[int, ...] | None, seed: int) -> Classifier:
        from sklearn.linear_model import LogisticRegression

        classifier: Classifier = LogisticRegression(
            C=self.C, max_iter=self.max_iter, random_state=seed
        )
        return classifier

    def fit_arguments(self, weights: Floats) -> dict[str, Any]:
        # A mean, so that a penalty suits a few labels and all pseudo-labels alike.
        return {"sample_weight": weights / weights.sum(dtype=np.float64)}

    @staticmethod
    def to_keras(keras: ModuleType, classifier: Any, rows: Any) -> Any:
        kernel, bias = classifier.coef_.T, classifier.intercept_
        if len(classifier.classes_) == 2:  # the score of the second, beside 0 for the first
            kernel, bias = np.hstack([0 * kernel, kernel]), np.hstack([0 * bias, bias])
        return dense(keras, rows, kernel, bias, "softmax")

    def check(self, classifier: Any) -> None:
        if not np.isfinite(classifier.coef_).all():
            raise FewlabelError(
                f"logistic_regression.C is {self.C:g}, but the coefficients became infinite or "
                "not a number in training; choose one nearer to 1"
            )
