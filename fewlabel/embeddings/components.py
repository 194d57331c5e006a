"""Components of features in the order of their variance."""

from fewlabel.arrays import Floats
from fewlabel.rows import scale_to_length
from fewlabel.storage import row_parts


def leading_components(features: Floats, n_components: int) -> Floats:
    """Cut rows to their first components, of the length that rows of `PatchEmbedding` have.

    Fewer components hold less of what is particular to an image: distances between its neighbors
    and itself, and what a few labels say of it, are better measured on them: see
    docs/decisions/leading-components.md.

    All are kept where there are fewer; each row's length is the root of their number.

    Examples
    --------
    >>> import numpy as np
    >>> leading_components(np.array([[3, 4, 5]], np.float32), 2).round(3)
    array([[0.849, 1.131]], dtype=float32)
    """
    leading = features[:, :n_components]
    return scale_to_length(leading, leading.shape[1] ** 0.5)


def largest_part(n_images: list[int]) -> int:
    """Return of how many images, in arrays of so many each, memory holds features at once.

    Examples
    --------
    >>> largest_part([1_000_000, 10_000]), largest_part([60_000, 10_000])
    (20000, 60000)
    """
    largest: int = max(row_parts(n)[0].stop for n in n_images)
    return largest


def too_large(*limits: tuple[str, int, int, str]) -> list[str]:
    """Say which settings are too large, of their name, value, limit and the limit's reason.

    Examples
    --------
    >>> too_large(("n_components", 3, 2, "there are 2 images"), ("patch_size", 1, 9, ""))
    ['n_components is 3, but must be at most 2: there are 2 images']
    """
    return [
        f"{key} is {value}, but must be at most {limit}: {reason}"
        for key, value, limit, reason in limits
        if value > limit
    ]
