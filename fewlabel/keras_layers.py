"""Fitted transformers as Keras layers: arithmetic with weights that are known."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from fewlabel.arrays import Array


def dense(
    keras: ModuleType, X: Any, kernel: Array, bias: Array | None = None, activation: str = "linear"
) -> Any:
    """Return activation(X @ kernel + bias) of the last axis of a Keras tensor."""
    layer = keras.layers.Dense(kernel.shape[1], activation, use_bias=bias is not None)
    result = layer(X)
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return result


def affine(keras: ModuleType, X: Any, factor: Array, offset: Array) -> Any:
    """Return X * factor + offset, where these have an entry for each entry of the last axis."""
    layer = keras.layers.BatchNormalization(epsilon=0.0)
    result = layer(X)
    layer.set_weights([factor, offset, np.zeros_like(factor), np.ones_like(factor)])
    return result


def convolution(keras: ModuleType, X: Any, kernel: Array, steps: Sequence[int]) -> Any:
    """Return the product of the kernel, (height, width, n_channels, n_filters), with each patch.

    Patches lie so many rows and columns apart.
    """
    layer = keras.layers.Conv2D(kernel.shape[3], kernel.shape[:2], tuple(steps), use_bias=False)
    result = layer(X)
    layer.set_weights([kernel])
    return result
