"""One wide hidden layer."""

from types import ModuleType
from typing import Any

from fewlabel.classifiers import network_method


class WideMlp(network_method.NetworkMethod):
    """Its settings, except what it reads."""

    epochs: network_method.Epochs = 4
    batch_size: network_method.BatchSize = 256
    label_smoothing: network_method.LabelSmoothing = 0.1

    @staticmethod
    def network(keras: ModuleType, input_shape: tuple[int, ...], n_classes: int) -> Any:
        """One wide hidden layer, with much noise, so that it learns no single wrong label."""
        layers = keras.layers
        return keras.Sequential(
            [
                keras.Input(input_shape),
                layers.Flatten(),
                layers.GaussianNoise(0.5),
                layers.Dense(2048, use_bias=False),
                layers.BatchNormalization(momentum=0.9),
                layers.Activation("relu"),
                layers.Dropout(0.5),
                layers.Dense(n_classes, "softmax"),
            ],
            name="wide_mlp",
        )


class Settings(WideMlp):
    features: network_method.Features = "embedding"
