"""Measure the pipeline with other settings: `python -m study.pipeline ROW SEED`.

It runs with each budget of the row, and with each of its steps, in a clone that starts without a
cache. Nothing else may run meanwhile, or its seconds mean nothing.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np

from benchmarks.workspace import ROOT, Workspace, workspace
from fewlabel.errors import FewlabelError, exit_on_error
from fewlabel.propagation.held_out import load_held_out
from fewlabel.storage import load_json, save_json
from fewlabel.verdict import suspicious_labels
from study.records import RECORDS, TRAINING_SETS
from study.settings import settings

_MEASURED = ("dvc.yaml", "params.yaml", "fewlabel", "stages")


def main(name: str, seed: str) -> None:
    """Write study/rows/pipeline/ROW-SEED.json: a record for each budget and step.

    Raises
    ------
    FewlabelError
        If the clone, which is of the last commit, would not be what lies here.
    """
    clean = ["git", "diff", "--quiet", "HEAD", "--", *_MEASURED]
    if subprocess.run(clean, cwd=ROOT, check=False).returncode:
        raise FewlabelError(f"commit {', '.join(_MEASURED)} first: what is measured is a clone")
    row = settings("pipeline", name)
    every_run = row.get("settings", {})
    with workspace() as work:
        work.set_params({"seed": int(seed)} | every_run)
        if "dataset.folder.path" in every_run:
            _take_images(work.folder, every_run["dataset.folder.path"])
        records = list(_measure(work, row))
    save_json(RECORDS / f"{name}-{seed}.json", records)


def _take_images(folder: Path, images: str) -> None:
    if not (ROOT / images).is_dir():
        raise FewlabelError(f"{images} is not there; docs/performance.md says how to make it")
    shutil.copytree(ROOT / images, folder / images)


def _measure(work: Workspace, row: dict) -> Iterator[dict]:
    target = ":".join(["dvc.yaml", *filter(None, [row.get("target")])])
    # The clone has the last run's metrics, also those that no stage of the target writes.
    training_sets = () if "target" in row else TRAINING_SETS
    latest = {}
    for budget in row["budgets"]:
        work.set_params({"label_budget": budget})
        for step, changes in row.get("steps", {"": {}}).items():
            work.set_params(changes)
            print(f"{budget} labels, {step or target} ...", flush=True)
            work.dvc("repro", target)
            # A stage that another budget left unchanged counts with the time it took.
            latest |= {record["stage"]: record for record in work.take_stages()}
            record = {"labels": budget} | ({"step": step} if step else {})
            metrics = work.metrics()
            record |= _results(metrics, training_sets, latest)
            if training_sets:
                record |= _trust(work.folder, metrics)
            print(f"  {record}", flush=True)
            yield record


def _results(metrics: dict, training_sets: tuple[str, ...], stages: dict) -> dict:
    after_download = [record for name, record in stages.items() if name != "download"]
    return {
        **{name: metrics[name]["accuracy"] for name in training_sets},
        **{name: metrics["propagation"][name] for name in ("coverage", "label_accuracy")},
        "seconds": sum(record["seconds"] for record in after_download),
        "peak_memory_mb": max(record["peak_memory_mb"] for record in after_download),
    }


def _trust(folder: Path, metrics: dict) -> dict:
    """Return how good the shipped classifier is, and how many wrong labels are found."""
    shipped = load_json(folder / "models/shipped.json")["training_set"]
    labels = np.load(folder / "data/representatives/labels.npy")
    wrong = (labels >= 0) & (labels != np.load(folder / "data/raw/train_labels.npy"))
    with chdir(folder):
        named = [image for image, _ in suspicious_labels(labels, load_held_out())]
    return {
        "shipped": metrics[shipped]["accuracy"],
        "calibration_error": metrics[shipped]["expected_calibration_error"],
        "wrong_labels": int(wrong.sum()),
        "wrong_labels_named": int(wrong[named].sum()),
    }


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
