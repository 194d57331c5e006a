"""Keras networks behind scikit-learn's classifier protocol.

TensorFlow takes seconds to import, so it is imported where a network is built, fitted or loaded.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from threading import Event
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.random import Generator, RandomState
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.arrays import FLOAT_BYTES, INDEX_BYTES, Array, Floats, blocks
from fewlabel.errors import FewlabelError
from fewlabel.keras_session import MAX_PREDICTED, import_keras, new_session, output_shapes, predict
from fewlabel.memory import require_memory
from fewlabel.methods import settings_of
from fewlabel.parallel import progress
from fewlabel.rows import ImageRows, Rows

_SHIFT_PIXELS = 2
_CUTOUT_SHARE = 0.3
_TRAIN_BYTES = 2**28  # twice as much where a batch leaves a remainder


class DivergedError(FewlabelError):
    """Training left the finite numbers; the message begins with network and setting."""


def random_shift_and_cutout(images: Floats, rng: Generator) -> Floats:
    """Move each image by up to 2 pixels and blank a random square of it.

    T. DeVries, G. Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout",
    2017. Images, and what is returned, are of shape (n_images, height, width, n_channels).
    """
    n, height, width = images.shape[:3]
    padded = np.pad(images, [(0, 0), *[(_SHIFT_PIXELS, _SHIFT_PIXELS)] * 2, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    tops, lefts = rng.integers(2 * _SHIFT_PIXELS + 1, size=(2, n))
    shifted = np.moveaxis(windows[np.arange(n), tops, lefts], 1, -1)
    inside: Any = True
    for axis, side in ((1, height), (2, width)):
        half = side * _CUTOUT_SHARE / 2
        center = rng.integers(side, size=(n, 1, 1, 1))
        position = np.arange(side).reshape([-1 if a == axis else 1 for a in range(4)])
        inside = inside & (np.abs(position - center) < half)
    return np.where(inside, np.float32(0), shifted)


class KerasClassifier(ClassifierMixin, BaseEstimator):
    """Predicts by ``model_``, a Keras model from images to the probabilities of ``classes_``."""

    def _check(self, X: ArrayLike | ImageRows, y: ArrayLike) -> tuple[Rows, Array]:
        """Return rows, of which memory need not hold all, and labels."""
        if isinstance(X, ImageRows):
            return X, np.asarray(y)
        rows, labels = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(labels)
        return rows, labels

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return class probabilities, of shape (n_images, n_classes), columns as ``classes_``."""
        check_is_fitted(self)
        return predict(self.model_, validate_data(self, X, dtype=np.float32, reset=False))

    def predict(self, X: ArrayLike) -> Array:
        """Return the most probable class of each image, of shape (n_images,)."""
        probabilities = self.predict_proba(X)
        classes: Array = self.classes_[probabilities.argmax(axis=1)]
        return classes


class NetworkClassifier(KerasClassifier):
    """A Keras network trained from scratch with Adam and a one-cycle learning rate.

    Parameters
    ----------
    architecture : str, default="mlp"
        Name of a module of `fewlabel.classifiers`, whose `Settings.network` builds it.
    image_shape : tuple of ints or None, default=None
        Height, width and optionally channels of the images whose pixels are the rows of ``X``;
        None takes a row as an image of one pixel's height.
    epochs : int, default=10
    min_steps : int, default=200
        With few images, an epoch passes over them more than once, to make at least this many
        gradient steps in all.
    batch_size : int, default=64
        Where its layers' outputs would need more than 512 MB, gradients are summed over parts.
    learning_rate : float, default=0.003
        Its peak, after a tenth of the steps; it falls to zero by half a cosine.
    label_smoothing : float, default=0.0
    augment : bool, default=False
        Shift images and cut squares out of them while training.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    model_ : keras.Model
        Maps images to class probabilities; not compiled.

    Examples
    --------
    >>> X, y = np.repeat([[0.0, 1.0], [1.0, 0.0]], 20, axis=0), np.repeat(["right", "left"], 20)
    >>> network = NetworkClassifier(epochs=1, min_steps=30, random_state=0).fit(X, y)
    >>> network.predict([[0.0, 1.0], [1.0, 0.0]])
    array(['right', 'left'], dtype='<U5')
    """

    def __init__(
        self,
        architecture: str = "mlp",
        image_shape: tuple[int, ...] | None = None,
        *,
        epochs: int = 10,
        min_steps: int = 200,
        batch_size: int = 64,
        learning_rate: float = 0.003,
        label_smoothing: float = 0.0,
        augment: bool = False,
        random_state: int | RandomState | None = None,
    ):
        self.architecture = architecture
        self.image_shape = image_shape
        self.epochs = epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.label_smoothing = label_smoothing
        self.augment = augment
        self.random_state = random_state

    def fit(self, X: ArrayLike | ImageRows, y: ArrayLike, callbacks: Sequence[Any] = ()) -> Self:
        """Train on labeled images.

        Parameters
        ----------
        X : array-like or ImageRows of shape (n_images, n_pixels)
        y : array-like of shape (n_images,)
        callbacks : sequence of keras.callbacks.Callback, default=()

        Raises
        ------
        DivergedError
            If the loss, a weight or an output is not finite.
        FewlabelError
            If `min_steps` needs more memory than there is.
        """
        self.prepared(X, y)(callbacks=callbacks)
        return self

    def prepared(self, X: ArrayLike | ImageRows, y: ArrayLike) -> Callable[..., None]:
        """Build the network as `fit` does; return what trains it, given Keras's callbacks."""
        rows, labels = self._check(X, y)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        keras, seed = new_session(self.random_state)
        height, width, *channels = self.image_shape or (1, rows.shape[1])
        input_shape = (height, width, *(channels or [1]))
        network = settings_of("classifiers", self.architecture).network
        self.model_ = network(keras, input_shape, len(self.classes_))

        def to_images(batch: Floats, rng: Generator) -> Floats:
            images = batch.reshape(-1, *input_shape)
            return random_shift_and_cutout(images, rng) if self.augment else images

        return partial(
            fit_network,
            keras,
            self.model_,
            keras.losses.CategoricalCrossentropy(label_smoothing=self.label_smoothing),
            rows,
            np.eye(len(self.classes_), dtype=np.float32)[targets],
            epochs=self.epochs,
            min_steps=self.min_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            seed=seed,
            transform=to_images,
            metrics=["accuracy"],
        )


class EnsembleClassifier(KerasClassifier):
    """Mean of a CNN on an image's pixels and a wide dense network on its embedding.

    What one view gets wrong, the other often does not (A. Blum, T. Mitchell, "Combining Labeled
    and Unlabeled Data with Co-Training", COLT 1998).

    Parameters
    ----------
    image_shape : tuple of ints or None, default=None
        Height, width and optionally channels of the images whose pixels are the first columns of
        ``X``; the others are the embedding. With None, both networks see all columns.
    cnn, wide_mlp : dict or None, default=None
        Settings of each `NetworkClassifier`; None leaves its defaults.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    model_ : keras.Model
        Of both networks, uncompiled.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...] | None = None,
        *,
        cnn: dict[str, Any] | None = None,
        wide_mlp: dict[str, Any] | None = None,
        random_state: int | RandomState | None = None,
    ):
        self.image_shape = image_shape
        self.cnn = cnn
        self.wide_mlp = wide_mlp
        self.random_state = random_state

    def fit(self, X: ArrayLike | ImageRows, y: ArrayLike, callbacks: Sequence[Any] = ()) -> Self:
        """Train both networks on labeled images, at the same time; as `NetworkClassifier.fit`.

        Parameters
        ----------
        X : array-like or ImageRows of shape (n_images, n_pixels + n_features)
        y : array-like of shape (n_images,)
        callbacks : sequence of keras.callbacks.Callback, default=()
            Of the CNN's training.
        """
        rows, labels = self._check(X, y)
        n_columns = rows.shape[1]
        seed = check_random_state(self.random_state).randint(2**31)
        n_pixels = math.prod(self.image_shape) if self.image_shape else n_columns
        embedding = slice(n_pixels if n_pixels < n_columns else 0, None)
        pixels: Rows = rows
        features: Rows = rows
        if not isinstance(rows, ImageRows):
            pixels, features = rows[:, :n_pixels], rows[:, embedding]
        elif rows.features is not None:
            pixels, features = replace(rows, features=None), rows.features
        mlp = NetworkClassifier("wide_mlp", None, random_state=seed, **(self.wide_mlp or {}))
        train_mlp = mlp.prepared(features, labels)
        cnn = NetworkClassifier("cnn", self.image_shape, random_state=seed, **(self.cnn or {}))
        train_cnn = cnn.prepared(pixels, labels)
        keras = import_keras()
        train_at_once(keras, [(train_mlp, ()), (train_cnn, callbacks)])
        self.classes_ = cnn.classes_
        row = keras.Input((n_columns,))
        views = [(cnn.model_, row[:, :n_pixels]), (mlp.model_, row[:, embedding])]
        probabilities = [
            model(keras.layers.Reshape(model.input_shape[1:])(view)) for model, view in views
        ]
        mean = keras.layers.Average()(probabilities)
        self.model_ = keras.Model(row, mean, name="cnn_mlp_ensemble")
        return self


def fit_network(
    keras: ModuleType,
    model: Any,
    loss: Any,
    images: Rows,
    targets: Floats,
    *,
    epochs: int,
    min_steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    transform: Callable[[Floats, Generator], Floats] | None = None,
    metrics: Sequence[Any] = (),
    callbacks: Sequence[Any] = (),
) -> None:
    """Train a model with Adam and a one-cycle learning rate; it stays uncompiled.

    It stops at the first loss that is not finite, as the weights then are not, either.

    Parameters
    ----------
    keras
    model : keras.Model
    loss : str or keras.losses.Loss
    images, targets : ndarray of shape (n_images, ...)
    epochs, min_steps, batch_size, learning_rate
        As in `NetworkClassifier`.
    seed
        Of the order of the images.
    transform
        Changes images at random, each time they are shown.
    metrics, callbacks
        Keras's.

    Raises
    ------
    DivergedError
        If the loss, a weight or an output is not finite.
    FewlabelError
        If `min_steps` needs more memory than there is.
    """
    # A model of its own to train leaves the optimizer's state out of what is kept.
    trained = keras.Model(model.inputs, model.outputs)
    # A batch has that many images or more: batch normalization cannot bear a single one.
    per_pass = max(len(images) // batch_size, 1)
    n_batches = max(per_pass, math.ceil(min_steps / epochs))
    order_bytes = -(-n_batches // per_pass) * len(images) * INDEX_BYTES
    require_memory(order_bytes, f"{model.name}.min_steps", min_steps)
    n_parts = max(-(-len(images) // per_pass) // _images_at_once(model), 1)
    n_steps = epochs * n_batches * n_parts

    def diverged(what: str) -> DivergedError:
        return DivergedError(
            f"{model.name}.learning_rate is {learning_rate:g}, but {what} became infinite or not a "
            "number in training; lower it"
        )

    def check_loss(batch: int, logs: dict[str, float]) -> None:
        if not math.isfinite(logs["loss"]):
            raise diverged("the loss")
        bar.update()

    optimizer = keras.optimizers.Adam(
        one_cycle(keras, learning_rate, n_steps),
        gradient_accumulation_steps=n_parts if n_parts > 1 else None,
    )
    trained.compile(optimizer, loss, metrics=list(metrics))
    batches = ShuffledBatches(
        images,
        targets,
        per_pass=per_pass,
        n_batches=n_batches,
        n_parts=n_parts,
        transform=transform,
        seed=seed,
    )
    with progress(None, f"train {model.name}", total=n_steps) as bar:
        check = keras.callbacks.LambdaCallback(on_train_batch_end=check_loss)
        _fit(keras, trained, batches, epochs, [check, *callbacks])
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise diverged("a weight")
    n_checked = min(blocks(images.shape)[0].stop, MAX_PREDICTED)
    if not np.isfinite(predict(model, images[:n_checked])).all():
        raise diverged("an output")


def train_at_once(
    keras: ModuleType, trainings: Sequence[tuple[Callable[..., None], Sequence[Any]]]
) -> None:
    """Call what `NetworkClassifier.prepared` returned, each with its callbacks, in threads.

    Each network's numbers are as alone. An operation of TensorFlow takes one thread, so that one
    network alone leaves the other cores idle. If one fails, or this is interrupted, the others stop
    after their batch.
    """
    has_ended = Event()

    def stop(batch: int, logs: Any) -> None:
        if has_ended.is_set():
            raise InterruptedError

    with ThreadPoolExecutor(len(trainings)) as pool:
        stopping = [keras.callbacks.LambdaCallback(on_train_batch_end=stop) for _ in trainings]
        futures = [
            pool.submit(train, callbacks=[stops, *callbacks])
            for stops, (train, callbacks) in zip(stopping, trainings, strict=True)
        ]
        try:
            for future in as_completed(futures):
                future.result()
        finally:
            has_ended.set()


def _images_at_once(model: Any) -> int:
    """Return of how many images to hold each layer's output and its gradient: two or more."""
    n_outputs = sum(map(math.prod, output_shapes(model)))
    return max(_TRAIN_BYTES // (2 * n_outputs * FLOAT_BYTES), 2)


def one_cycle(keras: ModuleType, peak: float, n_steps: int) -> Any:
    """Return a learning rate that rises for a tenth of the steps, then falls as half a cosine."""
    warmup = max(n_steps // 10, 1)
    return keras.optimizers.schedules.CosineDecay(
        peak / 10, max(n_steps - warmup, 1), warmup_target=peak, warmup_steps=warmup
    )


class ShuffledBatches:
    """Epochs of `n_batches` that pass over the images in one new order after another.

    A pass has `per_pass` batches, and a batch comes in `n_parts` parts, one after the other.
    """

    def __init__(
        self,
        images: Rows,
        targets: Floats,
        *,
        per_pass: int,
        n_batches: int,
        n_parts: int,
        transform: Callable[[Floats, Generator], Floats] | None,
        seed: int,
    ):
        self.images, self.targets = images, targets
        self.per_pass, self.n_batches, self.n_parts = per_pass, n_batches, n_parts
        self.transform = transform
        self.rng = np.random.default_rng(seed)
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Draw new orders."""
        n_passes = math.ceil(self.n_batches / self.per_pass)
        self.orders = [self.rng.permutation(len(self.images)) for _ in range(n_passes)]

    def __len__(self) -> int:
        return self.n_batches * self.n_parts

    def __getitem__(self, i: int) -> tuple[Floats, Floats]:
        step, part = divmod(i, self.n_parts)
        turn, within = divmod(step, self.per_pass)
        rows = self.orders[turn][within :: self.per_pass][part :: self.n_parts]
        batch = self.images[rows]
        return self.transform(batch, self.rng) if self.transform else batch, self.targets[rows]


def _fit(
    keras: ModuleType, model: Any, batches: ShuffledBatches, epochs: int, callbacks: Sequence[Any]
) -> None:
    """Train as `model.fit` does, whose input pipeline waits up to ten seconds after an epoch."""
    import tensorflow as tf

    # Batches of any size are added up in the same way, and compiled once.
    shapes = [tf.TensorSpec((None, *part.shape[1:])) for part in batches[0]]

    @tf.function(input_signature=shapes)  # type: ignore[untyped-decorator]
    def train_step(images: Any, targets: Any) -> Any:
        return model.train_step(([images], targets))

    # Published results are of `fit`, which draws an order and changes two batches to see shapes.
    if len(batches) > 1:
        batches[1]
    called = keras.callbacks.CallbackList(list(callbacks), model=model)
    called.on_train_begin()
    for epoch in range(epochs):
        batches.begin_epoch()
        model.reset_metrics()
        called.on_epoch_begin(epoch)
        for i in range(len(batches)):
            called.on_train_batch_begin(i)
            logs = train_step(*batches[i])
            called.on_train_batch_end(i, logs)
        called.on_epoch_end(epoch, logs)
    called.on_train_end()
