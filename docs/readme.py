"""Write the generated parts of README.md and docs/, and their figures: `make readme`.

A part stands between `<!-- NAME -->` and `<!-- /NAME -->`; its numbers come from the metrics files,
study/rows/ and benchmarks/, its graph from DVC.
"""

import re
import subprocess

import pandas as pd

from benchmarks.workspace import ROOT
from docs.figures import draw_accuracy, draw_robustness, draw_scale
from docs.tables import markdown_table
from fewlabel.storage import load_json, write
from study.records import TRAINING_SETS, measured, photograph_targets, targets
from study.settings import settings

_CALIBRATION = "calibration error, mean and largest"


def training_sets_table() -> str:
    """Return a row per training set, from metrics/SET.json."""
    columns = ("accuracy", "macro_f1", "weighted_f1", "expected_calibration_error", "train_images")
    metrics = {name: load_json(ROOT / f"metrics/{name}.json") for name in TRAINING_SETS}
    rows = [
        [name, *(f"{x:,}" if isinstance(x, int) else f"{x:.4f}" for x in map(values.get, columns))]
        for name, values in metrics.items()
    ]
    return markdown_table(["training set", *columns], rows)


def targets_table() -> str:
    """Every target beside what was measured when it was set, and last."""
    runs = accuracy()
    propagated = runs.groupby(["row", "labels"])["propagated"].mean()
    photographs = measured(*photograph_targets()["data"].unique())
    shipped = photographs[photographs["step"] == "right answers"]
    shipped = shipped.groupby(["row", "labels"])["shipped"].mean()
    rows = []
    for before, aims, now, command in (
        ("before", targets(), propagated, "make accuracy"),
        ("reference", photograph_targets(), shipped, "make photographs"),
    ):
        for aim in aims.itertuples():
            value = round(now[aim.data, aim.labels], 4)
            figures = [f"{x:.4f}" for x in (getattr(aim, before), aim.target, value)]
            row = [f"{aim.data}, {aim.labels:,} labels", *figures, _in_words(value >= aim.target)]
            rows.append([*row, f"`{command}`"])
    times = _times_with_targets(runs)
    for aim in pd.read_csv(ROOT / "benchmarks/targets.csv").itertuples():
        value = round(times[aim.figure], 1)
        row = [aim.figure, f"{aim.before:.4g}", f"{aim.target:.4g}", f"{value}"]
        rows.append([*row, _in_words(value <= aim.target), f"`{aim.command}`"])
    return markdown_table(["figure", "before", "target", "now", "reached", "command"], rows)


def _in_words(is_reached: bool) -> str:
    return "yes" if is_reached else "no"


def _times_with_targets(runs: pd.DataFrame) -> dict[str, float]:
    """Return what benchmarks/targets.csv names, by its benchmark and by the runs of accuracy."""
    report = load_json(ROOT / "benchmarks/pipeline.json")
    timed = {run["run"]: run["seconds"] for run in report["runs"]}
    [trivial] = [seconds for run, seconds in timed.items() if "trivial" in run]
    return {
        "default run, seconds": timed["cold"],
        "another percentile, seconds": timed["one param: percentile"],
        "nothing to do, in times of as many trivial stages": timed["nothing to do"] / trivial,
        "35 runs of accuracy per label, minutes": runs["seconds"].sum() / 60,
    }


def accuracy_table() -> str:
    """Return mean and standard deviation over seeds, and the sources of published figures.

    From study/rows/pipeline/ and study/targets.csv.
    """
    by_budget = accuracy().groupby(["row", "labels"])
    header = ["data", "labels", "best published", "published recipe", "our target", *TRAINING_SETS]
    header += ["pseudo-label accuracy", _CALIBRATION, "seeds", "seconds", "peak memory, MB"]
    rows, sources = [], []
    for aim in targets().astype(object).fillna("").itertuples():
        runs = by_budget.get_group((aim.data, aim.labels))
        published = [f"{aim.published:.5g} ({aim.published_method})", aim.recipe]
        right = f"{runs['label_accuracy'].mean():.1%} of {runs['coverage'].mean():.0%}"
        row = [aim.data, aim.labels, *published, f"{aim.target:.4g} in {aim.minutes} min"]
        row += [_mean(runs[name]) for name in TRAINING_SETS]
        row += [right, _calibration(runs), len(runs), f"{runs['seconds'].mean():.0f}"]
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
    return f"{markdown_table(header, rows)}\n\n{markdown_table(origin, sources)}"


def accuracy() -> pd.DataFrame:
    """Return a line for each data set, seed and budget that the pipeline was measured with."""
    return measured(*targets()["data"].unique())


def photographs_table() -> str:
    """Return what the pipeline is worth on photographs, from study/rows/pipeline/.

    Wrong labels are counted over all seeds, beside how many of them are called suspicious.
    """
    aims = photograph_targets()
    runs = measured(*aims["data"].unique()).groupby(["row", "labels", "step"], sort=False)
    header = ["data", "labels", "answers", "reference", "our target", *TRAINING_SETS, "shipped"]
    header += [_CALIBRATION, "wrong labels named", "seeds"]
    rows = []
    for (data, labels, step), group in runs:
        aim = aims[(aims["data"] == data) & (aims["labels"] == labels)].iloc[0]
        row = [data, labels, step, f"{aim['reference']:.3f}", f"{aim['target']:.2f}"]
        row += [_mean(group[name]) for name in (*TRAINING_SETS, "shipped")]
        row += [_calibration(group)]
        row += [f"{group['wrong_labels_named'].sum()} of {group['wrong_labels'].sum()}"]
        rows.append([*row, len(group)])
    return markdown_table(header, rows)


def robustness_table() -> str:
    """Return what wrong answers and uneven pools cost with 100 labels, from study/rows/pipeline/.

    What is shipped is compared with what the same seed ships where answers are right.
    """
    names = ("representatives", "propagated", "shipped")
    header = ["data", "answers and pool", *names, "cost, points", "shipped less expected, points"]
    header += ["wrong labels refuted", "right labels refuted", "called of no class", "seeds"]
    runs = robustness().set_index(["row", "seed"])
    right = runs[runs["step"] == runs["step"].iloc[0]]
    runs["cost"] = right["shipped"].loc[runs.index] - runs["shipped"].to_numpy()
    runs["gap"] = runs["shipped"] - runs["expected"]
    rows = []
    for (row, step), group in runs.groupby(["row", "step"], sort=False):
        n_wrong, n_refuted = group["wrong_labels"].sum(), group["wrong_labels_refuted"].sum()
        rows.append(
            [
                *(row, step, *(_mean(group[name]) for name in names)),
                *(f"{100 * group['cost'].mean():z.1f}", f"{100 * group['gap'].mean():z.1f}"),
                *(f"{n_refuted} of {n_wrong}", group["refuted_labels"].sum() - n_refuted),
                *(group["representatives_of_no_class"].sum(), len(group)),
            ]
        )
    return markdown_table(header, rows)


def robustness() -> pd.DataFrame:
    """Return a line for each data set, seed, and kind of answers and pool that was measured."""
    prefix = "robustness-"
    runs = measured(*(row for row in settings("pipeline") if row.startswith(prefix)))
    return runs.assign(row=runs["row"].str.removeprefix(prefix))


def _calibration(runs: pd.DataFrame) -> str:
    errors = runs["calibration_error"]
    return f"{errors.mean():.3f}, {errors.max():.3f}"


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
            markdown_table(["`dvc repro`", "seconds"], runs),
            markdown_table(["stage", "seconds", "peak memory, MB"], stages),
        ]
    )


def pieces_tables() -> str:
    """Pieces beside libraries and arithmetic, from benchmarks/pieces.json."""
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
    return "\n\n".join(
        [
            markdown_table(["clusters", "k-means", "seconds", "inertia"], clustering),
            markdown_table(
                ["method, 100 labels", "seconds", "peak memory, MB", "pseudo-label accuracy"],
                propagation,
            ),
            limit,
        ]
    )


def memory_table() -> str:
    """Stages on large photographs, from benchmarks/memory.json."""
    report = load_json(ROOT / "benchmarks/memory.json")
    sizes = [f"{run['images']:,} x {run['side']} x {run['side']} x 3" for run in report["runs"]]
    return f"{report['machine']}:\n\n{_stages_table(report['runs'], sizes)}"


def scale_tables() -> str:
    """Ever more images, whole and by stage, from benchmarks/scale.json."""
    report = load_json(ROOT / "benchmarks/scale.json")
    runs = report["runs"]
    header = ["images", "engine", "seconds", "milliseconds per image", "largest process, MB"]
    header += ["neighbors found", "pseudo-label accuracy", "test accuracy", "dvc.lock"]
    rows = [
        [
            *(f"{run['images']:,}", f"{run['engine']}, {run['workers']}"),
            *(f"{run['seconds']:,.0f}", f"{1000 * run['seconds'] / run['images']:.2f}"),
            *(f"{run['peak_mb']:,.0f}", f"{run['neighbor_recall']:.3f}"),
            *(f"{run['label_accuracy']:.4f}", f"{run['accuracy']:.4f}", run["lock_md5"][:8]),
        ]
        for run in runs
    ]
    on_threads = [run for run in runs if run["engine"] == "threads"]
    sizes = [f"{run['images']:,} images" for run in on_threads]
    columns = ("seconds", "peak memory, MB", "share of exact neighbors")
    neighbors = [
        [
            *(f"{run['images']:,}", found["kind"], f"{found['seconds']:,.0f}"),
            *(f"{found['peak_memory_mb']:,.0f}", f"{found['recall']:.4f}"),
        ]
        for run in runs
        for found in run["neighbors"]
    ]
    tables = [
        markdown_table(header, rows),
        _stages_table(on_threads, sizes),
        markdown_table(["images", "neighbors by", *columns], neighbors),
    ]
    return "\n\n".join([f"{report['machine']}:", *tables])


def _stages_table(runs: list[dict], names: list[str]) -> str:
    """Return seconds and peak memory of each stage, with a column for each run."""
    cells = {
        (record["stage"], i): f"{record['seconds']:,.0f} s, {record['peak_memory_mb']:,.0f} MB"
        for i, run in enumerate(runs)
        for record in run["stages"]
    }
    stages = dict.fromkeys(stage for stage, _ in cells)
    rows = [[stage, *(cells[stage, i] for i in range(len(runs)))] for stage in stages]
    return markdown_table(["stage", *names], rows)


def ablation_table() -> str:
    """Accuracy of the pseudo-labels after each change, from study/rows/pipeline/."""
    accuracy = measured("ablation").pivot_table(
        "label_accuracy", "step", "labels", aggfunc=_mean, sort=False
    )
    header = ["each with all above it", *(f"{n:,} labels" for n in accuracy.columns)]
    return markdown_table(header, accuracy.reset_index().to_numpy().tolist())


def methods_table() -> str:
    """Accuracy of the pseudo-labels of each propagation method, from study/rows/pipeline/."""
    rows = [name for name in settings("pipeline") if name.startswith("methods-")]
    accuracy = measured(*rows).pivot_table(
        "label_accuracy", ["row", "labels"], "step", aggfunc=_mean
    )
    header = ["data", "labels", *accuracy.columns]
    cells = [
        [row.removeprefix("methods-"), labels, *line]
        for (row, labels), line in zip(accuracy.index, accuracy.to_numpy(), strict=True)
    ]
    return markdown_table(header, cells)


def dag() -> str:
    """Draw the graph of stages, as DVC does it."""
    command = ["dvc", "dag", "--md", "dvc.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


PARTS = {
    "README.md": (training_sets_table,),
    "docs/performance.md": (
        targets_table,
        accuracy_table,
        photographs_table,
        robustness_table,
        methods_table,
        times_table,
        pieces_tables,
        memory_table,
    ),
    "docs/scale.md": (scale_tables,),
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
    write(ROOT / "docs/accuracy.png", draw_accuracy(accuracy(), targets()).savefig)
    write(ROOT / "docs/robustness.png", draw_robustness(robustness()).savefig)
    scale = load_json(ROOT / "benchmarks/scale.json")
    write(ROOT / "docs/scale.png", draw_scale(scale["runs"]).savefig)
