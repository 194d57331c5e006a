"""The study's figures."""

import pandas as pd
from matplotlib.figure import Figure

# A method's color and name in the figures, by the method of its rows.
BY_LABELS = {
    "ours": ("tab:red", "ours: patches, graph, percentile, dense network"),
    "full propagation, dense network": ("tab:purple", "pixels, full propagation, dense network"),
    "partial propagation, 25 %, dense network": ("tab:pink", "the same, nearest 25 %"),
    "representatives, dense network": ("tab:blue", "representatives, dense network"),
    "representatives, logistic regression": ("tab:cyan", "representatives, logistic regression"),
    "random labels, dense network": ("tab:olive", "random labels, dense network"),
    "random labels, logistic regression": ("tab:green", "random labels, logistic regression"),
    "frozen autoencoder, dense head": ("tab:brown", "frozen autoencoder, dense head"),
    "self-training, random forest": ("tab:gray", "self-training, random forest"),
    "ladder network": ("black", "ladder network"),
}


def draw_by_labels(results: pd.DataFrame) -> Figure:
    """Accuracy against labels on a panel a data set, with 95 % intervals; published as crosses."""
    datasets = list(dict.fromkeys(results["dataset"]))
    figure = Figure(figsize=(6.2 * len(datasets), 5.6), dpi=110, layout="constrained")
    axes = figure.subplots(1, len(datasets), squeeze=False)[0]
    for axis, dataset in zip(axes, datasets, strict=True):
        for method, (color, name) in BY_LABELS.items():
            rows = results[(results["dataset"] == dataset) & (results["method"] == method)]
            rows = rows.sort_values("labels")
            if rows.empty:
                continue
            half = (rows["interval_high"] - rows["interval_low"]) / 2
            axis.errorbar(
                rows["labels"], rows["accuracy"], half,
                color=color, label=name, marker="o", markersize=4, capsize=3, linewidth=1.5,
            )  # fmt: skip
            axis.plot(rows["labels"], rows["reported"], "x", color=color, markersize=8, mew=2)
        axis.plot([], [], "x", color="0.3", markersize=8, mew=2, label="as published")
        axis.set(title=dataset, xscale="log", xlabel="labels", ylabel="test accuracy")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7, loc="lower right")
    return figure


def by_percentile(results: pd.DataFrame) -> pd.DataFrame:
    """Rows that differ in the percentile that is propagated, with most clusters."""
    rows = results[results["method"].str.contains(r"propagation, (?:\d+ %, )?dense network")]
    return rows[rows["labels"] == rows["labels"].max()].sort_values("percentile")


def draw_by_percentile(results: pd.DataFrame) -> Figure:
    """Test and label accuracy against the percentile that is propagated, with most clusters."""
    rows = by_percentile(results)
    figure = Figure(figsize=(6.2, 4.6), dpi=110, layout="constrained")
    axis = figure.subplots()
    half = (rows["interval_high"] - rows["interval_low"]) / 2
    axis.errorbar(
        rows["percentile"], rows["accuracy"], half,
        color="tab:blue", marker="o", capsize=3, label="test accuracy of the dense network",
    )  # fmt: skip
    axis.plot(rows["percentile"], rows["reported"], "x", color="tab:blue", markersize=8, mew=2)
    axis.plot([], [], "x", color="0.3", markersize=8, mew=2, label="as published")
    axis.plot(
        rows["percentile"], rows["label_accuracy"], "s-", color="tab:orange",
        label="propagated labels that are right",
    )  # fmt: skip
    axis.set(xlabel="percentile of each cluster that gets a label", ylabel="accuracy")
    n_clusters = rows["labels"].max()
    axis.set_title(f"Propagation over {n_clusters:,} clusters of pixels")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure
