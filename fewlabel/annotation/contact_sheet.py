"""The representatives at a glance."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fewlabel.arrays import Indexed, Ints
from fewlabel.methods import are_photographs

_MAX_IMAGES = 100
_TILE_INCHES = 0.86


def draw_contact_sheet(
    images: Indexed,
    positions: Ints,
    labels: Ints,
    cluster_sizes: Ints,
    class_names: Sequence[str],
) -> Figure:
    """Draw the representatives of the 100 largest clusters with label and cluster size.

    Ordered by class, larger clusters first. Images are of shape (n_images, height, width, ...),
    where 0 is black; positions of representatives, labels and sizes of (n_clusters,).
    """
    largest = sorted(range(len(positions)), key=lambda i: -cluster_sizes[i])[:_MAX_IMAGES]
    order = sorted(largest, key=lambda i: (labels[i], -cluster_sizes[i]))
    n_columns = min(10, len(order))
    n_rows = math.ceil(len(order) / n_columns)
    # Five tiles are as wide as the title.
    width, height = max(n_columns, 5) * _TILE_INCHES, n_rows * _TILE_INCHES * 1.28 + 0.4
    figure = Figure(figsize=(width, height), dpi=110)
    colors = class_colors(len(class_names))
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    cmap = "gray" if are_photographs(images.shape[1:]) else "gray_r"
    for axis, i, image in zip(axes, order, images[positions[order]], strict=False):
        size = f"{cluster_sizes[i]:,} images"
        draw_tile(axis, image, class_names[labels[i]], size, colors(labels[i]), cmap=cmap)
    for axis in axes[len(order) :]:
        axis.set_axis_off()
    n = len(positions)
    shown = f"the {len(order)} largest of {n}" if len(order) < n else len(order)
    figure.suptitle(f"Representatives of {shown} clusters: label, cluster size", fontsize=10)
    figure.subplots_adjust(0.01, 0.16 / height, 0.99, 1 - 0.5 / height, 0.08, 0.42)
    return figure


def class_colors(n_classes: int) -> Colormap:
    """Return what gives class i its color, as different from the others' as it can be."""
    return mpl.colormaps["tab10" if n_classes <= 10 else "turbo"].resampled(n_classes)


def draw_tile(
    axis: Axes, image: NDArray[np.uint8], above: str, below: str, color: Any, *, cmap: str
) -> None:
    """Draw an image in a frame of this color, with a line of text above and another below.

    It is of shape (height, width), and then shown by the color map, or (height, width, 3).
    """
    axis.imshow(image, cmap=cmap, vmin=0, vmax=255, interpolation="nearest")
    axis.set_title(above, fontsize=7, pad=2, color=color, parse_math=False)
    axis.set_xlabel(below, fontsize=6, labelpad=2, color="0.35")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set(color=color, linewidth=1.2)
