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
        for metrics in work.folder.glob("metrics/*.json"):  # of the last run, of other settings
            metrics.unlink()
        for changes in (every_run, *row.get("steps", {}).values()):
            if "dataset.folder.path" in changes:
                _take_images(work.folder, changes["dataset.folder.path"])
        records = list(_measure(work, row))
    save_json(RECORDS / f"{name}-{seed}.json", records)


def _take_images(folder: Path, images: str) -> None:
    source, copy = ROOT / images, folder / images
    if not source.exists():
        raise FewlabelError(f"{images} is not there; docs/performance.md says how to make it")
    copy.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, copy)
    else:
        shutil.copyfile(source, copy)


def _measure(work: Workspace, row: dict) -> Iterator[dict]:
    targets = [f"dvc.yaml:{stage}" for stage in row.get("targets", [])] or ["dvc.yaml"]
    latest = {}
    for budget in row["budgets"]:
        work.set_params({"label_budget": budget})
        for step, changes in row.get("steps", {"": {}}).items():
            work.set_params(changes)
            print(f"{budget} labels {step} ...", flush=True)
            work.dvc("repro", *targets)
            # A stage that another budget left unchanged counts with the time it took.
            latest |= {record["stage"]: record for record in work.take_stages()}
            record = {"labels": budget} | ({"step": step} if step else {})
            metrics = work.metrics()
            record |= _results(metrics, latest)
            if "verdict" in metrics:
                record |= _trust(work.folder, metrics)
            print(f"  {record}", flush=True)
            yield record


def _results(metrics: dict, stages: dict) -> dict:
    after_download = [record for name, record in stages.items() if name != "download"]
    return {
        **{name: metrics[name]["accuracy"] for name in TRAINING_SETS if name in metrics},
        **{name: metrics["propagation"][name] for name in ("coverage", "label_accuracy")},
        "seconds": sum(record["seconds"] for record in after_download),
        "peak_memory_mb": max(record["peak_memory_mb"] for record in after_download),
    }


def _trust(folder: Path, metrics: dict) -> dict:
    """Return how good the shipped classifier is, what was expected of it, and what was found."""
    shipped = metrics[load_json(folder / "models/shipped.json")["training_set"]]
    verdict = metrics["verdict"]
    labels = np.load(folder / "data/representatives/labels.npy")
    wrong = (labels >= 0) & (labels != np.load(folder / "data/raw/train_labels.npy"))
    with chdir(folder):
        named = [image for image, _ in suspicious_labels(labels, load_held_out())]
    return {
        "shipped": shipped["accuracy"],
        "calibration_error": shipped["expected_calibration_error"],
        "expected": shipped.get("check_accuracy", verdict.get("held_out_accuracy")),
        "weak_classes": verdict.get("weak_classes"),
        **{name: verdict[name] for name in ("missing_classes", "representatives_of_no_class")},
        "wrong_labels": int(wrong.sum()),
        "wrong_labels_named": int(wrong[named].sum()),
    }


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
