"""The feature spaces to choose from."""

from sklearn.decomposition import PCA
from sklearn.preprocessing import FunctionTransformer

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
