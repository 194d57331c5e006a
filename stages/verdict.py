"""Say by the labels how accurate classifiers are, and choose the one to ship."""

import pandas as pd

from fewlabel.datasets.training_files import read_training_files
from fewlabel.propagation.held_out import load_held_out
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_json, save_json, verified, write
from fewlabel.verdict import preferred, verdict

TRAINING_SETS = ("propagated", "representatives")


def main(params: Params) -> None:
    """Write metrics/verdict.json, models/shipped.json, and models/verdict.md, which is printed.

    Parameters
    ----------
    params
        The settings; none is read.
    """
    assignment = load_array("data/clusters/assignment.npy")
    metrics, sentences = verdict(
        load_array("data/representatives/labels.npy"),
        load_array("data/representatives/excluded.npy"),
        load_array("data/spread/pseudo_labels.npy"),
        assignment,
        load_held_out(),
        load_json(verified("data/raw/class_names.json")),
        [row["image"] for row in read_training_files(len(assignment))],
    )
    measured = {name: load_json(verified(f"metrics/{name}.json")) for name in TRAINING_SETS}
    found = {name: pd.read_csv(verified(f"data/check/{name}.csv")) for name in TRAINING_SETS}
    choice, reasons = preferred(
        load_array("data/check/labels.npy"),
        {
            name: (table["image"].to_numpy(), table["predicted"].to_numpy())
            for name, table in found.items()
        },
        {name: _in_words(results) for name, results in measured.items()},
    )
    text = "".join(f"- {sentence}\n" for sentence in [*reasons, *sentences])
    print(text, end="")
    write("models/verdict.md", lambda path: path.write_text(text, encoding="utf-8"))
    shipped = {"training_set": choice, "temperature": measured[choice]["temperature"]}
    save_json("models/shipped.json", shipped)
    save_json("metrics/verdict.json", metrics)


def _in_words(metrics: dict[str, float]) -> str:
    if "check_images" not in metrics:
        return ""
    accuracy, low, high = (metrics[f"check_{name}"] for name in ("accuracy", "low", "high"))
    return f"{accuracy:.0%} (95 % interval {low:.0%} to {high:.0%})"


if __name__ == "__main__":
    run_stage(main)
