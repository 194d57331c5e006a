"""README.md and docs/ tell what the repository holds."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks.frontier import TARGETS, frontier
from docs.figures import draw_frontier
from docs.readme import PARTS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", PARTS)
def test_generated_parts_are_up_to_date(committed, document):
    script = f"from docs.readme import rewritten; print(rewritten({document!r}), end='')"
    rewritten = committed.run(sys.executable, "-c", script).stdout
    assert rewritten == (committed.folder / document).read_text(encoding="utf-8")


def test_the_figure_of_the_frontier_has_the_means_of_its_table():
    runs = frontier()
    for axis in draw_frontier(runs, TARGETS).axes:
        of_dataset = runs[runs["data"] == axis.get_title()]
        [propagated] = [bars for bars in axis.containers if "propagated" in bars.get_label()]
        labels, accuracy = propagated.lines[0].get_data()
        assert dict(zip(labels, accuracy, strict=True)) == pytest.approx(
            {
                n: of_dataset.loc[of_dataset["labels"] == n, "propagated"].mean()
                for n in of_dataset["labels"].unique()
            }
        )


def test_every_dependency_has_a_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    names = {re.match(r"[\w.-]+", line).group() for group in groups for line in group}
    table = README.split("## Dependencies")[1]
    assert [name for name in sorted(names) if name not in table] == []


def test_every_link_leads_somewhere():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"`make (?:EXTRA=\w+ )?([a-z-]+)`", README))
    assert {"repro", "test"} & set(re.findall(r"make ([a-z-]+) ", README)) == {"repro", "test"}
    assert [name for name in sorted(named) if f"\n{name}:" not in makefile] == []
