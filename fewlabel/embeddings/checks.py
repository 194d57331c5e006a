"""Whether images and their features tell anything apart."""

import sys

import numpy as np

from fewlabel.errors import FewlabelError


def check_images(images: np.ndarray) -> None:
    """Refuse images that are all alike.

    Parameters
    ----------
    images : ndarray of shape (n_images, ...)

    Raises
    ------
    FewlabelError
    """
    if (images == images[0]).all():
        raise FewlabelError(f"all {len(images)} training images are alike, so no label tells more")


def check_features(features: np.ndarray, method: str, n_components: int) -> None:
    """Refuse features that are not finite or all the same, and say if there are fewer than asked.

    Parameters
    ----------
    features : ndarray of shape (n_images, n_features)
    method, n_components
        The embedding's name, and how many components it was to have; 0 is any number.

    Raises
    ------
    FewlabelError
    """
    if not np.isfinite(features).all():
        raise FewlabelError(
            f"some features are not finite numbers where embed.method is {method!r}; change its "
            "settings, or choose another method"
        )
    if (features == features[0]).all():
        raise FewlabelError(
            f"all {len(features)} training images have the same features where embed.method is "
            f"{method!r}, which cannot tell them apart; choose another method"
        )
    if n_components > features.shape[1]:
        print(
            f"embed.{method}.n_components is {n_components}, but {len(features)} training images "
            f"have no more than {features.shape[1]} components, which are kept",
            file=sys.stderr,
        )
