"""Draw a picture of each step from the run in this checkout: `make pictures`.

docs/how-it-works.md shows them. What `make repro` left in data/ must be there, as dvc.lock has it.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import confusion_matrix

from fewlabel.annotation.contact_sheet import class_colors, draw_tile
from fewlabel.arrays import Array, Floats, Ints
from fewlabel.parallel import log_duration
from fewlabel.settings import read_params
from fewlabel.storage import load_array, load_graph, load_json, stored_array, verified, write

FOLDER = Path("docs/steps")
_N_MAPPED = 3_000
_N_ROWS, _N_COLUMNS = 4, 12
_GRAY, _FRAME = "0.35", "tab:red"
_INCHES = 0.75  # of a tile


def main() -> None:
    """Write docs/steps/STAGE.png."""
    class_names = load_json(verified("data/raw/class_names.json"))
    images = stored_array("data/raw/train_images.npy")
    representatives = load_array("data/clusters/representatives.npy")
    assignment = load_array("data/clusters/assignment.npy")
    some = _evenly(len(images), _N_ROWS * _N_COLUMNS).reshape(_N_ROWS, _N_COLUMNS)
    percentile = read_params().propagate.percentile
    figures = {
        "download": draw_rows(images, some, first=_GRAY),
        "graph": draw_rows(images, neighbors(len(images)), first=_FRAME),
        "cluster": draw_rows(images, members(representatives, assignment), first=_FRAME),
        "propagate": draw_coverage(pd.read_csv("metrics/propagation_curve.csv"), percentile),
        "evaluate": draw_confusion(pd.read_csv("metrics/propagated/confusion.csv"), class_names),
    }
    # Every label is on the map.
    mapped = np.union1d(_evenly(len(images), _N_MAPPED), representatives)
    features = load_array("data/embedded/train_embedding.npy")[mapped]
    of_features = map_of("features", features)
    of_pixels = map_of("pixels", images[mapped].reshape(len(mapped), -1).astype(np.float32))
    truth = load_array("data/raw/train_labels.npy")[mapped]
    y = load_array("data/representatives/labels.npy")[mapped]
    pseudo_labels = load_array("data/spread/pseudo_labels.npy")[mapped]
    confidence = load_array("data/spread/confidence.npy")[mapped].clip(0.05, 1)
    opaque = np.ones(len(mapped))
    maps = {
        "embed": [("pixels", of_pixels, truth, opaque), ("features", of_features, truth, opaque)],
        "spread": [
            ("the labels that were asked for", of_features, y, opaque),
            ("pseudo-labels, pale where unsure", of_features, pseudo_labels, confidence),
            ("in truth", of_features, truth, opaque),
        ],
    }
    figures |= {stage: draw_maps(panels, class_names) for stage, panels in maps.items()}
    for stage, figure in figures.items():
        write(FOLDER / f"{stage}.png", partial(figure.savefig, format="png"))


def _evenly(n_rows: int, n_chosen: int) -> Ints:
    return np.linspace(0, n_rows - 1, n_chosen, dtype=np.int64)


def map_of(name: str, rows: Floats) -> Floats:
    """Return positions in a plane in which near rows are near: t-SNE, of shape (n_rows, 2)."""
    rows = PCA(min(50, rows.shape[1]), random_state=0).fit_transform(rows)
    with log_duration(f"map of {len(rows):,} images by their {name}"):
        placed: Floats = TSNE(init="pca", perplexity=30, random_state=0).fit_transform(rows)
    return placed


def neighbors(n_images: int) -> list[Ints]:
    """Return positions of an image and of those it is connected with, the strongest first."""
    graph = load_graph("data/graph/affinity.npz")
    rows = []
    for position in _evenly(n_images, _N_ROWS + 2)[1:-1]:
        weights = graph[[position]].tocoo()
        nearest = weights.coords[1][np.argsort(-weights.data, kind="stable")]
        rows.append(np.array([position, *nearest[: _N_COLUMNS - 1]]))
    return rows


def members(representatives: Ints, assignment: Ints) -> list[Ints]:
    """Return positions of a representative and of evenly spaced images of its cluster."""
    rows = []
    for cluster in _evenly(len(representatives), _N_ROWS):
        found = np.flatnonzero(assignment == cluster)
        some = found[_evenly(len(found), _N_COLUMNS - 1)]
        rows.append(np.array([representatives[cluster], *some]))
    return rows


def draw_rows(images: Array, rows: Sequence[Ints], *, first: str) -> Figure:
    """Draw rows of images, the first of each in a frame of this color."""
    figure = Figure(figsize=(_N_COLUMNS * _INCHES, len(rows) * _INCHES), dpi=100)
    axes = figure.subplots(len(rows), _N_COLUMNS, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for line, positions in zip(axes, rows, strict=True):
        for i, image in enumerate(images[positions]):
            line[i].set_axis_on()
            draw_tile(line[i], image, "", "", _GRAY if i else first, cmap="gray_r")
    figure.subplots_adjust(0.01, 0.02, 0.99, 0.98, 0.06, 0.08)
    return figure


def draw_maps(
    panels: Sequence[tuple[str, Floats, Ints, Floats]], class_names: Sequence[str]
) -> Figure:
    """Draw images as dots in the color of their class, -1 in gray, a panel for each map.

    Panels are of title, positions in a plane, classes and opacity of each image.
    """
    figure = Figure(figsize=(4.2 * len(panels), 4.9), dpi=90, layout="constrained")
    colors = class_colors(len(class_names))
    axes = figure.subplots(1, len(panels))
    for axis, (title, placed, labels, opacity) in zip(axes, panels, strict=True):
        known = labels >= 0
        axis.scatter(*placed[~known].T, s=3, color="0.85", linewidths=0)
        size = 5 if known.mean() > 0.5 else 30
        dots = {"s": size, "c": colors(labels[known]), "linewidths": 0}
        axis.scatter(*placed[known].T, alpha=opacity[known], **dots)
        axis.set_title(title, fontsize=11)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    dot = partial(Line2D, [], [], marker="o", linestyle="")
    handles = [dot(color=colors(i), label=name) for i, name in enumerate(class_names)]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    return figure


def draw_coverage(curve: pd.DataFrame, percentile: float) -> Figure:
    """Draw accuracy of the pseudo-labels against the share of images that have one."""
    figure = Figure(figsize=(6, 3.4), dpi=100, layout="constrained")
    axis: Axes = figure.subplots()
    axis.plot(100 * curve["coverage"], 100 * curve["label_accuracy"], color="tab:red")
    name = f"propagate.percentile: {percentile:g}"
    axis.axvline(percentile, color=_GRAY, linestyle=":", label=name)
    axis.set(xlabel="images that get a pseudo-label, %", ylabel="pseudo-labels that are right, %")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    return figure


def draw_confusion(confusion: pd.DataFrame, class_names: Sequence[str]) -> Figure:
    """Draw which share of the test images of a class is predicted to be of each."""
    figure = Figure(figsize=(6.4, 5.6), dpi=100, layout="constrained")
    axis: Axes = figure.subplots()
    pairs = confusion["actual"], confusion["predicted"]
    shares = confusion_matrix(*pairs, labels=list(class_names), normalize="true")
    axis.imshow(shares, cmap="Reds", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.01:
            color = "white" if share > 0.6 else "black"
            axis.text(
                column, row, f"{100 * share:.0f}", ha="center", va="center", color=color, fontsize=8
            )
    places = range(len(class_names))
    axis.set_xticks(places, class_names, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(places, class_names, fontsize=8)
    axis.set(xlabel="predicted", ylabel="in truth, % of each row")
    return figure


if __name__ == "__main__":
    main()
