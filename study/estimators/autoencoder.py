"""A classifier on the code of an autoencoder that has seen all images."""

import numpy as np
from sklearn.utils.validation import validate_data

from fewlabel.classifiers.networks import KerasClassifier, fit_network
from fewlabel.keras_session import new_session, predict
from study.estimators.labels import encode_labels


class AutoencoderClassifier(KerasClassifier):
    """Dense autoencoder of all images, frozen; a dense head on its code, taught by the labels.

    Both are trained with Adam and a one-cycle learning rate: the autoencoder to the least squared
    error of the pixels, the head to the least cross-entropy.

    Parameters
    ----------
    encoder_units : tuple of ints, default=(300, 200, 100)
        Units of the encoder's layers; the decoder mirrors them.
    head_units : tuple of ints, default=(50,)
        Hidden units of the head, before one unit per class.
    epochs : int, default=20
        Passes over all images.
    head_epochs : int, default=50
        Passes over the labeled images.
    batch_size : int, default=128
    learning_rate : float, default=0.001
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    model_ : keras.Model
        Maps pixels to class probabilities; not compiled.
    """

    def __init__(
        self,
        encoder_units=(300, 200, 100),
        head_units=(50,),
        epochs=20,
        head_epochs=50,
        batch_size=128,
        learning_rate=0.001,
        random_state=None,
    ):
        self.encoder_units = encoder_units
        self.head_units = head_units
        self.epochs = epochs
        self.head_epochs = head_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X, y):
        """Train the autoencoder on all images, then the head on the labeled ones.

        Parameters
        ----------
        X : array-like of shape (n_images, n_pixels)
        y : array-like of shape (n_images,)
            -1 where unlabeled.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        self.classes_, codes = encode_labels(y)
        keras, seed = new_session(self.random_state)
        steps = {
            "min_steps": 1,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "seed": seed,
        }
        pixels = keras.Input(X.shape[1:])
        code = dense_layers(keras, pixels, self.encoder_units)
        decoded = dense_layers(keras, code, self.encoder_units[-2::-1])
        reconstruction = keras.layers.Dense(X.shape[1])(decoded)
        autoencoder = keras.Model(pixels, reconstruction, name="autoencoder")
        fit_network(keras, autoencoder, "mean_squared_error", X, X, epochs=self.epochs, **steps)

        labeled = codes >= 0
        features = predict(keras.Model(pixels, code), X[labeled])
        one_hot = np.eye(len(self.classes_), dtype=np.float32)[codes[labeled]]
        head_input = keras.Input(features.shape[1:])
        hidden = dense_layers(keras, head_input, self.head_units)
        probabilities = keras.layers.Dense(len(self.classes_), "softmax")(hidden)
        head = keras.Model(head_input, probabilities, name="head")
        loss = "categorical_crossentropy"
        fit_network(keras, head, loss, features, one_hot, epochs=self.head_epochs, **steps)
        self.model_ = keras.Model(pixels, head(code))
        return self


def dense_layers(keras, outputs, units):
    """Stack dense layers with ReLU on the outputs of another layer."""
    for n_units in units:
        outputs = keras.layers.Dense(n_units, "relu")(outputs)
    return outputs
