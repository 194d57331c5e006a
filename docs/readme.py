"""Write the generated parts of README.md: `make readme`.

A part stands between `<!-- NAME -->` and `<!-- /NAME -->`; its figures come from the metrics files
and benchmarks/*, its graph from DVC.
"""

import json
import re
import subprocess
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
ARMS = ("labeled_subset", "representatives", "propagated")


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


def seeds_table() -> str:
    """Mean and standard deviation over seeds, from benchmarks/seeds.csv."""
    runs = pd.read_csv(ROOT / "benchmarks/seeds.csv")
    lines = [f"| setting | {' | '.join(ARMS)} | labels right | seeds |", "| --- " * 6 + "|"]
    for setting, of_setting in runs.groupby("setting", sort=False):
        cells = []
        for arm in ARMS:
            accuracy = of_setting.loc[of_setting["arm"] == arm, "accuracy"]
            spread = f" ± {accuracy.std():.4f}" if len(accuracy) > 1 else ""
            cells.append(f"{accuracy.mean():.4f}{spread}")
        right = of_setting["label_accuracy"].mean()
        covered = of_setting["coverage"].mean()
        cells.append(f"{right:.1%} of {covered:.0%}")
        lines.append(f"| {setting} | {' | '.join(cells)} | {of_setting['seed'].nunique()} |")
    return "\n".join(lines)


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
    for part in (arms_table, seeds_table, times_table, dag):
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
