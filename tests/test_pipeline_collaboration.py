"""What people do with the pipeline: compare, experiment, share and go back."""

import csv
import io
import json
from dataclasses import replace

STAGES = (
    "download",
    "normalize",
    "embed",
    "cluster",
    "select",
    "label",
    "graph",
    "spread",
    "propagate",
    "evaluate_propagation",
    "train",
    "evaluate",
    "verdict",
    "package",
)
AFTER_PERCENTILE = [
    "propagate",
    "evaluate_propagation",
    "train@propagated",
    "evaluate@propagated",
    "verdict",
    "package",
]


def coverage(project):
    path = project.folder / "metrics" / "propagation.json"
    return json.loads(path.read_text(encoding="utf-8"))["coverage"]


def test_diffs_tell_what_a_setting_changed(halved, tmp_path):
    project = halved.copy(tmp_path / "project")
    project.commit("Keep the most confident half")
    revisions = ("HEAD~1", "HEAD")

    params = json.loads(project.dvc("params", "diff", "--json", *revisions))
    assert params == {"params.yaml": {"propagate.percentile": {"old": 80, "new": 50, "diff": -30}}}

    metrics = json.loads(project.dvc("metrics", "diff", "--json", *revisions))
    assert set(metrics) == {"metrics/propagation.json", "metrics/propagated.json"}
    change = metrics["metrics/propagation.json"]["coverage"]
    assert 0.5 <= change["new"] == coverage(project) < 0.6 < 0.8 <= change["old"] < 0.9

    target = "metrics/propagated/per_class.csv"
    plots = json.loads(project.dvc("plots", "diff", "--json", *revisions, "--targets", target))
    (plot,) = plots["data"][target]
    f1 = {revision: [] for revision in revisions}
    for point in plot["content"]["data"]["values"]:
        f1[point["rev"]].append(float(point["f1"]))
    assert len(f1["HEAD"]) == len(f1["HEAD~1"]) == 10
    assert f1["HEAD"] != f1["HEAD~1"]


def test_all_plots_can_be_drawn(project):
    page = project.folder / "dvc_plots" / "index.html"
    project.dvc("plots", "show")
    shown = page.read_text(encoding="utf-8")
    for title in ("Label accuracy against coverage", "Confusion, pseudo-labels", "loss.tsv"):
        assert title in shown
    assert "errors" not in json.loads(project.dvc("plots", "show", "--json"))


def test_experiments_run_in_the_workspace_and_from_the_queue(project):
    measured = ("exp", "run", "evaluate_propagation", "--set-param")  # and no training
    project.dvc(*measured, "propagate.percentile=50", "--name", "half")
    project.dvc(*measured, "propagate.percentile=20,60", "--queue")
    project.dvc("exp", "run", "--run-all")
    rows = csv.DictReader(io.StringIO(project.dvc("exp", "show", "--csv")))
    found = {
        float(row["propagate.percentile"]): float(row["coverage"])
        for row in rows
        if row["typ"].startswith("branch")
    }
    assert sorted(found) == [20, 50, 60]
    assert 0.2 <= found[20] < found[50] == coverage(project) < found[60] < 0.7


def test_a_clone_pulls_what_was_pushed_and_has_nothing_to_run(project, tmp_path):
    project.dvc("remote", "add", "--default", "storage", str(tmp_path / "storage"))
    project.commit("Add a remote")
    project.dvc("push")
    project.run("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = replace(project, folder=tmp_path / "clone")
    clone.dvc("pull")
    assert clone.repro() == []
    assert clone.hashes("data", "models", "metrics") == project.hashes("data", "models", "metrics")
    assert clone.run("git", "status", "--porcelain").stdout == ""


def test_going_back_to_old_settings_runs_nothing(reproduced, halved, tmp_path):
    before = reproduced.hashes("dvc.lock", "data", "models", "metrics")
    ran = (halved.folder / ".git/ran.json").read_text(encoding="utf-8")
    assert json.loads(ran) == AFTER_PERCENTILE
    project = halved.copy(tmp_path / "project")
    project.set({"propagate.percentile": 80})
    shown = project.dvc("repro")
    assert "Running stage" not in shown
    for stage in AFTER_PERCENTILE:
        assert f"Stage '{stage}' is cached - skipping run" in shown
    assert project.hashes("dvc.lock", "data", "models", "metrics") == before


def test_a_stage_is_reproduced_by_its_name(project):
    shown = project.dvc("stage", "list", "--name-only")
    assert {name.split("@")[0] for name in shown.split()} == set(STAGES)
    assert project.repro(*STAGES) == []
