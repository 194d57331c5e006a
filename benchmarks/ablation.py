"""Measure what each piece of the pipeline adds to the labels that it propagates: `make ablation`.

Prints, and writes to benchmarks/ablation.json, the share of Fashion-MNIST's training labels that
are right when every image gets one, from the published recipe to the default, one change after
another. No test label is read, and the seeds are those of no published figure.
"""

import pandas as pd

from benchmarks.workspace import ROOT, workspace
from fewlabel.storage import save_json

SEEDS = (100, 101)
BUDGETS = (100, 2000)
NONE = 1e-9
STEPS = {
    "k-means on pixels; every image gets the label of its cluster": {
        "embed.method": "pixels",
        "cluster.alpha": 0.0,
        "cluster.kmeans.init": "random",
        "propagate.method": "cluster",
        "propagate.percentile": 100,
    },
    "patch features instead of pixels": {"embed.method": "patches"},
    "labels spread over the graph instead of clusters": {"propagate.method": "graph"},
    "kernel regression instead of spreading": {
        "propagate.method": "regression",
        "propagate.regression.graph_half_weight": NONE,
        "propagate.regression.neighbor_half_weight": NONE,
    },
    "smoothed over the graph": {"propagate.regression.neighbor_half_weight": 1000},
    "multiplied by the spread labels": {"propagate.regression.graph_half_weight": 100},
    "k-means++ on a sample instead of random starts": {"cluster.kmeans.init": "k-means++"},
    "clusters of graph-smoothed features (default)": {"cluster.alpha": 0.9},
}


def main() -> None:
    """Run every step with each seed and budget in one clone."""
    rows = []
    with workspace() as work:
        for seed in SEEDS:
            for labels in BUDGETS:
                work.set_params({"seed": seed, "label_budget": labels})
                for step, changes in STEPS.items():
                    work.set_params(changes)
                    work.dvc("repro", "dvc.yaml:evaluate_propagation")
                    label_accuracy = work.metrics()["propagation"]["label_accuracy"]
                    rows.append(
                        {"seed": seed, "labels": labels, "step": step, "right": label_accuracy}
                    )
                    print(rows[-1], flush=True)
    save_json(ROOT / "benchmarks" / "ablation.json", rows)
    table = pd.DataFrame(rows).pivot_table("right", "step", "labels", sort=False)
    print(table.round(4).to_string())


if __name__ == "__main__":
    main()
