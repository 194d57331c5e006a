"""What networks have in common: their settings, and how they are built of them."""

from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import Field

from fewlabel.arrays import Classifier
from fewlabel.methods import MAX_INT, ClassifierMethod, PositiveFloat, PositiveInt

Epochs = Annotated[PositiveInt, Field(description="Passes over the labeled images.")]
MinSteps = Annotated[
    PositiveInt, Field(description="At least this many gradient steps, however few the labels are.")
]
BatchSize = Annotated[int, Field(ge=2, le=MAX_INT, description="Images per gradient step.")]
LearningRate = Annotated[
    PositiveFloat, Field(description="Of Adam, at its peak; it warms up, then falls to zero.")
]
LabelSmoothing = Annotated[
    float,
    Field(ge=0, lt=1, description="Share of a label's probability given to all classes alike."),
]
Features = Annotated[
    Literal["pixels", "embedding"], Field(description="What it reads: pixels or embedding.")
]


class NetworkMethod(ClassifierMethod):
    """A network that is trained from scratch."""

    epochs: Epochs
    min_steps: MinSteps = 300
    batch_size: BatchSize
    learning_rate: LearningRate = 0.001
    label_smoothing: LabelSmoothing

    def build(self, image_shape: tuple[int, ...] | None, seed: int) -> Classifier:
        from fewlabel.classifiers.networks import NetworkClassifier

        settings = self.model_dump(exclude={"features"})
        return NetworkClassifier(self.name, image_shape, random_state=seed, **settings)

    @staticmethod
    def to_keras(keras: ModuleType, classifier: Any, rows: Any) -> Any:
        return classifier(keras.layers.Reshape(classifier.input_shape[1:])(rows))

    @staticmethod
    def network(keras: ModuleType, input_shape: tuple[int, ...], n_classes: int) -> Any:
        """Return an untrained network; `input_shape` is height, width and channels."""
        raise NotImplementedError
