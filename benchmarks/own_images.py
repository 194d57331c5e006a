"""From a folder of color images without labels to predictions: `make demo-own-images`.

Fashion-MNIST's images, tinted and scaled to mixed sizes, stand in for a user's photos. All happens
in a temporary clone; a CSV stands in for the person who labels 100 of them.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.workspace import Workspace, workspace
from fewlabel.methods import settings_of

N_TRAIN, N_TEST, N_NEW = 6000, 1000, 8
FOLDER = "data/images/photos"
DATASET = settings_of("datasets", "fashion_mnist")()
SETTINGS = {
    "dataset.name": "folder",
    "dataset.folder.path": FOLDER,
    "dataset.folder.image_size": 28,
    "dataset.folder.class_names": list(DATASET.class_names),
    "dataset.folder.test_labels": "test.csv",
    "label.source": "human",
}


def main() -> None:
    """Make the images, label their representatives, train, and classify new ones."""
    arrays = DATASET.read().arrays
    rng = np.random.default_rng(0)
    with workspace() as work:
        photos = work.folder / FOLDER
        labels = write_images(photos, arrays["train_images"], arrays["train_labels"], N_TRAIN, rng)
        tests = write_images(
            photos / "test", arrays["test_images"], arrays["test_labels"], N_TEST, rng
        )
        write_table(photos / "test.csv", {f"test/{name}": label for name, label in tests.items()})
        work.set_params(SETTINGS)
        work.dvc("add", "--quiet", FOLDER)
        print(f"{N_TRAIN} images to train on, {N_TEST} to test with, in {FOLDER}", flush=True)
        work.dvc("repro", "dvc.yaml:cluster")

        n_labels = answer(work, labels)
        seconds = work.dvc("repro", "dvc.yaml")
        metrics = work.metrics()
        print(
            f"trained in {seconds:.0f} s on {metrics['propagated']['train_images']} propagated "
            f"labels; test accuracy {metrics['propagated']['accuracy']:.4f}, with the "
            f"{n_labels} labels alone {metrics['representatives']['accuracy']:.4f}\n",
            flush=True,
        )
        unseen = slice(N_TEST, None)
        new = write_images(
            work.folder / "new", arrays["test_images"][unseen], arrays["test_labels"][unseen],
            N_NEW, rng,
        )  # fmt: skip
        fewlabel(work, "predict", "models/classifier.keras", "new")
        print("\nin truth: " + ", ".join(f"{name} {label}" for name, label in new.items()))


def answer(work: Workspace, labels: dict[str, str]) -> int:
    """Label the representatives as a person would, by a CSV; return how many."""
    fewlabel(work, "export-tasks", "tasks")
    tasks = json.loads((work.folder / "tasks" / "tasks.json").read_text(encoding="utf-8"))
    asked = [task["data"]["name"] for task in tasks]
    write_table(work.folder / "mine.csv", {name: labels[name] for name in asked})
    fewlabel(work, "import-labels", "mine.csv")
    return len(asked)


def write_images(folder: Path, images, labels, n_images: int, rng) -> dict[str, str]:
    """Write the first images tinted and scaled; return the class of each file."""
    folder.mkdir(parents=True)
    classes = {}
    for i in range(n_images):
        tinted = images[i][..., None] * rng.uniform(0.4, 1, 3)
        image = Image.fromarray(tinted.astype(np.uint8)).resize((int(rng.integers(24, 80)),) * 2)
        name = f"{i:05}.png"
        image.save(folder / name)
        classes[name] = DATASET.class_names[labels[i]]
    return classes


def write_table(path: Path, labels: dict[str, str]) -> None:
    """Write image and label as a person would hand them over."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "label"), *labels.items()])


def fewlabel(work: Workspace, *arguments: str) -> None:
    """Run the command `fewlabel` in the clone."""
    subprocess.run([sys.executable, "-m", "fewlabel.cli", *arguments], cwd=work.folder, check=True)


if __name__ == "__main__":
    main()
