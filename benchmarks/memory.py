"""Measure seconds and peak memory of each stage on many, and on large, color photographs.

`make bench PHOTOS=FOLDER` prints tables and writes benchmarks/memory.json, each run as it ends; N
and SIDE after the folder of `python -m benchmarks.memory` measure one. The folder has photographs
in sub-folders, one for each class. Where more are needed, they are mirrored and shifted copies.
"""

import sys
from pathlib import Path

import pandas as pd
from PIL import Image, ImageChops, ImageOps

from benchmarks.own_images import fewlabel, write_table
from benchmarks.pipeline import MACHINE
from benchmarks.workspace import ROOT, Workspace, workspace
from fewlabel.storage import load_json, save_json

REPORT = ROOT / "benchmarks" / "memory.json"
SIZES = ((12_000, 224), (50_000, 128), (100_000, 64))  # images, pixels per side
N_TEST = 1000
FOLDER = "data/images/photos"


def main(photos: Path, sizes: tuple[tuple[int, int], ...] = SIZES) -> None:
    """Run the default pipeline on each number and size of images; print tables and write them."""
    for n_images, side in sizes:
        with workspace() as work:
            measured = run(work, photos, n_images, side)
        kept = load_json(REPORT)["runs"] if REPORT.exists() else []
        runs = {(run["images"], run["side"]): run for run in (*kept, measured)}
        save_json(REPORT, {"machine": MACHINE, "runs": [runs[size] for size in sorted(runs)]})
        table = pd.DataFrame(measured["stages"]).round(1)
        print(f"\n{n_images:,} x {side} x {side} x 3", table, sep="\n", flush=True)


def run(work: Workspace, photos: Path, n_images: int, side: int) -> dict:
    """Return what each stage took."""
    labels = list(write_copies(photos, work.folder / FOLDER, n_images + N_TEST).items())
    tables = {"test": dict(labels[:N_TEST]), "train": dict(labels[N_TEST:])}
    for split, table in tables.items():
        write_table(work.folder / FOLDER / f"{split}.csv", table)
    settings = {
        "name": "folder",
        "folder.path": f"{FOLDER}.csv",
        "folder.image_size": side,
        "folder.class_names": sorted(set(tables["train"].values())),
        "folder.test_labels": "test.csv",
        "folder.train_labels": "train.csv",
    }
    work.set_params({f"dataset.{key}": value for key, value in settings.items()})
    fewlabel(work, "list-images", FOLDER)
    seconds = work.dvc("repro", "dvc.yaml")
    metrics = work.metrics()
    return {
        "images": n_images,
        "side": side,
        "seconds": seconds,
        "accuracy": metrics["propagated"]["accuracy"],
        "stages": work.take_stages(),
    }


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
    folder, *size = sys.argv[1:]
    main(Path(folder), *([(tuple(map(int, size)),)] if size else []))
