"""A random subset of images: the baseline that representatives must beat."""

import numpy as np

from fewlabel.arrays import Ints


def random_subset(n_images: int, size: int, *, seed: int) -> Ints:
    """Draw `size` different images, each set of them as likely as any other.

    A larger subset of the same seed contains the smaller one.

    Examples
    --------
    >>> bool(np.isin(random_subset(100, 3, seed=0), random_subset(100, 9, seed=0)).all())
    True
    """
    return np.random.default_rng([seed, 1]).permutation(n_images)[:size]
