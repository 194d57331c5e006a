"""The feature spaces to choose from."""

from sklearn.decomposition import PCA
from sklearn.preprocessing import FunctionTransformer

from fewlabel.normalization import scale_to_length
from fewlabel.patches import PatchEmbedding


def build_embedding(method, image_shape, seed, **settings):
    """Unfitted transformer from rows of pixels to rows of features.

    Parameters
    ----------
    method : {"pixels", "pca", "patches"}
        The pixels as they are, their principal components, or `PatchEmbedding`.
    image_shape : tuple of ints
        Height, width and optionally channels.
    seed : int
    **settings
        The method's own, as its class spells them.
    """
    match method:
        case "pixels":
            return FunctionTransformer(**settings)
        case "pca":
            return PCA(**settings, random_state=seed)
        case "patches":
            return PatchEmbedding(image_shape, **settings, random_state=seed)
    raise ValueError(f"method must be pixels, pca or patches, not {method!r}")


def leading_components(features, n_components):
    """Cut rows to their first components, of the length that rows of `PatchEmbedding` have.

    Fewer components hold less of what is particular to an image: distances between its neighbors
    and itself, and what a few labels say of it, are better measured on them (docs/choices.md).

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
