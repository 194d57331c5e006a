"""Probabilities that are right as often as they say: temperature scaling.

C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from fewlabel.arrays import Floats, Ints

MAX_TEMPERATURE = 16.0
_DECIMALS = 3  # more would be noise, and depend on the machine
_TINY = 1e-9


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """Return probabilities, of shape (n_images, n_classes), that a temperature evens out.

    The most probable class stays the same; at 1, all stay.

    Examples
    --------
    >>> tempered(np.array([[0.9, 0.1, 0.0]]), 2.0)
    array([[0.75, 0.25, 0.  ]])
    """
    peak = probabilities.max(axis=1, keepdims=True)  # else small powers could all be 0
    powers = (probabilities / peak) ** (1 / temperature)
    even: Floats = powers / powers.sum(axis=1, keepdims=True)
    return even


def to_keras(keras: ModuleType, probabilities: Any, temperature: float) -> Any:
    """Return the same of a Keras tensor, by Keras's own layers."""
    if temperature == 1:
        return probabilities
    peak = keras.ops.max(probabilities, axis=-1, keepdims=True)
    powers = keras.ops.power(probabilities / peak, 1 / temperature)
    return powers / keras.ops.sum(powers, axis=-1, keepdims=True)


def temperature_by_labels(probabilities: Floats, labels: Ints) -> float:
    """Return the temperature, 1/16 to 16, at which the labels are most likely.

    Its logarithm is expected to be 0, with a standard deviation of 1: else a few labels that are
    all predicted right, as 100 of an easy task are, would make every probability 1.

    Examples
    --------
    >>> probabilities = np.array([[0.99, 0.01]] * 400)
    >>> temperature = temperature_by_labels(probabilities, np.array([0, 0, 0, 1] * 100))
    >>> tempered(probabilities, temperature)[0].round(2)
    array([0.75, 0.25])
    """
    rows = np.arange(len(labels))

    def loss(temperature: float) -> float:
        given = tempered(probabilities, temperature)[rows, labels]
        return float(-np.log(np.maximum(given, _TINY)).sum() + np.log(temperature) ** 2 / 2)

    return _best(loss)


def temperature_by_accuracy(probabilities: Floats, accuracy: float) -> float:
    """Return the temperature, 1/16 to 16, at which images are as confident as they are accurate.

    Examples
    --------
    >>> temperature = temperature_by_accuracy(np.array([[0.99, 0.01]]), 0.75)
    >>> tempered(np.array([[0.99, 0.01]]), temperature).round(2)
    array([[0.75, 0.25]])
    """

    def distance(temperature: float) -> float:
        confidence = tempered(probabilities, temperature).max(axis=1).mean()
        return abs(float(confidence) - accuracy)

    return _best(distance)


def _best(loss: Callable[[float], float]) -> float:
    limit = np.log(MAX_TEMPERATURE)
    found = minimize_scalar(
        lambda log: loss(float(np.exp(log))), bounds=(-limit, limit), method="bounded"
    )
    return round(float(np.exp(found.x)), _DECIMALS)
