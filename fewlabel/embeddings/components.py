"""Components of features in the order of their variance."""

from fewlabel.arrays import Floats
from fewlabel.rows import scale_to_length


def leading_components(features: Floats, n_components: int) -> Floats:
    """Cut rows to their first components, of the length that rows of `PatchEmbedding` have.

    Fewer components hold less of what is particular to an image: distances between its neighbors
    and itself, and what a few labels say of it, are better measured on them: see
    docs/decisions/leading-components.md.

    Parameters
    ----------
    features : ndarray of shape (n_images, n_features)
        Components in the order of their variance.
    n_components
        All, where there are fewer.

    Returns
    -------
    ndarray of shape (n_images, n_components), of length sqrt(n_components) each

    Examples
    --------
    >>> import numpy as np
    >>> leading_components(np.array([[3, 4, 5]], np.float32), 2).round(3)
    array([[0.849, 1.131]], dtype=float32)
    """
    leading = features[:, :n_components]
    return scale_to_length(leading, leading.shape[1] ** 0.5)


def too_large(*limits: tuple[str, int, int, str]) -> list[str]:
    """Say which settings of an embedding are larger than can be.

    Parameters
    ----------
    *limits
        Name of the setting, its value, the largest that is allowed, and why.

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
