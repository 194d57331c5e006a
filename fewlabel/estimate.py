"""How good a classifier is, told by labels that it was not trained on."""

from collections.abc import Callable

import numpy as np

from fewlabel.arrays import Floats, Ints
from fewlabel.calibration import temperature_by_accuracy, temperature_by_labels

_SAMPLE = 1000
_Z = 1.96


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of n cases.

    E. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    Examples
    --------
    >>> [round(limit, 3) for limit in wilson_interval(0.5, 100)]
    [0.404, 0.596]
    """
    center = share + _Z**2 / (2 * n)
    half = _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    low, high = ((center + sign * half) / (1 + _Z**2 / n) for sign in (-1, 1))
    return max(float(low), 0.0), min(float(high), 1.0)


def estimate(
    predict: Callable[[Ints], Floats],
    taught: Ints,
    check: Ints,
    expected_accuracy: float | None,
    *,
    is_overconfident: bool,
) -> tuple[dict[str, float], Ints, Ints]:
    """Estimate how good a classifier is, and the temperature that calibrates its probabilities.

    Parameters
    ----------
    predict
        From positions of training images to probabilities of shape (n_images, n_classes).
    taught, check : shape (n_images,)
        Labels that it was trained on, and those that only measure; -1 where there is none. An image
        that has both measures nothing.
    expected_accuracy
        Where no image only measures, a sample of images is to be as confident; None leaves
        probabilities as they are.
    is_overconfident
        As of `fewlabel.methods.ClassifierMethod`. One that is not is more often right than labels
        are that the others predict: it becomes surer by them, never less sure.

    Returns
    -------
    metrics
        `temperature`; where images only measure, their number and accuracy, with a 95 % interval.
    images, predicted : shape (n_check,)
        Those images, and the class of each.
    """
    images = np.flatnonzero((check >= 0) & (taught < 0))
    if len(images):
        probabilities, labels = predict(images), check[images]
        predicted = probabilities.argmax(axis=1)
        accuracy = float((predicted == labels).mean())
        low, high = wilson_interval(accuracy, len(images))
        metrics = {
            "temperature": temperature_by_labels(probabilities, labels),
            "check_images": len(images),
            "check_accuracy": accuracy,
            "check_low": low,
            "check_high": high,
        }
        return metrics, images, predicted
    if expected_accuracy is None:
        return {"temperature": 1.0}, images, images
    sample = np.linspace(0, len(taught) - 1, min(len(taught), _SAMPLE)).astype(int)
    temperature = temperature_by_accuracy(predict(sample), expected_accuracy)
    return (
        {"temperature": temperature if is_overconfident else min(temperature, 1.0)},
        images,
        images,
    )
