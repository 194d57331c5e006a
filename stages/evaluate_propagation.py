"""Measure the pseudo-labels against all true ones, after the fact."""

from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, save_json, save_table


def main(params: Params) -> None:
    """Write metrics/propagation.json, and label accuracy against coverage as CSV."""
    from fewlabel.metrics import propagation_curve, propagation_metrics

    labels = load_array("data/raw/train_labels.npy")
    propagated = load_array("data/propagated/labels.npy")
    save_json("metrics/propagation.json", propagation_metrics(labels, propagated))

    pseudo_labels = load_array("data/spread/pseudo_labels.npy")
    confidence = load_array("data/spread/confidence.npy")
    assignment = load_array("data/clusters/assignment.npy")
    percentiles = range(5, 101, 5)
    curve = propagation_curve(
        labels, pseudo_labels, confidence, assignment, percentiles=percentiles
    )
    save_table("metrics/propagation_curve.csv", curve)


if __name__ == "__main__":
    run_stage(main)
