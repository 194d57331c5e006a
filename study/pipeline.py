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
from fewlabel.propagation.held_out import load_held_out, refuted_labels
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
    with workspace() as work:
        for metrics in work.folder.glob("metrics/*.json"):  # of the last run, of other settings
            metrics.unlink()
        _change(work, {"seed": int(seed)} | row.get("settings", {}))
        records = list(_measure(work, row))
    save_json(RECORDS / f"{name}-{seed}.json", records)


def _change(work: Workspace, settings: dict) -> None:
    """Set params of the clone, and copy images that they name to where no stage makes them."""
    if (images := settings.get("dataset.folder.path")) is not None:
        source, path = ROOT / images, f"data/images/{Path(images).name}"
        if not source.exists():
            raise FewlabelError(f"{images} is not there; docs/performance.md says how to make it")
        if not (work.folder / path).exists():
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, work.folder / path)
        settings = settings | {"dataset.folder.path": path}
    work.set_params(settings)


def _measure(work: Workspace, row: dict) -> Iterator[dict]:
    targets = [f"dvc.yaml:{stage}" for stage in row.get("targets", [])] or ["dvc.yaml"]
    latest = {}
    for budget in row["budgets"]:
        work.set_params({"label_budget": budget})
        for step, changes in row.get("steps", {"": {}}).items():
            _change(work, changes)
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
        held_out = load_held_out()
    named = [image for image, _ in suspicious_labels(labels, held_out)]
    refuted = refuted_labels(held_out, labels)
    return {
        "shipped": shipped["accuracy"],
        "calibration_error": shipped["expected_calibration_error"],
        "expected": shipped.get("check_accuracy", verdict.get("held_out_accuracy")),
        "weak_classes": verdict.get("weak_classes"),
        **{name: verdict[name] for name in ("missing_classes", "representatives_of_no_class")},
        "wrong_labels": int(wrong.sum()),
        "wrong_labels_named": int(wrong[named].sum()),
        "refuted_labels": len(refuted),
        "wrong_labels_refuted": int(wrong[refuted].sum()),
    }


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
