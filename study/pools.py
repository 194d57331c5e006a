"""Make a pool of rare classes, or with images of no class: `python -m study.pools POOL`."""

import sys

import numpy as np
from PIL import Image

from fewlabel.arrays import Array, Floats, Ints
from fewlabel.engine import finish
from fewlabel.errors import exit_on_error
from fewlabel.methods import settings_of
from fewlabel.storage import write
from study.settings import settings


def main(name: str) -> None:
    """Write study/data/pools/POOL.npz, as `dataset.name: folder` reads it."""
    pool = settings("pools", name)
    arrays = _read(pool["dataset"])
    images, labels = arrays["train_images"], arrays["train_labels"]
    if "ratio" in pool:
        kept = imbalanced(labels, pool["ratio"])
        images, labels = images[kept], labels[kept]
    else:
        others = _read(pool["others"])["train_images"]
        images, labels = with_others(images, labels, others, pool["share"])
    tests = {key: arrays[key] for key in ("test_images", "test_labels")}
    write(
        f"study/data/pools/{name}.npz",
        lambda path: np.savez(path, images=images, train_labels=labels, **tests),
    )
    finish("download")


def imbalanced(labels: Ints, ratio: float) -> Ints:
    """Return positions of images whose numbers per class fall to a part, as in long-tailed CIFAR.

    They fall exponentially from the first class to the last, of which there is one image for
    `ratio` of the first (Y. Cui et al., "Class-Balanced Loss Based on Effective Number of Samples",
    CVPR 2019, section 5.1). Of each class, the first images stay.

    Examples
    --------
    >>> imbalanced(np.repeat([0, 1, 2], 100), 4)[[0, 99, 100, 149, 150, -1]]
    array([  0,  99, 100, 149, 200, 224])
    """
    counts = np.bincount(labels)
    shares: Floats = float(ratio) ** -np.linspace(0, 1, len(counts))
    sizes = ((counts / shares).min() * shares + 1e-9).astype(int)
    first = [np.flatnonzero(labels == label)[:size] for label, size in enumerate(sizes)]
    return np.sort(np.concatenate(first))


def with_others(images: Array, labels: Ints, others: Array, share: float) -> tuple[Array, Ints]:
    """Add so many evenly spaced others, in the form of the images, that they are a share of all.

    Their label is -1: they are of no class. Images are uint8 of shape (n_images, height, width), or
    with 3 channels after that.
    """
    n_others = round(len(labels) * share / (1 - share))
    taken = others[np.linspace(0, len(others) - 1, n_others).astype(int)]
    height, width, *channels = images.shape[1:]
    mode = "RGB" if channels else "L"
    added = [
        np.asarray(Image.fromarray(image).convert(mode).resize((width, height))) for image in taken
    ]
    return np.concatenate([images, added]), np.concatenate([labels, np.full(n_others, -1)])


def _read(row: str) -> dict[str, Array]:
    """Read the data set of a row of the pipeline."""
    chosen = settings("pipeline", row, "settings")
    method = chosen["dataset.name"]
    prefix = f"dataset.{method}."
    own = {key.removeprefix(prefix): chosen[key] for key in chosen if key.startswith(prefix)}
    arrays = settings_of("datasets", method)(**own).read().arrays
    return {name: array[:] for name, array in arrays.items()}


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
