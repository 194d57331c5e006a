"""From 200 labels of solar cells to one picture of what was learned: `make demo-photos`.

All happens in a temporary clone; the picture is written to the folder where it was called.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from benchmarks.workspace import workspace
from fewlabel.annotation.contact_sheet import class_colors, draw_tile
from fewlabel.arrays import Array, Floats, Ints
from fewlabel.predictor import PortableClassifier
from fewlabel.storage import write

SETTINGS = {"dataset.name": "elpv", "label_budget": 200}
TRAINING_SETS = {
    "random_subset": "random images alone",
    "representatives": "representatives alone",
    "propagated": "labels propagated",
}
PICTURE = Path("demo_photos.png")
_N_COLUMNS, _N_ROWS = 6, 2
_N_TILES = _N_COLUMNS * _N_ROWS
_EXPLANATION = (
    "Test images have predicted class and probability, then true class; red if they differ"
)
_RIGHT, _WRONG = "0.35", "tab:red"


class Tile(NamedTuple):
    """An image with a line of text above and another below, in a frame of this color."""

    image: Array
    above: str
    below: str
    color: Any


def main() -> None:
    """Run the pipeline, draw what it learned, and print what that is worth."""
    with workspace() as work:
        work.set_params(SETTINGS)
        print(f"run the pipeline with {SETTINGS}", flush=True)
        seconds = work.dvc("repro", "dvc.yaml")
        print("predict test images and draw them", flush=True)
        metrics = work.metrics()
        accuracies = {name: metrics[key]["accuracy"] for key, name in TRAINING_SETS.items()}
        figure = draw_panels(title(accuracies), panels_of(work.folder))
        verdict = (work.folder / "models/verdict.md").read_text(encoding="utf-8")
    write(PICTURE, figure.savefig)
    print(f"\nthe pipeline took {seconds:.0f} s; test accuracy:")
    for name, accuracy in accuracies.items():
        print(f"  {accuracy:.4f}  {name}")
    print(f"\nwhat the labels themselves say:\n{verdict}\nthe picture is {PICTURE.absolute()}")


def title(accuracies: Mapping[str, float]) -> str:
    """Return the picture's title."""
    name, budget = SETTINGS["dataset.name"], SETTINGS["label_budget"]
    figures = ", ".join(f"{of} {accuracy:.1%}" for of, accuracy in accuracies.items())
    return f"{name}, {budget} labels. Test accuracy: {figures}"


def panels_of(folder: Path) -> dict[str, list[Tile]]:
    """Return the panels of a checkout in which the pipeline ran on images with labels to test."""
    classifier = PortableClassifier(folder / "models/classifier.keras")
    names = classifier.class_names

    def load(name: str) -> Array:
        array: Array = np.load(folder / "data" / f"{name}.npy", mmap_mode="r")
        return array

    representatives = load("clusters/representatives")
    sizes = np.bincount(load("clusters/assignment"))
    asked = representative_tiles(
        load("raw/train_images")[representatives],
        load("representatives/labels")[representatives],
        sizes,
        names,
    )
    images, labels = load("raw/test_images"), load("raw/test_labels")
    return {
        "Representatives of the largest clusters: label, cluster size": asked
    } | prediction_tiles(images, labels, classifier.predict_proba(images), names)


def representative_tiles(
    images: Array, labels: Ints, cluster_sizes: Ints, class_names: Sequence[str]
) -> list[Tile]:
    """Return representatives of the largest clusters; arrays are of one per cluster."""
    colors = class_colors(len(class_names))
    return [
        Tile(images[i], class_names[labels[i]], f"{cluster_sizes[i]:,} images", colors(labels[i]))
        for i in np.argsort(-cluster_sizes, kind="stable")[:_N_TILES]
    ]


def prediction_tiles(
    images: Array, labels: Ints, probabilities: Floats, class_names: Sequence[str]
) -> dict[str, list[Tile]]:
    """Return panels of test images: the surest, the least sure, and those that fooled it.

    Probabilities are of shape (n_images, n_classes); true classes of (n_images,).
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    surest = np.argsort(-confidence, kind="stable")
    # As many of each class: one that is easy would fill the panel.
    per_class = _N_TILES // len(class_names)
    of_each = [surest[predicted[surest] == i][:per_class] for i in range(len(class_names))]
    orders = {
        "Test images, most confident of each class": np.concatenate(of_each),
        "Test images, least confident": surest[::-1],
        "Test images that are wrong, most confident first": surest[(predicted != labels)[surest]],
    }
    return {
        panel: [
            Tile(
                images[i],
                f"{class_names[predicted[i]]} {confidence[i]:.1%}",
                f"in truth {class_names[labels[i]]}",
                _RIGHT if predicted[i] == labels[i] else _WRONG,
            )
            for i in order[:_N_TILES]
        ]
        for panel, order in orders.items()
    }


def draw_panels(heading: str, panels: Mapping[str, Sequence[Tile]]) -> Figure:
    """Draw panels of tiles under their titles, two beside each other.

    Gray images are shown as they are, 0 black and 255 white.
    """
    figure = Figure(figsize=(13, 6.6), dpi=140)
    head, *rows = figure.subfigures(3, 1, height_ratios=[0.6, 3, 3])
    head.text(0.5, 0.62, heading, ha="center", va="center", fontsize=13)
    head.text(0.5, 0.18, _EXPLANATION, ha="center", va="center", fontsize=9, color="0.35")
    parts = [part for row in rows for part in row.subfigures(1, 2)]
    for part, (name, tiles) in zip(parts, panels.items(), strict=True):
        part.suptitle(name, fontsize=11, fontweight="bold", y=0.97)
        axes = part.subplots(_N_ROWS, _N_COLUMNS).ravel()
        for axis, tile in zip(axes, tiles, strict=False):
            draw_tile(axis, *tile, cmap="gray")
        for axis in axes[len(tiles) :]:
            axis.set_axis_off()
        part.subplots_adjust(0.02, 0.08, 0.98, 0.82, 0.08, 0.34)
    return figure


if __name__ == "__main__":
    main()
