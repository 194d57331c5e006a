"""The convolutional network of nn_clusters, with its training (docs/study.md names its source)."""

import numpy as np

from fewlabel.classifiers.networks import KerasClassifier
from fewlabel.keras_session import new_session

_HELD_OUT = 0.1
_LEAST_PIXELS = 7  # per side: less does not get through three convolutions


class EarlyStoppedCNN(KerasClassifier):
    """Three convolutions, one to a single channel, and a dense layer; trained by Keras's `fit`.

    It learns from the first 90 % of its images until the loss on the last 10 % has not fallen for
    some epochs, and keeps the weights of its last epoch. As published, its outputs are sigmoids,
    whose cross-entropy is that of their shares.

    Parameters
    ----------
    image_shape : tuple of ints or None, default=None
        Height and width of the images whose pixels are the rows of ``X``, and channels unless it is
        one; None takes a row as an image of one pixel's height. Those of fewer than 7 pixels per
        side get a black margin.
    epochs : int, default=100
        The most.
    patience : int, default=8
        Epochs without a lower loss, after which training stops.
    batch_size : int, default=32
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    model_ : keras.Model
        Maps images to class probabilities; not compiled.
    n_epochs_ : int
        Epochs that it was trained for.
    """

    def __init__(
        self, image_shape=None, *, epochs=100, patience=8, batch_size=32, random_state=None
    ):
        self.image_shape = image_shape
        self.epochs = epochs
        self.patience = patience
        self.batch_size = batch_size
        self.random_state = random_state

    def fit(self, X, y):
        """Train on labeled images.

        Parameters
        ----------
        X : array-like of shape (n_images, n_pixels)
            From 0 to 1.
        y : array-like of shape (n_images,)
        """
        X, y = self._check(X, y)
        self.classes_, targets = np.unique(y, return_inverse=True)
        keras, _ = new_session(self.random_state)
        pixels = keras.Input((*(self.image_shape or (1, X.shape[1])), 1)[:3])
        outputs = _layers(keras, pixels, len(self.classes_))
        network = keras.Model(pixels, outputs)
        network.compile("adam", "sparse_categorical_crossentropy")
        history = network.fit(
            X.reshape(len(X), *pixels.shape[1:]),
            targets,
            batch_size=self.batch_size,
            epochs=self.epochs,
            validation_split=_HELD_OUT,
            callbacks=[keras.callbacks.EarlyStopping(patience=self.patience)],
            verbose=0,
        )
        self.n_epochs_ = len(history.epoch)
        shares = outputs / keras.ops.sum(outputs, axis=-1, keepdims=True)
        self.model_ = keras.Model(pixels, shares)
        return self


def _layers(keras, outputs, n_classes):
    layers = keras.layers
    missing = [max(_LEAST_PIXELS - n, 0) for n in outputs.shape[1:3]]
    for layer in (
        layers.ZeroPadding2D([(n // 2, n - n // 2) for n in missing]),
        *(layers.Conv2D(filters, 3, activation="relu") for filters in (32, 64, 128)),
        layers.Conv2D(1, 1, activation="relu"),
        layers.Flatten(),
        layers.Dense(64, "relu"),
        layers.Dense(n_classes, "sigmoid"),
    ):
        outputs = layer(outputs)
    return outputs
