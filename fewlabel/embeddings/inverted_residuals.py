"""Networks of inverted residual blocks, from their weights: MobileNetV2 and EfficientNet-Lite.

M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, table 2;
M. Tan, Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019,
table 1, whose Lite form has neither squeeze-and-excitation nor another activation than ReLU6.
"""

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from fewlabel.arrays import Array, Floats

_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_N_STAGES = 3


class Architecture(NamedTuple):
    """What the weights do not say of a network.

    Attributes
    ----------
    n_blocks
        Blocks of each of the seven stages.
    epsilon
        Added to the variance by batch normalization.
    is_padded_evenly
        Whether images are padded alike on all sides, as PyTorch does, and not as TensorFlow does.
    """

    n_blocks: tuple[int, ...]
    epsilon: float
    is_padded_evenly: bool


def inverted_residuals(
    keras: ModuleType, architecture: Architecture, weights: Mapping[str, Array], image_size: int
) -> Any:
    """Return a Keras model from images to the means of the last stages' feature maps.

    The maps before the last ones know less of the classes that the network was trained for, and
    more of other images. Each stage counts alike: its means have length 1.

    Parameters
    ----------
    keras
    architecture
    weights
        In the order of the layers: the kernel of a convolution, of shape (n_filters, n_channels,
        height, width), then scale, offset, mean and variance of its batch normalization, each of
        shape (n_filters,). Those of a last dense layer are not used.
    image_size
        Side in pixels.

    Returns
    -------
    keras.Model
        From float32 images of shape (n_images, image_size, image_size, 3), scaled as it was
        trained, to features of shape (n_images, n_features).
    """
    layers = keras.layers
    convolutions = _convolutions(weights, architecture.epsilon)

    def convolve(X: Any, *, stride: int = 1, is_linear: bool = False) -> Any:
        kernel, bias = next(convolutions)
        if stride > 1 and architecture.is_padded_evenly:
            X = layers.ZeroPadding2D(kernel.shape[0] // 2)(X)
        padding = "valid" if stride > 1 and architecture.is_padded_evenly else "same"
        if kernel.shape[2] == 1 < X.shape[3]:
            layer = layers.DepthwiseConv2D(kernel.shape[:2], stride, padding)
            kernel = kernel.transpose(0, 1, 3, 2)
        else:
            layer = layers.Conv2D(kernel.shape[3], kernel.shape[:2], stride, padding)
        result = layer(X)
        layer.set_weights([kernel, bias])
        return result if is_linear else layers.ReLU(max_value=6.0)(result)

    image = keras.Input((image_size, image_size, 3), name="pixels")
    X = convolve(image, stride=2)
    maps = []
    for stage, n_blocks in enumerate(architecture.n_blocks):
        for block in range(n_blocks):
            stride = _STRIDES[stage] if block == 0 else 1
            inner = X if stage == 0 else convolve(X)
            inner = convolve(inner, stride=stride)
            inner = convolve(inner, is_linear=True)
            X = layers.Add()([X, inner]) if block else inner
        maps.append(X)
    means = [layers.GlobalAveragePooling2D()(X) for X in (*maps[-_N_STAGES:], convolve(X))]
    features = layers.Concatenate()([layers.UnitNormalization()(X) for X in means])
    return keras.Model(image, features, name="inverted_residuals")


def _convolutions(weights: Mapping[str, Array], epsilon: float) -> Iterator[tuple[Floats, Floats]]:
    """Yield kernel, (height, width, n_channels, n_filters), and bias, with normalization in them.

    A convolution and the fixed scaling of its results are one convolution: the product is the same.
    """
    values = (
        value.astype(np.float64)
        for name, value in weights.items()
        if value.ndim and not name.startswith("_fc")
    )
    for kernel, scale, offset, mean, variance in zip(*[values] * 5, strict=False):
        factor = scale / np.sqrt(variance + epsilon)
        folded = kernel * factor[:, None, None, None]
        yield (
            folded.transpose(2, 3, 1, 0).astype(np.float32),
            (offset - mean * factor).astype(np.float32),
        )
