"""Components of features in the order of their variance."""

import numpy as np

from fewlabel.rows import scale_to_length


def leading_components(features: np.ndarray, n_components: int) -> np.ndarray:
    """Cut rows to their first components, of the length that rows of `PatchEmbedding` have.

    Fewer components hold less of what is particular to an image: distances between its neighbors
    and itself, and what a few labels say of it, are better measured on them: see
    docs/decisions/leading-components.md.

    Parameters
    ----------
    features : ndarray of shape (n_images, n_features)
        Components in the order of their variance.
    n_components : int
        All, where there are fewer.

    Returns
    -------
    ndarray of shape (n_images, n_components), of length sqrt(n_components) each
    """
    leading = features[:, :n_components]
    return scale_to_length(leading, leading.shape[1] ** 0.5)


def too_large(*limits: tuple[str, int, int, str]) -> list[str]:
    """Say which settings of an embedding are larger than can be.

    Parameters
    ----------
    *limits
        Key within `embed`, its value, the largest that is allowed, and why.
    """
    return [
        f"embed.{key} is {value}, but must be at most {limit}: {reason}"
        for key, value, limit, reason in limits
        if value > limit
    ]
