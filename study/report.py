"""Put every row beside the published figure: `python -m study.report`."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from fewlabel.storage import load_json, save_table, write
from study.figures import by_percentile, draw_by_labels, draw_by_percentile
from study.runner import settings

FAMILIES = (
    "supervised",
    "cluster_distances",
    "recipe",
    "label_propagation",
    "self_training",
    "autoencoder",
    "ladder",
    "ours",
)
# What settings that a publication leaves unsaid, and one run instead of many, may explain.
TOLERANCE = 0.01
DESCRIPTION = ("method", "dataset", "labels")
PUBLISHED = ("reported", "reported_weighted_f1", "reported_seconds")
MEASURED = (
    "accuracy",
    "weighted_f1",
    "seeds",
    "fit_seconds",
    "predict_seconds",
    "label_accuracy",
)
COMPARED = ("difference", "allowed", "verdict", "reading")


def main() -> None:
    """Write study/results.csv, study/percentiles.csv, docs/study.md and its figures."""
    reported = pd.read_csv("study/reported.csv")
    study = settings()
    rows = {name: row for family in FAMILIES for name, row in study[family].items()}
    for row in rows.values():
        complete(row, study)
    lines = [
        line
        for name, row in rows.items()
        for line in lines_of(
            name, row, load_json(f"study/rows/{name}.json"), reported, study["cannot_be_right"]
        )
    ]
    results = pd.DataFrame(lines)
    save_table("study/results.csv", results.round(4))
    curve = by_percentile(results)[["percentile", "accuracy", "label_accuracy"]]
    save_table("study/percentiles.csv", curve.round(4))
    for draw, file in ((draw_by_labels, "labels"), (draw_by_percentile, "percentile")):
        write(f"docs/study_{file}.png", draw(results).savefig)
    text = Path("study/study.md").read_text(encoding="utf-8")
    published = results[results["reported"].notna()].sort_values("reported_line")
    ours = results["name"].isin(study["ours"])
    others = results[results["reported"].isna() & ~ours]
    for part, table in (
        (
            "published",
            markdown(published, ["system", *DESCRIPTION, *PUBLISHED, *MEASURED, *COMPARED]),
        ),
        ("beside", markdown(others, [*DESCRIPTION, *MEASURED, "reading"])),
        ("ours", markdown(results[ours], [*DESCRIPTION, *MEASURED])),
    ):
        text = text.replace(f"<!-- {part} -->", table)
    for name, value in load_json("study/underflow.json").items():
        text = text.replace(f"<!-- {name} -->", f"{value:.4g}")
    write("docs/study.md", lambda path: path.write_text(text, encoding="utf-8"))


def complete(row: dict, study: dict) -> None:
    """Give a row how many labels it has, and what is read into its model and its clustering."""
    clustering = study["clusters"].get(row.get("clusters"), {})
    row.setdefault("labels", clustering.get("n_clusters"))
    read = [study["readings"].get(name) for name in (row.get("model"), clustering.get("algorithm"))]
    row["reading"] = "; ".join(filter(None, [row.get("reading"), *read])) or None


def lines_of(
    name: str, row: dict, measured: dict, reported: pd.DataFrame, cannot_be_right: dict
) -> list[dict]:
    """Lines of results.csv: one for each published figure of a row, or one where there is none.

    Parameters
    ----------
    name, row
        Key and settings in study/params.yaml, and `labels`, how many there are.
    measured
        From study/rows/NAME.json: a list with a value per seed for each measure.
    reported
        reported.csv.
    cannot_be_right
        Line of reported.csv -> why its figure cannot be right.
    """
    accuracy = np.array(measured["accuracy"])
    n, mean, std = len(accuracy), accuracy.mean(), accuracy.std(ddof=1)
    # Half the width of the interval that has 95 % of all single runs, if they are normal.
    of_one_run = stats.t.ppf(0.975, n - 1) * std * (1 + 1 / n) ** 0.5
    of_mean = stats.t.ppf(0.975, n - 1) * std / n**0.5
    line = {
        "name": name,
        "method": row["method"],
        "dataset": Path(row["features"]).name,
        "labels": row["labels"],
        "percentile": row.get("percentile"),
        "accuracy": mean,
        "standard_deviation": std,
        "interval_low": mean - of_mean,
        "interval_high": mean + of_mean,
        "seeds": n,
        **{key: np.mean(values) for key, values in measured.items() if key != "accuracy"},
        "reading": row.get("reading"),
    }
    return [
        line
        | {
            "reported_line": number,
            "system": reported["system"][number - 1],
            "reported": (published := reported["accuracy"][number - 1]),
            "reported_weighted_f1": reported["weighted_f1"][number - 1],
            "reported_seconds": reported["seconds"][number - 1],
            "note": reported["note"][number - 1],
            "difference": mean - published,
            "allowed": max(of_one_run, TOLERANCE),
            "verdict": verdict(published, mean, of_one_run, cannot_be_right.get(number)),
        }
        for number in row.get("reported", [])
    ] or [line]


def verdict(reported: float, mean: float, of_one_run: float, wrong: str | None = None) -> str:
    """Compare a published accuracy with the mean of ours.

    Parameters
    ----------
    reported, mean
        Accuracies.
    of_one_run
        How far from the mean a single run of ours may lie.
    wrong
        Why the published figure cannot be right, if it cannot.
    """
    if abs(mean - reported) <= max(of_one_run, TOLERANCE):
        found = "repeated"
    else:
        found = "better" if mean > reported else "worse"
    return f"cannot be right: {wrong} (by the figure alone, {found})" if wrong else found


def markdown(table: pd.DataFrame, columns: list[str]) -> str:
    """Format results as a table; accuracy with standard deviation and 95 % interval of the mean."""
    shown = table[[name for name in columns if table[name].notna().any()]].copy()
    shown["accuracy"] = [
        f"{line.accuracy:.4f} ± {line.standard_deviation:.4f} "
        f"({line.interval_low:.4f} to {line.interval_high:.4f})"
        for line in table.itertuples()
    ]
    head = " | ".join(name.replace("_", " ") for name in shown)
    lines = [f"| {head} |", "| --- " * shown.shape[1] + "|"]
    for values in shown.itertuples(index=False):
        cells = [
            "" if pd.isna(v) else f"{v:.4g}" if isinstance(v, float) else str(v) for v in values
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
