"""The examples of docs/extending.md, copied into a clone, where the pipeline runs with them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

TEXT = (Path(__file__).parents[1] / "docs/extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", TEXT, re.M | re.S))
[SETTINGS] = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.M | re.S)


def test_there_are_three_examples_and_each_is_short():
    assert [Path(name).parts[1] for name in FILES] == ["embeddings", "propagation", "datasets"]
    assert len(FILES) == TEXT.count("```python")
    assert [name for name, text in FILES.items() if text.count("\n") >= 40] == []


@pytest.fixture
def extended(unreproduced, warm_environment, tmp_path):
    """Return a project with the files and the settings of the page."""
    project = unreproduced.copy(tmp_path / "project")
    for name, text in FILES.items():
        path = project.folder / name
        assert not path.exists()
        path.write_text(text, encoding="utf-8")
    yaml = YAML()
    params = yaml.load(project.folder / "params.yaml")
    for section, settings in yaml.load(SETTINGS).items():
        params[section].update(settings)
    yaml.dump(params, project.folder / "params.yaml")
    return replace(project, environment=warm_environment)


def test_the_examples_run(extended):
    extended.run("ruff", "check", *FILES)
    extended.run("ruff", "format", "--check", *FILES)
    new = " or ".join(Path(name).stem for name in FILES)
    tests = ("pytest", "-q", "-n", "0", "tests/test_methods.py", "-k", new)
    assert "5 passed" in extended.run("python", "-m", *tests).stdout
    assert "package" in extended.repro()
    metrics = json.loads((extended.folder / "metrics/propagated.json").read_text())
    assert metrics["accuracy"] > 1 / 3  # more than chance
    changed = extended.run("git", "status", "--porcelain").stdout.splitlines()
    results = ["dvc.lock", "metrics/"]
    assert changed == [" M params.yaml", *(f"?? {name}" for name in sorted([*results, *FILES]))]
    assert extended.repro() == []
