"""Measure the pipeline with ever more images: `make bench-scale`.

Shifted, rotated and blended copies of images of Fashion-MNIST and MNIST, 20 classes, go through the
default pipeline; those to test with are made in the same way, from other images.
`python -m benchmarks.scale N ENGINE` measures one number of images. Each run is written to
benchmarks/scale.json as it ends, in place of an earlier one of its kind; nothing else may run
meanwhile, or its seconds mean nothing.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML
from scipy import ndimage

from benchmarks.neighbors import kinds
from benchmarks.pieces import in_a_process
from benchmarks.pipeline import MACHINE
from benchmarks.workspace import ROOT, Workspace, workspace
from fewlabel.arrays import Array, Ints
from fewlabel.engine import ENGINE
from fewlabel.methods import settings_of
from fewlabel.parallel import for_each_block
from fewlabel.storage import load_json, save_json

REPORT = ROOT / "benchmarks" / "scale.json"
RUNS = (
    (60_000, "threads"),
    (240_000, "threads"),
    (1_000_000, "threads"),
    *((240_000, f"dask:{n}") for n in (1, 2, 4)),
)
N_TEST = 10_000
LABELS = 200
FILE = "data/images/scale.npz"
DATASETS = ("fashion_mnist", "mnist")
MAX_SHIFT = 1.0  # pixels
MAX_TURN = 10.0  # degrees
MAX_BLEND = 0.2  # share of another image of its class
_BLOCK_ROWS = 10_000


def main(n_images: int, engine: str) -> None:
    """Run the pipeline on so many images; write what it took."""
    with workspace() as work:
        work.environment[ENGINE] = engine
        record = run(work, n_images, engine)
    kept = load_json(REPORT)["runs"] if REPORT.exists() else []
    runs = {_kind(run): run for run in (*kept, record)}
    report = {"machine": MACHINE, "labels": LABELS, "runs": [runs[kind] for kind in sorted(runs)]}
    save_json(REPORT, report)
    print({name: value for name, value in record.items() if name != "stages"}, flush=True)


def _kind(run: dict) -> tuple:
    return run["engine"] != "threads", run["workers"], run["images"]


def run(work: Workspace, n_images: int, engine: str) -> dict:
    """Return what the default pipeline took, and each of its stages."""
    print(f"make {n_images:,} images ...", flush=True)
    class_names = write_images(work.folder / FILE, n_images)
    work.set_params(
        {
            "dataset.name": "folder",
            "dataset.folder.path": FILE,
            "dataset.folder.class_names": class_names,
            "label_budget": LABELS,
        }
    )
    print(f"run the pipeline on {engine} ...", flush=True)
    seconds = work.dvc("repro", "dvc.yaml")
    stages, metrics = work.take_stages(), work.metrics()
    neighbors = []
    if (n_images, engine) == max(RUNS):
        neighbors = [in_a_process(work, "benchmarks.neighbors", kind) for kind in kinds()]
    name, _, n_workers = engine.partition(":")
    return {
        "images": n_images,
        "engine": name,
        "workers": int(n_workers or 1),
        "seconds": seconds,
        "peak_mb": max(stage["peak_memory_mb"] for stage in stages),
        "accuracy": metrics["propagated"]["accuracy"],
        "lock_md5": lock_md5(work.folder / "dvc.lock"),
        "neighbor_recall": metrics["graph"]["neighbor_recall"],
        "label_accuracy": metrics["propagation"]["label_accuracy"],
        "stages": stages,
        "neighbors": neighbors,
    }


def lock_md5(lock: Path) -> str:
    """Return the MD5 of a dvc.lock with sorted names, since DVC has another order each time."""
    stages = YAML(typ="safe").load(lock)["stages"]
    return hashlib.md5(json.dumps(stages, sort_keys=True).encode()).hexdigest()


def write_images(path: Path, n_images: int) -> list[str]:
    """Write so many images to train on and 10,000 to test with, with classes; return their names.

    About half are of each data set. A smaller number has the first images of a larger one.
    """
    arrays = [settings_of("datasets", name)().read().arrays for name in DATASETS]
    images, labels = copied(*_joined(arrays, "train"), n_images)
    test_images, test_labels = copied(*_joined(arrays, "test"), N_TEST)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        images=images,
        train_labels=labels,
        test_images=test_images,
        test_labels=test_labels,
    )
    return [name for dataset in DATASETS for name in _class_names(dataset)]


def copied(images: Array, labels: Ints, n_copies: int) -> tuple[Array, Ints]:
    """Return random images, each blended with another of its class, then turned and shifted.

    Images are of shape (n_images, height, width), of which each class has one at least.
    """
    by_class = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    copies = np.empty((n_copies, *images.shape[1:]), np.uint8)
    labels_of_copies = np.empty(n_copies, labels.dtype)
    center = (np.array(images.shape[1:]) - 1) / 2

    def make(rows: slice) -> None:
        rng = np.random.default_rng([0, rows.start])
        for row in range(rows.start, rows.stop):
            first = rng.integers(len(images))
            second = rng.choice(by_class[labels[first]])
            share = rng.uniform(0, MAX_BLEND)
            blended = (1 - share) * images[first] + share * images[second]
            angle = np.radians(rng.uniform(-MAX_TURN, MAX_TURN))
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            offset = center - turn @ center + rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2)
            copies[row] = ndimage.affine_transform(blended, turn, offset, order=1).round()
            labels_of_copies[row] = labels[first]

    for_each_block(make, n_copies, block_rows=_BLOCK_ROWS, description="copies")
    return copies, labels_of_copies


def _class_names(dataset: str) -> list[str]:
    return [f"{dataset} {name}" for name in settings_of("datasets", dataset)().names_of_classes()]


def _joined(arrays: list[dict], split: str) -> tuple[Array, Ints]:
    """Return the images of all data sets, and their classes, one set's after the other's."""
    images = np.concatenate([of[f"{split}_images"] for of in arrays])
    labels = np.concatenate([of[f"{split}_labels"] + 10 * i for i, of in enumerate(arrays)])
    return images, labels.astype(np.int64)


if __name__ == "__main__":
    chosen = [(int(sys.argv[1]), sys.argv[2])] if sys.argv[1:] else RUNS
    for n, where in chosen:
        main(n, where)
