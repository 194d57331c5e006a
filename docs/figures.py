"""The figures of accuracy per label, of robustness, and of time per image."""

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
_SEE_ALL = ("download", "embed", "graph", "cluster", "spread", "train propagated")


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


def draw_robustness(runs: pd.DataFrame) -> Figure:
    """Draw test accuracy with each kind of answers and pool, a panel per data set.

    `runs` are `docs.readme.robustness`; bars are one standard deviation over the seeds.
    """
    datasets = list(dict.fromkeys(runs["row"]))
    figure = Figure(figsize=(3 * len(datasets), 4.4), dpi=100, layout="constrained")
    axes = figure.subplots(1, len(datasets), squeeze=False)[0]
    for axis, dataset in zip(axes, datasets, strict=True):
        by_step = runs[runs["row"] == dataset].groupby("step", sort=False)
        for column, color, name in (
            ("shipped", "tab:red", "ours: the classifier that is shipped"),
            ("representatives", "tab:blue", "representatives alone"),
        ):
            accuracy = by_step[column]
            axis.errorbar(
                list(by_step.groups), accuracy.mean(), accuracy.std().fillna(0),
                color=color, label=name, marker="o", markersize=5, capsize=3, linestyle="none",
            )  # fmt: skip
        axis.set(title=dataset, xlim=(-0.5, by_step.ngroups - 0.5))
        axis.tick_params(axis="x", rotation=90)
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("test accuracy, 100 labels")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure


def draw_scale(runs: list[dict]) -> Figure:
    """Draw seconds per image of each stage that sees all images, and memory, against images.

    `runs` are those of benchmarks/scale.json; those on threads are drawn.
    """
    runs = [run for run in runs if run["engine"] == "threads"]
    images = [run["images"] for run in runs]
    figure = Figure(figsize=(10, 4), dpi=100, layout="constrained")
    cost, memory = figure.subplots(1, 2)
    for stage in _SEE_ALL:
        records = [r for run in runs for r in run["stages"] if r["stage"] == stage]
        pairs = list(zip(records, images, strict=True))
        cost.plot(images, [1000 * r["seconds"] / n for r, n in pairs], marker="o", label=stage)
        memory.plot(images, [r["peak_memory_mb"] for r in records], marker="o", label=stage)
    cost.set(ylabel="milliseconds per image", yscale="log")
    memory.set(ylabel="peak memory, MB", ylim=(0, None))
    for axis in (cost, memory):
        axis.set(xlabel="images", xscale="log")
        axis.set_xticks(images, [f"{n:,}" for n in images])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.grid(alpha=0.3)
    handles, names = cost.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6, fontsize=9, frameon=False)
    return figure
