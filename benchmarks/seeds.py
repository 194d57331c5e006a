"""Repeat settings with five seeds: `make seeds`.

Each run is `dvc repro` in a clone that shares this checkout's cache, so a run that was done is
restored, and an interrupted repetition goes on where it stopped. Writes benchmarks/seeds.csv, one
row a setting, seed and arm.
"""

import pandas as pd

from benchmarks.workspace import ROOT, workspace

SEEDS = range(5)
SETTINGS = {
    "fashion_mnist, 100 labels": {},
    "fashion_mnist, 100 labels, logistic regression": {"train.model": "logistic_regression"},
    "fashion_mnist, 2000 labels": {"label_budget": 2000},
    "mnist, 50 labels, cnn": {"dataset.name": "mnist", "label_budget": 50, "train.model": "cnn"},
}
ARMS = ("labeled_subset", "representatives", "propagated")


def main() -> None:
    """Run every setting with every seed; write and print what came out."""
    rows = []
    for name, settings in SETTINGS.items():
        for seed in SEEDS:
            with workspace(shared_cache=True) as work:
                work.set_params({"seed": seed} | settings)
                print(f"{name}, seed {seed} ...", flush=True)
                seconds = work.dvc("repro")
                metrics = work.metrics()
                print(f"  {metrics['propagated']['accuracy']:.4f} in {seconds:.0f} s", flush=True)
            propagation = metrics["propagation"]
            rows += [
                {
                    "setting": name,
                    "seed": seed,
                    "arm": arm,
                    "accuracy": metrics[arm]["accuracy"],
                    "macro_f1": metrics[arm]["macro_f1"],
                    "coverage": propagation["coverage"] if arm == "propagated" else None,
                    "label_accuracy": (
                        propagation["label_accuracy"] if arm == "propagated" else None
                    ),
                }
                for arm in ARMS
            ]
            pd.DataFrame(rows).to_csv(ROOT / "benchmarks" / "seeds.csv", index=False)
    table = pd.DataFrame(rows).groupby(["setting", "arm"], sort=False)["accuracy"]
    print(table.agg(["mean", "std", "min", "max", "count"]).round(4).to_string())


if __name__ == "__main__":
    main()
