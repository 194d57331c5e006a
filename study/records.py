"""What was measured of the pipeline, and what is to be reached."""

import pandas as pd

from benchmarks.workspace import ROOT
from fewlabel.storage import load_json

TRAINING_SETS = ("random_subset", "representatives", "propagated")
RECORDS = ROOT / "study/rows/pipeline"


def measured(*names: str) -> pd.DataFrame:
    """Return what was measured of rows: a line for each seed, budget and step of each row.

    Parameters
    ----------
    *names
        Of rows in study/params.yaml; columns `row` and `seed` say whose a line is.
    """
    return pd.concat(
        pd.DataFrame(load_json(path)).assign(row=name, seed=int(path.stem.rpartition("-")[2]))
        for name in names
        for path in sorted(RECORDS.glob(f"{name}-*.json"))
    )


def targets() -> pd.DataFrame:
    """Return what we want to reach with each budget, and the best published figures, with sources.

    `recipe` is the best of the published recipe's own: representatives of k-means clusters, whose
    labels are propagated, fully or in part, at that line of study/reported.csv.
    """
    return pd.read_csv(ROOT / "study/targets.csv")


def photograph_targets() -> pd.DataFrame:
    """Return what we want to reach with each budget on photographs, and a prototype's figures."""
    return pd.read_csv(ROOT / "study/photographs.csv")
