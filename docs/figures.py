"""The figure of accuracy per label in README.md and docs/performance.md."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from study.figures import set_logit_scale

_TRAINING_SETS = {
    "propagated": ("tab:red", "ours: labels propagated"),
    "representatives": ("tab:blue", "representatives alone"),
    "random_subset": ("0.6", "random images alone"),
}
_REFERENCES = {
    "target": ("_", "black", "our target"),
    "published": ("x", "tab:purple", "best published"),
    "recipe": ("+", "tab:green", "published recipe"),
}


def draw_accuracy(runs: pd.DataFrame, targets: pd.DataFrame) -> Figure:
    """Draw test accuracy against labels, a panel per data set, on a logit scale.

    Parameters
    ----------
    runs
        `docs.readme.accuracy`; bars are one standard deviation over the seeds.
    targets
        `study.records.targets`.
    """
    datasets = list(dict.fromkeys(targets["data"]))
    figure = Figure(figsize=(5 * len(datasets), 4.6), dpi=100, layout="constrained")
    for axis, dataset in zip(figure.subplots(1, len(datasets)), datasets, strict=True):
        _draw_training_sets(axis, runs[runs["row"] == dataset])
        references = targets[targets["data"] == dataset]
        for column, (marker, color, name) in _REFERENCES.items():
            axis.plot(
                references["labels"], references[column], marker,
                color=color, label=name, markersize=10, markeredgewidth=2,
            )  # fmt: skip
        axis.set(title=dataset, xlabel="labels", xscale="log")
        axis.set_xticks(references["labels"])
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_locator(NullLocator())
        set_logit_scale(axis)
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("test accuracy")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def _draw_training_sets(axis, runs):
    by_budget = runs.groupby("labels")
    for training_set, (color, name) in _TRAINING_SETS.items():
        accuracy = by_budget[training_set]
        axis.errorbar(
            by_budget.size().index, accuracy.mean(), accuracy.std().fillna(0),
            color=color, label=name, marker="o", markersize=4, capsize=3,
        )  # fmt: skip
