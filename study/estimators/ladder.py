"""The ladder network: a classifier that also learns to denoise, which needs no labels.

A. Rasmus, H. Valpola, M. Honkala, M. Berglund, T. Raiko, "Semi-Supervised Learning with Ladder
Networks", NIPS 2015. Letters are the paper's: z are a layer's normalized activations, h what it
passes on, u what the decoder brings down from the layer above.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data

from fewlabel.classifiers.networks import KerasClassifier
from fewlabel.keras_session import new_session
from fewlabel.parallel import progress
from study.estimators.labels import encode_labels

_EPSILON = 1e-10


class LadderWeights(NamedTuple):
    """What is trained; layers have ``n_units[0]`` pixels to ``n_units[-1]`` classes.

    Parameters
    ----------
    kernels : list of arrays of shape (n_units[i], n_units[i + 1])
    betas : list of arrays of shape (n_units[i + 1],)
    gamma : array of shape (n_units[-1],)
    decoder_kernels : list of arrays of shape (n_units[i + 1], n_units[i])
    combinators : list of arrays of shape (10, n_units[i])
        a1 to a10 of `combine`.
    """

    kernels: list
    betas: list
    gamma: object
    decoder_kernels: list
    combinators: list


def initial_weights(n_units, rng):
    """Draw `LadderWeights` of float32 arrays, for a sequence of layer sizes."""

    def kernel(n_inputs, n_outputs):
        return rng.standard_normal((n_inputs, n_outputs), np.float32) / np.float32(n_inputs**0.5)

    a2_and_a7 = np.isin(np.arange(10), (1, 6)).astype(np.float32)
    return LadderWeights(
        kernels=[kernel(below, above) for below, above in pairwise(n_units)],
        betas=[np.zeros(n, np.float32) for n in n_units[1:]],
        gamma=np.ones(n_units[-1], np.float32),
        decoder_kernels=[kernel(above, below) for below, above in pairwise(n_units)],
        combinators=[np.tile(a2_and_a7[:, None], n) for n in n_units],
    )


def combine(z, u, a):
    """Estimate clean activations from noisy ones and the layer above: the `gauss` combinator.

    Parameters
    ----------
    z, u : tensor of shape (n_images, n_units)
    a : tensor of shape (10, n_units)

    Returns
    -------
    tensor of shape (n_images, n_units)
    """
    import tensorflow as tf

    a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = tf.unstack(a)
    mean = a1 * tf.sigmoid(a2 * u + a3) + a4 * u + a5
    gain = a6 * tf.sigmoid(a7 * u + a8) + a9 * u + a10
    return (z - mean) * gain + mean


def standardize(z):
    """Batch-normalize activations; return also their mean and standard deviation, by unit."""
    import tensorflow as tf

    mean = tf.reduce_mean(z, axis=0)
    centered = z - mean
    std = tf.sqrt(tf.reduce_mean(tf.square(centered), axis=0) + _EPSILON)
    return centered / std, mean, std


def ladder_cost(weights, labeled, targets, unlabeled, noises, denoising_weights):
    """Cross-entropy of noisy labeled images, plus what it costs to denoise unlabeled ones.

    Parameters
    ----------
    weights : LadderWeights
    labeled : tensor of shape (n_labeled, n_pixels)
    targets : tensor of shape (n_labeled,), int
        Position of each image's class.
    unlabeled : tensor of shape (n_unlabeled, n_pixels)
    noises : list of tensors of shape (n_labeled + n_unlabeled, n_units[i])
        For each layer, the input first; rows of the labeled images first.
    denoising_weights : sequence of float
        For each layer, the input first.

    Returns
    -------
    tensor of shape ()
    """
    import tensorflow as tf

    n_labeled, n_unlabeled = labeled.shape[0], unlabeled.shape[0]
    # One product for all three parts that go up the encoder; each has statistics of its own.
    sizes = [n_labeled, n_unlabeled, n_unlabeled]
    noisy = tf.concat([labeled, unlabeled], 0) + noises[0]
    h = tf.concat([noisy, unlabeled], 0)
    layers = [(noisy[n_labeled:], unlabeled, 0.0, 1.0)]
    for kernel, beta, noise in zip(weights.kernels, weights.betas, noises[1:], strict=True):
        parts = [standardize(part) for part in tf.split(h @ kernel, sizes)]
        (z_labeled, _, _), (z_unlabeled, _, _), (z_clean, mean, std) = parts
        noisy = tf.concat([z_labeled, z_unlabeled], 0) + noise
        layers.append((noisy[n_labeled:], z_clean, mean, std))
        h = tf.nn.relu(tf.concat([noisy, z_clean], 0) + beta)
    logits = (noisy + weights.betas[-1]) * weights.gamma
    cost = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits[:n_labeled])
    )
    u = tf.nn.softmax(logits[n_labeled:])
    for i in reversed(range(len(layers))):
        z_noisy, z_clean, mean, std = layers[i]
        z_estimated = combine(z_noisy, standardize(u)[0], weights.combinators[i])
        error = (z_estimated - mean) / std - z_clean
        cost += denoising_weights[i] * tf.reduce_mean(tf.square(error))
        if i:
            u = z_estimated @ weights.decoder_kernels[i - 1]
    return cost


def endless_batches(rows, batch_size, rng):
    """Pass over an array of rows repeatedly, each time in a new order, in batches.

    All have one size, or all rows if these are fewer: what is left of a pass goes into the next
    one's first batch, since few images have poor batch statistics, and a single one has none.
    """
    batch_size = min(batch_size, len(rows))
    left = rows[:0]
    while True:
        if len(left) < batch_size:
            left = np.concatenate([left, rng.permutation(rows)])
        yield left[:batch_size]
        left = left[batch_size:]


def decayed(learning_rate, step, n_steps):
    """Learning rate of a step: constant, then falling linearly to zero over the last third."""
    return learning_rate * min(1, 3 * (1 - step / n_steps))


def build_step(weights, denoising_weights, noise, seed):
    """Compile one step of Adam on `ladder_cost`.

    Parameters
    ----------
    weights : LadderWeights of tf.Variables
        What the step changes.
    denoising_weights : sequence of float
    noise : float
        Standard deviation.
    seed : int

    Returns
    -------
    callable (labeled, targets, unlabeled, number, learning_rate)
        The number of the step starts at one.
    """
    import tensorflow as tf

    variables = tf.nest.flatten(weights)
    means, variances = ([tf.Variable(tf.zeros_like(v)) for v in variables] for _ in range(2))
    n_units = [a.shape[1] for a in weights.combinators]

    @tf.function(autograph=False)
    def step(labeled, targets, unlabeled, number, learning_rate):
        n_images = labeled.shape[0] + unlabeled.shape[0]
        noises = [
            noise * tf.random.stateless_normal((n_images, n), (seed, number * len(n_units) + i))
            for i, n in enumerate(n_units)
        ]
        with tf.GradientTape() as tape:
            cost = ladder_cost(weights, labeled, targets, unlabeled, noises, denoising_weights)
        gradients = tape.gradient(cost, variables)
        t = tf.cast(number, tf.float32)
        adam = {"lr": learning_rate, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
        adam |= {"beta1_power": 0.9**t, "beta2_power": 0.999**t}
        for changed, m, v, gradient in zip(variables, means, variances, gradients, strict=True):
            # Not Keras's Adam, which takes nearly as long as all the rest of a step.
            tf.raw_ops.ResourceApplyAdam(
                var=changed.handle, m=m.handle, v=v.handle, grad=gradient, **adam
            )

    return step


def clean_model(keras, weights, X):
    """Fold the batch statistics of all images into the clean encoder, as plain dense layers."""
    import tensorflow as tf

    model = keras.Sequential([keras.Input(X.shape[1:])], name="ladder")
    h = X
    top = len(weights.kernels) - 1
    for i in progress(range(top + 1), "batch statistics"):
        z, mean, std = standardize(h @ weights.kernels[i])
        beta = weights.betas[i]
        scale = weights.gamma if i == top else 1.0
        layer = keras.layers.Dense(beta.shape[0], "softmax" if i == top else "relu")
        model.add(layer)
        layer.set_weights([weights.kernels[i] / std * scale, (beta - mean / std) * scale])
        h = tf.nn.relu(z + beta)
    return model


class LadderClassifier(KerasClassifier):
    """A ladder network: learns from labeled images and, by denoising them, from all images.

    Parameters
    ----------
    hidden_units : tuple of ints, default=(1000, 500, 250, 250, 250)
    denoising_weights : tuple of floats, default=(1000.0, 10.0, 0.1, 0.1, 0.1, 0.1, 0.1)
        Of each layer's squared error: input, hidden layers, classes. With 50 and with 1,000 labels
        of MNIST, the authors double the first two.
    noise : float, default=0.3
        Standard deviation of the noise on pixels and on each layer's normalized activations.
    epochs : int, default=15
        Passes over all images.
    labeled_batch_size, unlabeled_batch_size : int >= 2, default=100, 250
        Images of each kind in a step; all of them where they are fewer.
    learning_rate : float, default=0.004
        Of Adam; it falls to zero over the last third of the steps.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    model_ : keras.Model
        Maps pixels to class probabilities; not compiled.
    """

    def __init__(
        self,
        hidden_units=(1000, 500, 250, 250, 250),
        denoising_weights=(1000.0, 10.0, 0.1, 0.1, 0.1, 0.1, 0.1),
        noise=0.3,
        epochs=15,
        labeled_batch_size=100,
        unlabeled_batch_size=250,
        learning_rate=0.004,
        random_state=None,
    ):
        self.hidden_units = hidden_units
        self.denoising_weights = denoising_weights
        self.noise = noise
        self.epochs = epochs
        self.labeled_batch_size = labeled_batch_size
        self.unlabeled_batch_size = unlabeled_batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X, y):
        """Train on labeled and unlabeled images.

        Parameters
        ----------
        X : array-like of shape (n_images, n_pixels)
        y : array-like of shape (n_images,)
            -1 where unlabeled.

        Raises
        ------
        ValueError
            If a batch size is below 2, or there is not one denoising weight for each layer.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        self.classes_, codes = encode_labels(y)
        n_units = (X.shape[1], *self.hidden_units, len(self.classes_))
        self._check_parameters(len(n_units))
        keras, seed = new_session(self.random_state)
        weights = self._train(X, codes, n_units, seed)
        self.model_ = clean_model(keras, weights, X)
        return self

    def _check_parameters(self, n_layers):
        if len(self.denoising_weights) != n_layers:
            raise ValueError(
                f"denoising_weights must be {n_layers} numbers, of the input, of each of the "
                f"hidden_units and of the classes, not {len(self.denoising_weights)}"
            )
        for name in ("labeled_batch_size", "unlabeled_batch_size"):
            if (size := getattr(self, name)) < 2:
                raise ValueError(f"{name} must be at least 2, not {size}: it is normalized")

    def _train(self, X, codes, n_units, seed):
        import tensorflow as tf

        rng = np.random.default_rng(seed)
        weights = tf.nest.map_structure(tf.Variable, initial_weights(n_units, rng))
        step = build_step(weights, self.denoising_weights, self.noise, seed)
        labeled = endless_batches(np.flatnonzero(codes >= 0), self.labeled_batch_size, rng)
        unlabeled = endless_batches(np.arange(len(X)), self.unlabeled_batch_size, rng)
        n_steps = self.epochs * max(len(X) // self.unlabeled_batch_size, 1)
        for i in progress(range(n_steps), "train ladder"):
            rows = next(labeled)
            learning_rate = np.float32(decayed(self.learning_rate, i, n_steps))
            step(X[rows], codes[rows], X[next(unlabeled)], np.int32(i + 1), learning_rate)
        return weights
