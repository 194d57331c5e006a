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
from fewlabel.errors import FewlabelError, exit_on_error
from fewlabel.storage import load_json, save_json

TRAINING_SETS = ("random_subset", "representatives", "propagated")
MEASURED = ("dvc.yaml", "params.yaml", "fewlabel", "stages")
BUDGETS = {"fashion_mnist": (50, 100, 500, 1000, 2000), "mnist": (50, 100)}


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
        for budget in BUDGETS[dataset]:
            work.set_params({"dataset.name": dataset, "seed": int(seed), "label_budget": budget})
            print(f"{dataset}, {budget} labels, seed {seed} ...", flush=True)
            work.dvc("repro", "dvc.yaml")
            # A stage that another budget left unchanged counts with the time it took.
            latest |= {record["stage"]: record for record in work.take_stages()}
            rows.append({"labels": budget} | _results(work.metrics(), latest))
            print(f"  {rows[-1]}", flush=True)
    save_json(ROOT / "frontier" / "rows" / f"{dataset}-{seed}.json", rows)


def _results(metrics: dict, stages: dict) -> dict:
    accuracy = {name: metrics[name]["accuracy"] for name in TRAINING_SETS}
    propagation = {name: metrics["propagation"][name] for name in ("coverage", "label_accuracy")}
    after_download = [record for name, record in stages.items() if name != "download"]
    return (
        accuracy
        | propagation
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


def targets() -> pd.DataFrame:
    """Return what we want to reach with each budget, and the best published figures, with sources.

    `recipe` is the best of the published recipe's own: representatives of k-means clusters, whose
    labels are propagated, fully or in part, at that line of study/reported.csv.
    """
    return pd.read_csv(ROOT / "frontier" / "targets.csv")


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
