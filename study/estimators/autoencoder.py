"""A classifier on the code of an autoencoder that has seen all images."""

import numpy as np
from sklearn.metrics import mean_squared_error
from sklearn.utils.validation import validate_data

from fewlabel.classifiers.networks import KerasClassifier
from fewlabel.keras_session import new_session, predict
from fewlabel.parallel import progress
from study.estimators.labels import encode_labels

_HELD_OUT = 0.2


class AutoencoderClassifier(KerasClassifier):
    """Dense autoencoder of all images; then a dense head on its code, taught by the labels.

    Each is trained on the first 80 % of its images until an error on the last 20 % has not fallen
    for some epochs; the weights of the best epoch are kept. The autoencoder is trained with Nadam
    to the binary cross-entropy of pixels, until their squared error is least; the head with Adam to
    the cross-entropy of classes, until the fewest are wrong.

    Parameters
    ----------
    encoder_units : tuple of ints, default=(300, 200, 100)
        Units of the encoder's layers; the decoder mirrors them, and ends in a sigmoid.
    head_units : tuple of ints, default=(50,)
        Hidden units of the head, before one unit per class.
    is_frozen : bool, default=True
        Whether the labels leave the encoder alone; if not, it is trained along with the head.
    epochs : int, default=1000
        The most of either training.
    patience, head_patience : int, default=10 and 20
        Epochs without anything better, after which training stops.
    batch_size : int, default=32
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
        *,
        is_frozen=True,
        epochs=1000,
        patience=10,
        head_patience=20,
        batch_size=32,
        random_state=None,
    ):
        self.encoder_units = encoder_units
        self.head_units = head_units
        self.is_frozen = is_frozen
        self.epochs = epochs
        self.patience = patience
        self.head_patience = head_patience
        self.batch_size = batch_size
        self.random_state = random_state

    def fit(self, X, y):
        """Train the autoencoder on all images, then the head on the labeled ones.

        Parameters
        ----------
        X : array-like of shape (n_images, n_pixels)
            From 0 to 1.
        y : array-like of shape (n_images,)
            -1 where unlabeled.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        self.classes_, codes = encode_labels(y)
        keras, seed = new_session(self.random_state)
        rng = np.random.default_rng(seed)
        pixels = keras.Input(X.shape[1:])
        code = _dense_layers(keras, pixels, self.encoder_units)
        decoded = _dense_layers(keras, code, self.encoder_units[-2::-1])
        reconstruction = keras.layers.Dense(X.shape[1], "sigmoid")(decoded)
        autoencoder = keras.Model(pixels, reconstruction, name="autoencoder")
        autoencoder.compile("nadam", "binary_crossentropy")
        self._train(autoencoder, X, X, mean_squared_error, self.patience, rng)

        keras.Model(pixels, code).trainable = not self.is_frozen
        hidden = _dense_layers(keras, code, self.head_units)
        probabilities = keras.layers.Dense(len(self.classes_), "softmax")(hidden)
        classifier = keras.Model(pixels, probabilities, name="head")
        classifier.compile("adam", "categorical_crossentropy")
        labeled = codes >= 0
        one_hot = np.eye(len(self.classes_), dtype=np.float32)[codes[labeled]]
        self._train(classifier, X[labeled], one_hot, _share_wrong, self.head_patience, rng)
        self.model_ = keras.Model(pixels, probabilities)
        return self

    def _train(self, model, X, targets, error_of, patience, rng):
        """Train a compiled model, and keep the weights with the least error on images held out."""
        import tensorflow as tf

        n_held_out = max(int(_HELD_OUT * len(X)), 1)
        images, aims = (tf.constant(array[:-n_held_out]) for array in (X, targets))
        model.optimizer.build(model.trainable_variables)

        # An epoch in a graph takes less than half of the time that Keras's `fit` takes.
        @tf.function
        def train_epoch(order):
            for start in tf.range(0, len(order), self.batch_size):
                rows = order[start : start + self.batch_size]
                model.train_step((tf.gather(images, rows), tf.gather(aims, rows)))

        least, since_least, weights = np.inf, 0, model.get_weights()
        for _ in progress(range(self.epochs), f"train {model.name}, at most"):
            train_epoch(tf.constant(rng.permutation(len(images))))
            error = error_of(targets[-n_held_out:], predict(model, X[-n_held_out:]))
            if error < least:
                least, since_least, weights = error, 0, model.get_weights()
            else:
                since_least += 1
            if since_least == patience:
                break
        model.set_weights(weights)


def _share_wrong(one_hot, probabilities):
    return np.mean(one_hot.argmax(axis=1) != probabilities.argmax(axis=1))


def _dense_layers(keras, outputs, units):
    """Stack dense layers with ReLU on the outputs of another layer."""
    for n_units in units:
        outputs = keras.layers.Dense(n_units, "relu")(outputs)
    return outputs
