"""Keras on TensorFlow: how it is loaded, seeded and asked, so that its results repeat."""

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any

import numpy as np
from joblib import cpu_count
from numpy.random import RandomState
from sklearn.utils import check_random_state

from fewlabel.arrays import FLOAT_BYTES, Floats
from fewlabel.kernels import has_avx2
from fewlabel.memory import available_memory

_BLOCK_ROWS = 48  # a multiple of what the usual processors' kernels take at once
_PREDICT_BLOCKS = 22
_PREDICT_BYTES = 2**29
_LIVE_OUTPUTS = 4  # of the largest layers, that are in memory together
_TINY = 1e-30
MAX_PREDICTED = _PREDICT_BLOCKS * _BLOCK_ROWS
"""Most images that a model gets at once."""


def import_keras() -> ModuleType:
    """Return Keras on TensorFlow, repeating itself to the last bit on one machine, and quiet."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with _no_stderr() if has_avx2() else nullcontext():
        import keras
        import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    tf.nn.batch_normalization = _batch_normalization
    return keras  # type: ignore[no-any-return]  # Keras has no types


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Keep TensorFlow from telling what it was told to do, which no setting of it prevents."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any | None, scale: Any | None, variance_epsilon: float
) -> Any:
    """Normalize as TensorFlow does, but by an exact root, so that all CPUs give the same bytes.

    TensorFlow's own takes an approximate reciprocal root, of which each maker of CPUs has another.
    """
    import tensorflow as tf

    # A graph would turn the quotient of a mere root into that again.
    root = tf.maximum(tf.sqrt(variance + variance_epsilon), _TINY)
    factor = (1 if scale is None else scale) / root
    return x * factor + ((0 if offset is None else offset) - mean * factor)


def new_session(random_state: int | RandomState | None) -> tuple[ModuleType, int]:
    """Begin a new model: return Keras and the seed of all that is random in it."""
    seed: int = check_random_state(random_state).randint(2**31)
    keras = import_keras()
    # Numbers layers from one again: their names do not depend on what was built before.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    return keras, seed


def predict(model: Any, *inputs: Floats) -> Floats:
    """Return what a Keras model gives for images: a row of each input, in any shape."""
    n_images = len(inputs[0])
    batch_size = prediction_batch(model)
    n_block = min(batch_size, _BLOCK_ROWS)
    # The last rows of a matrix product are added up in another order unless they fill a block: an
    # image's probabilities would depend on its place among the others, and on the processor.
    n_whole = n_images - n_images % n_block
    n_filled = 0 if n_images == n_whole > 0 else n_block
    parts: tuple[list[Floats], list[Floats]] = ([], [])
    for X, tensor in zip(inputs, model.inputs, strict=True):
        images = X.reshape(n_images, *tensor.shape[1:])
        filled = np.zeros((n_filled, *images.shape[1:]), images.dtype)
        filled[: n_images - n_whole] = images[n_whole:]
        parts[0].append(images[:n_whole])
        parts[1].append(filled)
    batches = [
        [images[start : start + batch_size] for images in part]
        for part in parts
        for start in range(0, len(part[0]), batch_size)
    ]
    # Not by `predict`, whose input pipeline can wait for ten seconds at its end.
    with ThreadPoolExecutor(_prediction_threads()) as pool:
        outputs = pool.map(
            lambda batch: model.predict_on_batch(batch if len(batch) > 1 else batch[0]), batches
        )
        return np.concatenate(list(outputs))[:n_images]


def _prediction_threads() -> int:
    """Return how many batches to predict at once: one per CPU, if memory holds so many."""
    n_cores: int = cpu_count()
    return max(min(n_cores, available_memory() // (2 * _PREDICT_BYTES)), 1)


def prediction_batch(model: Any) -> int:
    """Return how many images a model may get at once: whole blocks, if memory holds one."""
    n_outputs = max(map(math.prod, output_shapes(model)))
    n_images = _PREDICT_BYTES // (_LIVE_OUTPUTS * n_outputs * FLOAT_BYTES)
    n_blocks = min(n_images // _BLOCK_ROWS, _PREDICT_BLOCKS)
    return n_blocks * _BLOCK_ROWS or max(n_images, 1)


def output_shapes(model: Any, side: int | None = None) -> Iterator[tuple[int, ...]]:
    """Yield the shape of what each layer gives for an image of so many pixels per side, at most.

    Without `side`, the model says it.
    """
    side = side or max(model.inputs[0].shape[1:])
    for node in getattr(model, "operations", model.layers):
        # Inside of a network that takes any size, layers do not know theirs.
        yield tuple(n or side for n in node.output.shape[1:])
        if hasattr(node, "layers"):
            yield from output_shapes(node, side)
