"""README.md and docs/ tell what the repository holds."""

import re
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from docs.figures import draw_accuracy
from docs.readme import PARTS, accuracy, accuracy_table, targets_table
from study.records import photograph_targets, targets
from study.settings import settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
MAX_LINES = {"README.md": 170, "docs/decisions/": 40}


@pytest.mark.parametrize("document", PARTS)
def test_generated_parts_are_up_to_date(committed, document):
    script = f"from docs.readme import rewritten; print(rewritten({document!r}), end='')"
    rewritten = committed.run(sys.executable, "-c", script).stdout
    assert rewritten == (committed.folder / document).read_text(encoding="utf-8")


def test_the_figure_of_accuracy_has_the_means_of_its_table():
    all_runs = accuracy()
    for axis in draw_accuracy(all_runs, targets()).axes:
        runs = all_runs[all_runs["row"] == axis.get_title()]
        [propagated] = [bars for bars in axis.containers if "propagated" in bars.get_label()]
        labels, means = propagated.lines[0].get_data()
        assert dict(zip(labels, means, strict=True)) == pytest.approx(
            {n: runs.loc[runs["labels"] == n, "propagated"].mean() for n in runs["labels"].unique()}
        )


def test_every_budget_has_a_target_and_every_published_figure_a_source():
    table = targets()
    aims = pd.concat([table, photograph_targets()])
    assert [*zip(aims["data"], aims["labels"], strict=True)] == [
        (name, labels)
        for name, row in settings("pipeline").items()
        if "targets" not in row
        for labels in row["budgets"]
    ]
    for column in ("published", "published_method", "published_labels", "published_source"):
        assert table[column].notna().all(), column
    # A name, a year and where it was published.
    assert table["published_source"].str.match(r"[A-Z]\. .+, (?:NIPS|ICML) 20\d\d").all()
    assert table["published_note"].notna()[table["published_labels"] != table["labels"]].all()
    assert (table["recipe"].isna() == table["recipe_source"].isna()).all()


def test_a_figure_of_the_recipe_is_the_best_that_reported_csv_has_of_it():
    reported = pd.read_csv(ROOT / "study/reported.csv")
    recipe = reported[reported["row"].isin(["full_propagation", "partial_propagation"])]
    for aim in targets().itertuples():
        lines = recipe[(recipe["dataset"] == aim.data) & (recipe["labels"] == aim.labels)]
        if lines.empty:
            assert pd.isna(aim.recipe)
            continue
        assert aim.recipe == lines["accuracy"].max()
        system, line = re.fullmatch(r"(\w+), line (\d+)", aim.recipe_source).groups()
        named = lines.loc[int(line) - 2]  # the header is line 1
        assert (named["system"], named["accuracy"]) == (system, aim.recipe)


def test_the_table_of_accuracy_names_method_and_source_of_each_figure():
    measured, sources = accuracy_table().split("\n\n")
    rows = zip(measured.splitlines()[2:], sources.splitlines()[2:], strict=True)
    table = targets().astype(object).fillna("")
    for aim, (row, source) in zip(table.itertuples(), rows, strict=True):
        published = f"{aim.published:.5g} ({aim.published_method})"
        assert row.startswith(f"| {aim.data} | {aim.labels} | {published} |")
        assert f"| {aim.recipe} | {aim.target:.4g} in {aim.minutes} min |" in row
        assert source == (
            f"| {aim.data}, {aim.labels} | {aim.published_method} | {aim.published_labels} | "
            f"{aim.published_source} | {aim.published_note} | {aim.recipe_source} |"
        )


def test_a_target_that_is_missed_is_called_so():
    cells = [line.strip("| ").split(" | ") for line in targets_table().splitlines()[2:]]
    assert len(cells) == len(targets()) + len(photograph_targets()) + 4
    for figure, _, target, now, reached, _ in cells:
        gain = float(now) - float(target)
        assert (reached == "yes") == ((gain if figure.endswith("labels") else -gain) >= 0), figure


def test_every_dependency_has_a_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    names = {re.match(r"[\w.-]+", line).group() for group in groups for line in group}
    table = DOCUMENTS["docs/reproducibility.md"].split("## Dependencies")[1]
    assert [name for name in sorted(names - {"fewlabel"}) if name not in table] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document):
    folder = (ROOT / document).parent
    for target in re.findall(r"(?:\]\(|src=\")(?!https?:)([^)\"]+)", DOCUMENTS[document]):
        name, _, section = target.partition("#")
        path = (folder / name).resolve() if name else ROOT / document
        assert path.exists(), target
        if section:
            assert section in sections(DOCUMENTS[path.relative_to(ROOT).as_posix()]), target


def sections(text):
    """Return what links call the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


def test_every_document_is_linked_from_readme_or_from_the_decisions():
    for document in DOCUMENTS:
        name = document.removeprefix("docs/decisions/")
        listing = DOCUMENTS["docs/decisions/README.md"] if name != document else README
        named = document == "README.md" or f"]({name})" in listing or f"]({document})" in README
        assert named, document


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_document_is_too_long(document):
    for name, most in MAX_LINES.items():
        if document.startswith(name):
            assert len(DOCUMENTS[document].splitlines()) <= most


def test_every_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    text = "\n".join(DOCUMENTS.values())
    named = set(re.findall(r"(?:`|^)make (?:EXTRA=\w+ )?([a-z-]+)", text, re.MULTILINE))
    assert {"setup", "repro", "test"} <= named
    assert [name for name in sorted(named) if f"\n{name}:" not in makefile] == []
