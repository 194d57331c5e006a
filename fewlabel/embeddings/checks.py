"""Whether images and their features tell anything apart."""

import logging
from typing import Any

import numpy as np

from fewlabel.arrays import Indexed, blocks
from fewlabel.errors import FewlabelError

_logger = logging.getLogger(__name__)


def check_images(images: Any) -> None:
    """Refuse images, of shape (n_images, ...), read where they are indexed, that are all alike."""
    first = images[:1]
    if all((images[rows] == first).all() for rows in blocks(images.shape)):
        raise FewlabelError(f"all {len(images)} training images are alike, so no label tells more")


def check_features(features: Indexed, method: str, n_components: int) -> None:
    """Refuse features that are not finite or all the same, and log if there are fewer than asked.

    `n_components` is how many the embedding was to have, 0 any number.
    """
    parts = blocks(features.shape)
    if not all(np.isfinite(features[rows]).all() for rows in parts):
        raise FewlabelError(
            f"some features are not finite numbers where embed.method is {method!r}; change its "
            "settings, or choose another method"
        )
    first = features[:1]
    if all((features[rows] == first).all() for rows in parts):
        raise FewlabelError(
            f"all {len(features)} training images have the same features where embed.method is "
            f"{method!r}, which cannot tell them apart; choose another method"
        )
    if n_components > features.shape[1]:
        _logger.info(
            f"embed.{method}.n_components is {n_components}, but {len(features)} training images "
            f"have no more than {features.shape[1]} components, which are kept"
        )
