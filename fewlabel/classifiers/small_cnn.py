"""The convolutional network of the published notebook."""

from types import ModuleType
from typing import Any

from fewlabel.classifiers.network_method import BatchSize, Epochs, LabelSmoothing, NetworkMethod


class Settings(NetworkMethod):
    epochs: Epochs = 5
    batch_size: BatchSize = 128
    label_smoothing: LabelSmoothing = 0.0

    @staticmethod
    def network(keras: ModuleType, input_shape: tuple[int, ...], n_classes: int) -> Any:
        """Three convolutions, two halved by max pooling, and two dense layers.

        The network of the published notebook that clusters MNIST, except for padding, without which
        no image of fewer than 18 pixels per side gets through.
        """
        layers = keras.layers
        return keras.Sequential(
            [
                keras.Input(input_shape),
                layers.Conv2D(8, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(2, padding="same"),
                layers.Conv2D(16, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(2, padding="same"),
                layers.Conv2D(32, 3, padding="same", activation="relu"),
                layers.Flatten(),
                layers.Dense(64, "relu"),
                layers.Dense(n_classes, "softmax"),
            ],
            name="small_cnn",
        )
