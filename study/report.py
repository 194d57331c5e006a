"""Put every row beside the published figure: `python -m study.report`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from docs.tables import markdown_table
from fewlabel.storage import load_json, save_table, write
from study.figures import by_percentile, draw_by_labels, draw_by_percentile
from study.records import measured
from study.row import complete
from study.settings import settings

# What settings that a publication leaves unsaid, and one run instead of many, may explain.
TOLERANCE = 0.01
OURS = {
    "propagated": "ours",
    "representatives": "ours, representatives alone",
    "random_subset": "ours, random labels alone",
}
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
    results = pd.DataFrame([*published_methods(), *ours()])
    save_table("study/results.csv", results.round(4))
    curve = by_percentile(results)[["percentile", "accuracy", "label_accuracy"]]
    save_table("study/percentiles.csv", curve.round(4))
    for draw, file in ((draw_by_labels, "labels"), (draw_by_percentile, "percentile")):
        write(f"docs/study_{file}.png", draw(results).savefig)
    text = Path("study/study.md").read_text(encoding="utf-8")
    is_ours = results["method"].isin(OURS.values())
    published = results[results["reported"].notna()].sort_values("reported_line")
    others = results[results["reported"].isna() & ~is_ours]
    for part, lines, columns in (
        ("published", published, ["system", *DESCRIPTION, *PUBLISHED, *MEASURED, *COMPARED]),
        ("beside", others, [*DESCRIPTION, *MEASURED, "reading"]),
        ("ours", results[is_ours], [*DESCRIPTION, *MEASURED]),
    ):
        text = text.replace(f"<!-- {part} -->", results_table(lines, columns))
    for name, value in load_json("study/underflow.json").items():
        text = text.replace(f"<!-- {name} -->", f"{value:.4g}")
    write("docs/study.md", lambda path: path.write_text(text, encoding="utf-8"))


def published_methods() -> Iterator[dict]:
    """Yield the lines of results.csv of the rows that fit an estimator."""
    reported = pd.read_csv("study/reported.csv")
    said = settings(file="report.yaml")
    rows = settings("on_features") | settings("on_clusters")
    for name, row in rows.items():
        described = row_description(name, complete(row), said["rows"][name])
        metrics = load_json(f"study/rows/{name}.json")
        published = said["rows"][name].get("published", [])
        yield from lines_of(described, metrics, published, reported, said["cannot_be_right"])


def row_description(name: str, row: dict, said: dict) -> dict:
    """Return what results.csv says of a row before its figures.

    Parameters
    ----------
    name, row
        Key and settings in study/params.yaml, with those of its clusters.
    said
        Of the row in study/report.yaml.
    """
    return {
        "name": name,
        "method": said["method"],
        "dataset": row["dataset"],
        "labels": row.get("labels") or row["n_clusters"],
        "percentile": row.get("percentile"),
        "reading": "; ".join(said.get("reading", [])) or None,
    }


def ours() -> Iterator[dict]:
    """Yield the lines of results.csv of the pipeline: each budget, each training set."""
    datasets = [
        name for name, row in settings("pipeline").items() if not {"targets", "steps"} & set(row)
    ]
    budgets = measured(*datasets).groupby(["row", "labels"], sort=False)
    for training_set, method in OURS.items():
        for (dataset, labels), runs in budgets:
            name = f"{training_set}-{dataset}-{labels}"
            described = {"name": name, "method": method, "dataset": dataset, "labels": labels}
            metrics = {"accuracy": runs[training_set]}
            if training_set == "propagated":
                metrics |= {key: runs[key] for key in ("coverage", "label_accuracy")}
            yield from lines_of(described, metrics)


def lines_of(
    described: dict,
    metrics: dict,
    published: list[int] = (),
    reported: pd.DataFrame | None = None,
    cannot_be_right: dict[int, str] | None = None,
) -> list[dict]:
    """Return lines of results.csv: one for each published figure of a row, or one without.

    Parameters
    ----------
    described
        What the lines begin with.
    metrics
        Metric -> its value with each seed.
    published
        The row's lines of reported.csv.
    reported
        reported.csv.
    cannot_be_right
        Line of reported.csv -> why its figure cannot be right.
    """
    accuracy = np.array(metrics["accuracy"])
    n, mean, std = len(accuracy), accuracy.mean(), accuracy.std(ddof=1)
    # Half the width of the interval that has 95 % of all single runs, if they are normal.
    half_single = stats.t.ppf(0.975, n - 1) * std * (1 + 1 / n) ** 0.5
    half_mean = stats.t.ppf(0.975, n - 1) * std / n**0.5
    line = described | {
        "accuracy": mean,
        "standard_deviation": std,
        "interval_low": mean - half_mean,
        "interval_high": mean + half_mean,
        "seeds": n,
        **{key: np.mean(values) for key, values in metrics.items() if key != "accuracy"},
    }
    return [
        line
        | {
            "reported_line": number,
            "system": reported["system"][number - 1],
            "reported": (figure := reported["accuracy"][number - 1]),
            "reported_weighted_f1": reported["weighted_f1"][number - 1],
            "reported_seconds": reported["seconds"][number - 1],
            "note": reported["note"][number - 1],
            "difference": mean - figure,
            "allowed": max(half_single, TOLERANCE),
            "verdict": verdict(figure, mean, half_single, cannot_be_right.get(number)),
        }
        for number in published
    ] or [line]


def verdict(reported: float, mean: float, half_single: float, wrong: str | None = None) -> str:
    """Compare a published accuracy with the mean of ours.

    Parameters
    ----------
    reported, mean
        Accuracies.
    half_single
        How far from the mean a single run of ours may lie.
    wrong
        Why the published figure cannot be right, if it cannot.
    """
    if abs(mean - reported) <= max(half_single, TOLERANCE):
        found = "repeated"
    else:
        found = "better" if mean > reported else "worse"
    return f"cannot be right: {wrong} (by the figure alone, {found})" if wrong else found


def results_table(results: pd.DataFrame, columns: list[str]) -> str:
    """Format results; accuracy with standard deviation and 95 % interval of the mean."""
    shown = results[[name for name in columns if results[name].notna().any()]].copy()
    shown["accuracy"] = [
        f"{line.accuracy:.4f} ± {line.standard_deviation:.4f} "
        f"({line.interval_low:.4f} to {line.interval_high:.4f})"
        for line in results.itertuples()
    ]
    header = [name.replace("_", " ") for name in shown]
    return markdown_table(header, [map(_cell, line) for line in shown.itertuples(index=False)])


def _cell(value):
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else value


if __name__ == "__main__":
    main()
