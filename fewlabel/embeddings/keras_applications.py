"""Pretrained networks of Keras's applications, whose weights Keras downloads and checks."""

from types import ModuleType
from typing import Any

from fewlabel.errors import FewlabelError
from fewlabel.text import one_line

APPLICATIONS = {"convnext_tiny": "ConvNeXtTiny", "efficientnetv2_b0": "EfficientNetV2B0"}
"""Name -> that of `keras.applications`: Z. Liu et al., 2022; M. Tan, Q. Le, 2021."""


def application(keras: ModuleType, name: str, image_size: int) -> Any:
    """Return the Keras model from standardized images to the mean of the last feature maps.

    Keras keeps the weights in the user's folder .keras, and refuses those of another hash than it
    publishes.

    Parameters
    ----------
    keras
    name
        Of `APPLICATIONS`.
    image_size
        Side in pixels, 32 at least.

    Raises
    ------
    FewlabelError
        If the weights cannot be had, or the size is too small.
    """
    build = getattr(keras.applications, APPLICATIONS[name])
    shape = (image_size, image_size, 3)
    settings = {"include_top": False, "include_preprocessing": False, "pooling": "avg"}
    try:
        return build(weights="imagenet", input_shape=shape, **settings)
    except Exception as error:  # Keras raises no other class where a download fails
        raise FewlabelError(
            f"the network {name} cannot be had from Keras ({one_line(error, 300)}); "
            "embed.pretrained.model names others that come from the Python Package Index"
        ) from error
