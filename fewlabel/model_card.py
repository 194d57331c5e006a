"""The model card: what a classifier was taught, how good it is, and where it fails."""

from typing import Any

import numpy as np

from fewlabel.arrays import Ints
from fewlabel.settings import Params

_PSEUDO = "- It was taught by pseudo-labels, some of which are wrong; rare classes suffer most.\n"
_LIMITS = """\
- Images unlike those it was trained on, in subject, background or framing, are not covered by the \
figures above.
"""
_INSTALL = "pip install 'fewlabel[cpu,onnx]'. A part of it is a network in ONNX.\n"
_MEASURED = (
    "Accuracy, F1 and expected_calibration_error (of its probabilities) are of the test images, "
    "which nothing was trained on; coverage and label accuracy of the pseudo-labels of training "
    "images."
)
_CHECKED = (
    "check_accuracy is of {n} random images that nothing was trained on; check_low and check_high "
    "are its 95 % interval. Probabilities are calibrated on them."
)
_NOT_MEASURED = "Nobody gave labels to test with, so how good it is, is not known."


def model_card(
    params: Params,
    about: dict[str, Any],
    classifier: dict[str, Any],
    labels: Ints,
    metrics: dict[str, float],
    verdict: str,
    *,
    embedding: str,
    model: str,
    training_set: str,
) -> str:
    """Return the card of a classifier, as Markdown.

    Parameters
    ----------
    params
        The settings it was trained with.
    about
        `class_names`, and `image_shape`: height, width and, for colored images, 3; `needs` where
        Keras alone does not run it.
    classifier
        `features` that it reads, and `classes` that labels were of.
    labels : ndarray of shape (n_images,)
        Labels that people or the oracle gave, -1 where unlabeled.
    metrics
        What was measured of it and of its pseudo-labels; without accuracy, nobody could test it.
    verdict
        Of `fewlabel.verdict`, as a Markdown list.
    embedding, model
        Names of the methods that ran, where `params` may leave it to the images.
    training_set
        Name of what it was trained on.
    """
    names = about["class_names"]
    height, width, *channels = about["image_shape"]
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    classes = ", ".join(f"{name} ({n})" for name, n in zip(names, counts, strict=True))
    measured = "\n".join(
        f"| {name} | {f'{value:,}' if isinstance(value, int) else f'{value:.4g}'} |"
        for name, value in metrics.items()
    )
    said = [_MEASURED] * ("accuracy" in metrics)
    if "check_images" in metrics:
        said.append(_CHECKED.format(n=metrics["check_images"]))
    missing = [name for i, name in enumerate(names) if i not in classifier["classes"]]
    no_label = f"- No label was of {', '.join(missing)}: it never predicts that.\n"
    return f"""\
# Model card: an image classifier taught by few labels

- **Data**: {params.dataset.name}, {len(labels):,} training images of {height} x {width} pixels, \
{"color" if channels else "gray"}.
- **Labels**: {counts.sum()} of a budget of {params.label_budget}, by {params.label.source}: \
{classes}.
- **Settings**: embedding {embedding}; propagation over {params.propagate.method}, \
percentile {params.propagate.percentile:g}; model {model} on \
{classifier["features"]}; seed {params.seed}.

| measure | |
| --- | ---: |
{measured}

{" ".join(said) or _NOT_MEASURED}

## What its labels say

{verdict}
## Limits

{f"- It needs {' and '.join(about['needs'])}: {_INSTALL}" if "needs" in about else ""}\
- It knows these classes only, and gives one of them to any image.
{no_label if missing else ""}{_PSEUDO if training_set == "propagated" else ""}{_LIMITS}"""
