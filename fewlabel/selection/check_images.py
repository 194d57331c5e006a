"""Images whose labels only measure: a random sample that nothing is trained on."""

import hashlib
from collections.abc import Sequence

import numpy as np

from fewlabel.arrays import Ints
from fewlabel.errors import FewlabelError


def check_images(sha256: Sequence[str], representatives: Ints, size: int, *, seed: int) -> Ints:
    """Draw `size` different images that represent no cluster, each as likely as any other.

    The draw is by the content of images, so that most of them stay where images come or go.

    Parameters
    ----------
    sha256
        Of each image's content, hexadecimal.
    representatives
        Positions of those of clusters.
    size, seed

    Returns
    -------
    shape (size,)
        Positions; a larger draw of the same seed begins with the smaller one.

    Raises
    ------
    FewlabelError
        If there are not as many.

    Examples
    --------
    >>> sorted(check_images(["a", "b", "c"], np.array([1]), 2, seed=0).tolist())
    [0, 2]
    """
    others = np.setdiff1d(np.arange(len(sha256)), representatives)
    if size > len(others):
        raise FewlabelError(
            f"label.check_size is {size}, but must be at most {len(others)}: of {len(sha256)} "
            f"training images, {len(sha256) - len(others)} represent clusters"
        )
    if not size:
        return others[:0]
    numbers = [hashlib.sha256(f"{seed} {sha256[i]}".encode()).digest() for i in others.tolist()]
    order = sorted(range(len(others)), key=lambda i: numbers[i])
    return others[order[:size]]
