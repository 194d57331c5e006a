"""The study's figures."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

# A method's color and name in the figures, by the method of its rows.
BY_LABELS = {
    "ours": ("tab:red", "ours"),
    "ours, representatives alone": ("salmon", "ours, representatives alone"),
    "ours, random labels alone": ("rosybrown", "ours, random labels alone"),
    "full propagation, dense network": ("tab:purple", "pixels, full propagation, dense network"),
    "partial propagation, 25 %, dense network": ("tab:pink", "the same, nearest 25 %"),
    "partial propagation, 50 %, small CNN": ("indigo", "pixels, nearest 50 %, small CNN"),
    "full propagation, logistic regression": ("mediumpurple", "pixels, full, logistic regression"),
    "partial propagation, 20 %, logistic regression": ("orchid", "the same, nearest 20 %"),
    "partial propagation, 25 %, logistic regression": ("plum", "the same, nearest 25 %"),
    "representatives, dense network": ("tab:blue", "representatives, dense network"),
    "representatives, logistic regression": ("tab:cyan", "representatives, logistic regression"),
    "random labels, dense network": ("tab:olive", "random labels, dense network"),
    "random labels, logistic regression": ("tab:green", "random labels, logistic regression"),
    "first labels, convolutional network": ("darkgreen", "first labels, convolutional network"),
    "first labels, logistic regression": ("yellowgreen", "first labels, logistic regression"),
    "given labels, small CNN": ("darkkhaki", "first labels, small CNN"),
    "given labels, 3 nearest neighbors": ("sienna", "last labels, 3 nearest neighbors"),
    "given labels, random forest": ("peru", "last labels, random forest"),
    "given labels, RBF support vectors": ("tan", "last labels, RBF support vectors"),
    "autoencoder, frozen, dense head": ("tab:brown", "frozen autoencoder, dense head"),
    "autoencoder, trained along, dense head": ("saddlebrown", "autoencoder trained along"),
    "self-training, random forest": ("tab:gray", "self-training, random forest"),
    "LabelPropagation, knn": ("tab:orange", "LabelPropagation, knn on 50 components"),
    "LabelSpreading, knn": ("gold", "LabelSpreading, knn on 50 components"),
    "LabelPropagation, rbf": ("darkslategray", "LabelPropagation, rbf on pixels"),
    "LabelSpreading, rbf": ("lightslategray", "LabelSpreading, rbf on pixels"),
    "ladder network": ("black", "ladder network"),
    "distances to 100 centroids, logistic regression": ("lightblue", "all labels, 100 distances"),
    "distances to 200 centroids, logistic regression": ("skyblue", "all labels, 200 distances"),
    "distances to 300 centroids, logistic regression": ("steelblue", "all labels, 300 distances"),
    "all labels, logistic regression": ("lightgreen", "all labels, logistic regression"),
    "all labels, dense network": ("darkolivegreen", "all labels, dense network"),
}
# Rows of each percentile, which have a figure of their own.
NOT_BY_LABELS = r"partial propagation, (20|30|50|75) %, dense network"
_TICKS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99)
_FAILED = 0.5
# Ratio of the positions of two methods with as many labels, which else would hide each other.
_DODGE = 1.006


def draw_by_labels(results: pd.DataFrame) -> Figure:
    """Accuracy against labels, with 95 % intervals, and published figures as crosses.

    A column a data set: above, on a logit scale, what is right more often than not; below, what is
    not. Methods with as many labels stand side by side.
    """
    datasets = list(dict.fromkeys(results["dataset"]))
    figure = Figure(figsize=(6.8 * max(len(datasets), 2), 9.6), dpi=100, layout="constrained")
    axes = figure.subplots(2, len(datasets), sharex="col", squeeze=False, height_ratios=[6, 1])
    handles = {}
    for (above, below), dataset in zip(axes.T, datasets, strict=True):
        shown_results = results[results["dataset"] == dataset]
        for axis in (above, below):
            handles |= _draw_methods(axis, shown_results)
            axis.grid(alpha=0.3)
        shown = shown_results[["interval_low", "interval_high", "reported"]].to_numpy()
        shown = shown[shown > _FAILED]
        above.set_ylim(shown.min() - 0.02, 1 - 0.9 * (1 - shown.max()))
        set_logit_scale(above)
        above.set(title=dataset, xscale="log", ylabel="test accuracy")
        below.set(ylim=(0, _FAILED), xlabel="labels")
    figure.legend(
        handles.values(), handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False
    )
    return figure


def set_logit_scale(axis: Axes) -> None:
    """Show accuracies on a logit scale, with ticks at round ones."""
    axis.set_yscale("logit")
    low, high = axis.get_ylim()
    ticks = [tick for tick in _TICKS if low < tick < high]
    axis.set_yticks(ticks, map(str, ticks))
    axis.yaxis.set_minor_locator(NullLocator())


def _draw_methods(axis, results):
    handles = {}
    for i, (method, (color, name)) in enumerate(BY_LABELS.items()):
        rows = results[results["method"] == method].sort_values("labels")
        if rows.empty:
            continue
        x = rows["labels"] * _DODGE ** (i - len(BY_LABELS) / 2)
        half = (rows["interval_high"] - rows["interval_low"]) / 2
        handles[name] = axis.errorbar(
            x, rows["accuracy"], half,
            color=color, marker="o", markersize=4, capsize=3, linewidth=1.5,
        )  # fmt: skip
        axis.plot(x, rows["reported"], "x", color=color, markersize=7, mew=1.8)
    handles["as published"] = axis.plot([], [], "x", color="0.3", markersize=7, mew=1.8)[0]
    return handles


def by_percentile(results: pd.DataFrame) -> pd.DataFrame:
    """Rows that differ in the percentile that is propagated, with most clusters."""
    rows = results[results["method"].str.contains(r"propagation, (?:\d+ %, )?dense network")]
    return rows[rows["labels"] == rows["labels"].max()].sort_values("percentile")


def draw_by_percentile(results: pd.DataFrame) -> Figure:
    """Test and label accuracy against the percentile that is propagated, with most clusters."""
    rows = by_percentile(results)
    figure = Figure(figsize=(6.6, 4.8), dpi=110, layout="constrained")
    axis = figure.subplots()
    half = (rows["interval_high"] - rows["interval_low"]) / 2
    axis.errorbar(
        rows["percentile"], rows["accuracy"], half,
        color="tab:blue", marker="o", capsize=3, label="test accuracy of the dense network",
    )  # fmt: skip
    axis.plot(
        rows["percentile"], rows["label_accuracy"], "s-", color="tab:orange",
        label="labels trained on that are right, given ones included",
    )  # fmt: skip
    bottom = axis.get_ylim()[0] - 0.05
    in_sight = rows["reported"].clip(lower=bottom)
    axis.plot(rows["percentile"], in_sight, "x", color="tab:blue", markersize=8, mew=2,
              label="test accuracy as published", clip_on=False)  # fmt: skip
    for row in rows[rows["reported"] < bottom].itertuples():
        text = f" published: {row.reported:g}"
        axis.annotate(text, (row.percentile, bottom), va="bottom", color="tab:blue")
    axis.set(xlabel="percentile of each cluster that gets a label", ylabel="accuracy")
    axis.set_ylim(bottom=bottom)
    n_clusters = rows["labels"].max()
    axis.set_title(f"Propagation over {n_clusters:,} clusters of pixels")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure
