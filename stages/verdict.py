"""Say how far the pseudo-labels can be trusted, by the labels that they come from."""

import pandas as pd

from fewlabel.datasets.training_files import read_training_files
from fewlabel.propagation.comparison import HeldOut
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_json, save_json, verified, write
from fewlabel.verdict import verdict


def main(params: Params) -> None:
    """Write metrics/verdict.json, and models/verdict.md, which is printed, too.

    Parameters
    ----------
    params
        The settings; none is read.
    """
    held_out = pd.read_csv(verified("data/spread/held_out.csv"))
    assignment = load_array("data/clusters/assignment.npy")
    metrics, sentences = verdict(
        load_array("data/representatives/labels.npy"),
        load_array("data/spread/pseudo_labels.npy"),
        assignment,
        HeldOut(*(held_out[name].to_numpy() for name in HeldOut._fields)),
        load_json(verified("data/raw/class_names.json")),
        [row["image"] for row in read_training_files(len(assignment))],
    )
    text = "".join(f"- {sentence}\n" for sentence in sentences)
    print(text, end="")
    write("models/verdict.md", lambda path: path.write_text(text, encoding="utf-8"))
    save_json("metrics/verdict.json", metrics)


if __name__ == "__main__":
    run_stage(main)
