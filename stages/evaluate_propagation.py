"""Measure the propagated labels against all true ones, after the fact."""

from stages.artifacts import load_array, save_json, save_table
from stages.params import Params, run


def main(params: Params) -> None:
    """Write metrics/propagation.json, and label accuracy against coverage as CSV."""
    from fewlabel.measures import propagation_curve, propagation_metrics

    labels = load_array("data/raw/train_labels.npy")
    propagated = load_array("data/propagated/labels.npy")
    save_json("metrics/propagation.json", propagation_metrics(labels, propagated))

    classes = load_array("data/spread/classes.npy")
    trust = load_array("data/spread/trust.npy")
    assignment = load_array("data/clusters/assignment.npy")
    percentiles = range(5, 101, 5)
    curve = propagation_curve(labels, classes, trust, assignment, percentiles)
    save_table("metrics/propagation_curve.csv", curve)


if __name__ == "__main__":
    run(main)
