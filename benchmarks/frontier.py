"""Measure how accurate few labels are, and in what time: `make frontier`.

`python -m benchmarks.frontier DATASET SEED` runs the pipeline with each label budget in a clone
that starts without a cache, and writes frontier/rows/DATASET-SEED.json. Nothing else may run
meanwhile, or its seconds mean nothing.
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd

from benchmarks.workspace import ROOT, workspace
from fewlabel.errors import FewlabelError, fail_in_one_line
from stages.artifacts import load_json, save_json

ARMS = ("labeled_subset", "representatives", "propagated")
MEASURED = ("dvc.yaml", "params.yaml", "fewlabel", "stages")
# Of each data set and budget: the best published accuracy of any method, and that of the recipe
# (study/reported.csv), then what we want to reach and the minutes it may take on two cores.
TARGETS = pd.DataFrame(
    [
        ("fashion_mnist", 50, 0.731, None, 0.79, 6),
        ("fashion_mnist", 100, 0.761, 0.708, 0.835, 6),
        ("fashion_mnist", 500, 0.795, 0.765, 0.86, 8),
        ("fashion_mnist", 1000, 0.810, 0.792, 0.88, 8),
        ("fashion_mnist", 2000, 0.823, 0.815, 0.897, 10),
        ("mnist", 50, 0.9858, 0.84, 0.988, 6),
        ("mnist", 100, 0.9907, 0.98, 0.992, 6),
    ],
    columns=["data", "labels", "published", "recipe", "target", "minutes"],
)


def main(dataset: str, seed: str) -> None:
    """Measure every budget of a data set with one seed.

    Raises
    ------
    FewlabelError
        If the clone, which is of the last commit, would not be what lies here.
    """
    clean = ["git", "diff", "--quiet", "HEAD", "--", *MEASURED]
    if subprocess.run(clean, cwd=ROOT, check=False).returncode:
        raise FewlabelError(f"commit {', '.join(MEASURED)} first: what is measured is a clone")
    rows, latest = [], {}
    with workspace() as work:
        for budget in TARGETS.loc[TARGETS["data"] == dataset, "labels"].tolist():
            work.set_params({"dataset.name": dataset, "seed": int(seed), "label_budget": budget})
            print(f"{dataset}, {budget} labels, seed {seed} ...", flush=True)
            work.dvc("repro", "dvc.yaml")
            # A stage that another budget left unchanged counts with the time it took.
            latest |= {record["stage"]: record for record in work.take_stages()}
            rows.append({"labels": budget} | _results(work.metrics(), latest))
            print(f"  {rows[-1]}", flush=True)
    save_json(ROOT / "frontier" / "rows" / f"{dataset}-{seed}.json", rows)


def _results(metrics: dict, stages: dict) -> dict:
    accuracy = {arm: metrics[arm]["accuracy"] for arm in ARMS}
    of_labels = {name: metrics["propagation"][name] for name in ("coverage", "label_accuracy")}
    after_download = [record for name, record in stages.items() if name != "download"]
    return (
        accuracy
        | of_labels
        | {
            "seconds": sum(record["seconds"] for record in after_download),
            "peak_memory_mb": max(record["peak_memory_mb"] for record in after_download),
        }
    )


def frontier() -> pd.DataFrame:
    """Return a row for each measured data set, budget and seed."""
    return pd.concat(
        pd.DataFrame(load_json(path)).assign(
            data=path.stem.rpartition("-")[0], seed=int(path.stem.rpartition("-")[2])
        )
        for path in sorted(Path(ROOT, "frontier", "rows").glob("*.json"))
    )


if __name__ == "__main__":
    with fail_in_one_line():
        main(*sys.argv[1:])
