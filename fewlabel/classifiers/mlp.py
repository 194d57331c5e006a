"""Seven dense layers."""

from types import ModuleType
from typing import Any

from fewlabel.classifiers import network_method


class Settings(network_method.NetworkMethod):
    epochs: network_method.Epochs = 4
    batch_size: network_method.BatchSize = 256
    label_smoothing: network_method.LabelSmoothing = 0.1
    features: network_method.Features = "embedding"

    @staticmethod
    def network(keras: ModuleType, input_shape: tuple[int, ...], n_classes: int) -> Any:
        """Seven dense layers: 512, 256, 128, 64, 32, 16 and one per class."""
        layers = [keras.layers.Flatten()]
        layers += [keras.layers.Dense(units, "relu") for units in (512, 256, 128, 64, 32, 16)]
        return keras.Sequential(
            [keras.Input(input_shape), *layers, keras.layers.Dense(n_classes, "softmax")],
            name="mlp",
        )
