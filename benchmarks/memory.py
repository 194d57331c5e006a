"""Measure seconds and peak memory of each stage on large color photographs.

`make bench PHOTOS=FOLDER` prints tables and writes benchmarks/memory.json. The folder has
photographs in sub-folders, one for each class. Where more are needed, they are mirrored and shifted
copies.
Training is cut to one epoch, since memory does not depend on the number of epochs.
"""

import sys
from itertools import islice
from pathlib import Path

import pandas as pd
from PIL import Image, ImageChops, ImageOps

from benchmarks.own_images import answer, write_table
from benchmarks.pipeline import MACHINE
from benchmarks.workspace import ROOT, Workspace, workspace
from fewlabel.storage import save_json

SIZES = ((12_000, 224), (100_000, 64))  # images, pixels per side
N_TEST = 1000
FOLDER = "data/images/photos"
NETWORKS = ("cnn", "wide_mlp")
SHORT = {
    f"train.cnn_mlp_ensemble.{network}.{key}": n
    for network in NETWORKS
    for key, n in (("epochs", 1), ("min_steps", 10))
}


def main(photos: Path) -> None:
    """Run the default pipeline on each number and size of images; print tables and write them."""
    report: dict = {"machine": MACHINE, "training": "1 epoch, 10 steps at least", "runs": []}
    for n_images, side in SIZES:
        with workspace() as work:
            stages = run(work, photos, n_images, side)
        report["runs"].append({"images": n_images, "side": side, "stages": stages})
        save_json(ROOT / "benchmarks" / "memory.json", report)
        print(f"\n{n_images:,} x {side} x {side} x 3", pd.DataFrame(stages).round(1), sep="\n")


def run(work: Workspace, photos: Path, n_images: int, side: int) -> list[dict]:
    """Return what each stage took."""
    labels = write_copies(photos, work.folder / FOLDER, n_images + N_TEST)
    tests = dict(islice(labels.items(), N_TEST))
    write_table(work.folder / FOLDER / "test.csv", tests)
    settings = {
        "dataset.name": "folder",
        "dataset.folder.path": FOLDER,
        "dataset.folder.image_size": side,
        "dataset.folder.class_names": sorted(set(labels.values())),
        "dataset.folder.test_labels": "test.csv",
        "label.source": "human",
    }
    work.set_params(settings | SHORT)
    work.dvc("add", "--quiet", FOLDER)
    work.dvc("repro", "dvc.yaml:cluster")
    answer(work, labels)
    work.dvc("repro", "dvc.yaml")
    return work.take_stages()


def write_copies(photos: Path, folder: Path, n_images: int) -> dict[str, str]:
    """Write photographs of all classes in turn, then copies of them; return the class of each."""
    folder.mkdir(parents=True)
    of_class = [sorted(place.iterdir()) for place in sorted(photos.iterdir()) if place.is_dir()]
    files = [file for in_turn in zip(*of_class, strict=False) for file in in_turn]
    labels = {}
    for i in range(n_images):
        copy, at = divmod(i, len(files))
        with Image.open(files[at]) as photo:
            image = ImageChops.offset(photo.convert("RGB"), copy // 2)
        name = f"{i:06}.jpg"
        (ImageOps.mirror(image) if copy % 2 else image).save(folder / name, quality=95)
        labels[name] = files[at].parent.name
    return labels


if __name__ == "__main__":
    main(Path(sys.argv[1]))
