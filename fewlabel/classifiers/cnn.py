"""Our convolutional network."""

from types import ModuleType
from typing import Any

from pydantic import Field

from fewlabel.classifiers import network_method


class Settings(network_method.NetworkMethod):
    epochs: network_method.Epochs = 4
    batch_size: network_method.BatchSize = 128
    learning_rate: network_method.LearningRate = 0.003
    label_smoothing: network_method.LabelSmoothing = 0.1
    augment: bool = Field(
        True,
        description="true or false: shift images and cut squares out of them while training.",
    )

    @property
    def needs_unit_pixels(self) -> str | None:
        return "train.cnn.augment is True" if self.augment else None

    @staticmethod
    def network(keras: ModuleType, input_shape: tuple[int, ...], n_classes: int) -> Any:
        """Three convolutions, each halved by max pooling and normalized, and one dense layer."""
        layers = keras.layers
        hidden = []
        for filters in (32, 64, 128):
            hidden += [
                layers.Conv2D(filters, 3, padding="same", use_bias=False),
                # Before normalization and activation, which then have a quarter of the work.
                layers.MaxPooling2D(2, padding="same"),
                layers.BatchNormalization(momentum=0.9),
                layers.Activation("relu"),
            ]
        hidden += [layers.Flatten(), layers.Dropout(0.3)]
        return keras.Sequential(
            [keras.Input(input_shape), *hidden, layers.Dense(n_classes, "softmax")], name="cnn"
        )
