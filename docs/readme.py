"""Write the generated parts of README.md: `make readme`.

A part stands between `<!-- NAME -->` and `<!-- /NAME -->`; its figures come from the metrics files
and benchmarks/*, its graph from DVC.
"""

import json
import re
import subprocess
from pathlib import Path

import pandas as pd

from benchmarks.frontier import ARMS, TARGETS, frontier

ROOT = Path(__file__).resolve().parents[1]


def arms_table() -> str:
    """One row an arm, from metrics/ARM.json."""
    rows = {arm: json.loads((ROOT / f"metrics/{arm}.json").read_text()) for arm in ARMS}
    columns = list(rows[ARMS[0]])
    lines = [f"| arm | {' | '.join(columns)} |", f"| --- {'| ---: ' * len(columns)}|"]
    for arm, metrics in rows.items():
        cells = [
            f"{value:,}" if isinstance(value, int) else f"{value:.4f}" for value in metrics.values()
        ]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def frontier_table() -> str:
    """Mean and standard deviation over seeds, from frontier/rows/."""
    of_budget = frontier().groupby(["data", "labels"])
    columns = ["best published", "published recipe", "our target", *ARMS, "labels right", "seeds"]
    columns = ["data", "labels", *columns, "seconds", "peak memory, MB"]
    lines = [f"| {' | '.join(columns)} |", f"| --- {'| ---: ' * (len(columns) - 1)}|"]
    for aim in TARGETS.itertuples():
        if (aim.data, aim.labels) not in of_budget.groups:
            continue
        runs = of_budget.get_group((aim.data, aim.labels))
        published = [
            "" if pd.isna(value) else f"{value:.4g}" for value in (aim.published, aim.recipe)
        ]
        right = f"{runs['label_accuracy'].mean():.1%} of {runs['coverage'].mean():.0%}"
        cells = [aim.data, aim.labels, *published, f"{aim.target:.4g} in {aim.minutes} min"]
        cells += [_mean(runs[arm]) for arm in ARMS]
        cells += [right, len(runs), f"{runs['seconds'].mean():.0f}"]
        cells.append(f"{runs['peak_memory_mb'].max():,.0f}")
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _mean(values) -> str:
    spread = f" ± {values.std():.4f}" if len(values) > 1 else ""
    return f"{values.mean():.4f}{spread}"


def times_table() -> str:
    """Whole runs and stages, from benchmarks/pipeline.json."""
    report = json.loads((ROOT / "benchmarks/pipeline.json").read_text())
    lines = [f"{report['machine']}:", "", "| `dvc repro` | seconds |", "| --- | ---: |"]
    lines += [f"| {run['run']} | {run['seconds']:.1f} |" for run in report["runs"]]
    lines += ["", "| stage | seconds | peak memory, MB |", "| --- | ---: | ---: |"]
    lines += [
        f"| {stage['stage']} | {stage['seconds']:.1f} | {stage['peak_memory_mb']:,.0f} |"
        for stage in report["stages"]
    ]
    return "\n".join(lines)


def dag() -> str:
    """Draw the graph of stages, as DVC does it."""
    command = ["dvc", "dag", "--md", "dvc.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def rewritten(text: str) -> str:
    """Return README.md's text with every generated part made anew."""
    for part in (arms_table, frontier_table, times_table, dag):
        start, end = f"<!-- {part.__name__} -->", f"<!-- /{part.__name__} -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"README.md has no part {start} ... {end}")
        content = f"{start}\n{part()}\n{end}"
        text = pattern.sub(lambda _, content=content: content, text)
    return text


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(rewritten(readme.read_text(encoding="utf-8")), encoding="utf-8")
