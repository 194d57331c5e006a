"""A random subset of images: the baseline that representatives must beat."""

import numpy as np


def random_subset(n_images, size, seed):
    """Draw `size` different images, each set of them as likely as any other.

    A larger subset of the same seed contains the smaller one.
    """
    return np.random.default_rng([seed, 1]).permutation(n_images)[:size]
