"""Write the generated parts of README.md and docs/, and docs/frontier.png: `make readme`.

A part stands between `<!-- NAME -->` and `<!-- /NAME -->`; its numbers come from the metrics files
and benchmarks/*, its graph from DVC.
"""

import re
import subprocess

import pandas as pd

from benchmarks.frontier import TRAINING_SETS, frontier, targets
from benchmarks.workspace import ROOT
from docs.figures import draw_frontier
from fewlabel.storage import load_json, write


def training_sets_table() -> str:
    """Return a row per training set, from metrics/SET.json."""
    metrics = {name: load_json(ROOT / f"metrics/{name}.json") for name in TRAINING_SETS}
    rows = [
        [name, *(f"{x:,}" if isinstance(x, int) else f"{x:.4f}" for x in values.values())]
        for name, values in metrics.items()
    ]
    return _table(["training set", *metrics[TRAINING_SETS[0]]], rows)


def frontier_table() -> str:
    """Return mean and standard deviation over seeds, and the sources of published figures.

    From frontier/rows/ and frontier/targets.csv.
    """
    of_budget = frontier().groupby(["data", "labels"])
    header = ["data", "labels", "best published", "published recipe", "our target", *TRAINING_SETS]
    header += ["labels right", "seeds", "seconds", "peak memory, MB"]
    rows, sources = [], []
    for aim in targets().astype(object).fillna("").itertuples():
        if (aim.data, aim.labels) not in of_budget.groups:
            continue
        runs = of_budget.get_group((aim.data, aim.labels))
        published = [f"{aim.published:.5g} ({aim.published_method})", aim.recipe]
        right = f"{runs['label_accuracy'].mean():.1%} of {runs['coverage'].mean():.0%}"
        row = [aim.data, aim.labels, *published, f"{aim.target:.4g} in {aim.minutes} min"]
        row += [_mean(runs[name]) for name in TRAINING_SETS]
        row += [right, len(runs), f"{runs['seconds'].mean():.0f}"]
        rows.append([*row, f"{runs['peak_memory_mb'].max():,.0f}"])
        sources.append(
            [
                f"{aim.data}, {aim.labels}",
                *(aim.published_method, aim.published_labels, aim.published_source),
                *(aim.published_note, aim.recipe_source),
            ]
        )
    origin = ["data and labels", "best published", "its labels", "source", "unlike ours"]
    origin.append("published recipe, in study/reported.csv")
    return f"{_table(header, rows)}\n\n{_table(origin, sources, '---')}"


def _mean(values) -> str:
    spread = f" ± {values.std():.4f}" if len(values) > 1 else ""
    return f"{values.mean():.4f}{spread}"


def times_table() -> str:
    """Whole runs and stages, from benchmarks/pipeline.json."""
    report = load_json(ROOT / "benchmarks/pipeline.json")
    runs = [[run["run"], f"{run['seconds']:.1f}"] for run in report["runs"]]
    stages = [
        [stage["stage"], f"{stage['seconds']:.1f}", f"{stage['peak_memory_mb']:,.0f}"]
        for stage in report["stages"]
    ]
    return "\n\n".join(
        [
            f"{report['machine']}:",
            _table(["`dvc repro`", "seconds"], runs),
            _table(["stage", "seconds", "peak memory, MB"], stages),
        ]
    )


def pieces_tables() -> str:
    """Pieces beside libraries, arithmetic and their growth, from benchmarks/pieces.json."""
    report = load_json(ROOT / "benchmarks/pieces.json")
    clustering = [
        [x["k"], x["k-means"], f"{x['seconds']:.1f}", f"{x['inertia']:,.0f}"]
        for x in report["clustering"]
    ]
    propagation = [
        [
            x["method"],
            f"{x['seconds']:.1f}",
            f"{x['peak_memory_mb']:,.0f}",
            f"{x['label_accuracy']:.4f}",
        ]
        for x in report["propagation"]
    ]
    [embed] = report["embed"]
    limit = (
        f"Embedding 60,000 images takes {embed['seconds']:.1f} s. Its matrix products are "
        f"{embed['gigaflop']:,.0f} gigaflop, which would take {embed['limit_seconds']:.1f} s at "
        f"the {embed['gigaflop_per_second']:,.0f} a second of a product of two square matrices."
    )
    growth = pd.DataFrame(report["growth"])
    cells = growth.apply(lambda x: f"{x['seconds']:.1f} s, {x['peak_memory_mb']:,.0f} MB", axis=1)
    growth = growth.assign(cell=cells).pivot_table("cell", "stage", "images", "first", sort=False)
    return "\n\n".join(
        [
            _table(["clusters", "k-means", "seconds", "inertia"], clustering),
            _table(["100 labels spread by", "seconds", "peak memory, MB", "right"], propagation),
            limit,
            _table(
                ["stage", *(f"{n:,} images" for n in growth.columns)],
                growth.reset_index().to_numpy().tolist(),
            ),
        ]
    )


def ablation_table() -> str:
    """Share of labels right after each change, from benchmarks/ablation.json."""
    rows = pd.DataFrame(load_json(ROOT / "benchmarks/ablation.json"))
    right = rows.pivot_table("right", "step", "labels", aggfunc=_mean, sort=False)
    header = ["each with all above it", *(f"{n:,} labels" for n in right.columns)]
    return _table(header, right.reset_index().to_numpy().tolist())


def _table(header: list, rows: list[list], alignment: str = "---:") -> str:
    lines = [header, ["---", *[alignment] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def dag() -> str:
    """Draw the graph of stages, as DVC does it."""
    command = ["dvc", "dag", "--md", "dvc.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


PARTS = {
    "README.md": (training_sets_table,),
    "docs/performance.md": (frontier_table, times_table, pieces_tables),
    "docs/reproducibility.md": (dag,),
    "docs/decisions/README.md": (ablation_table,),
}


def rewritten(document: str) -> str:
    """Return a document's text with every generated part made again."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for part in PARTS[document]:
        start, end = f"<!-- {part.__name__} -->", f"<!-- /{part.__name__} -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{document} has no part {start} ... {end}")
        content = f"{start}\n{part()}\n{end}"
        text = pattern.sub(lambda _, content=content: content, text)
    return text


if __name__ == "__main__":
    for document in PARTS:
        text = rewritten(document)
        write(ROOT / document, lambda path, text=text: path.write_text(text, encoding="utf-8"))
    write(ROOT / "docs/frontier.png", draw_frontier(frontier(), targets()).savefig)
