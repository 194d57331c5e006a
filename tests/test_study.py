"""The study: its bookkeeping, and the whole of it on digits through the real `dvc` command."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from scipy import stats

from benchmarks.workspace import set_params
from study.figures import BY_LABELS, NOT_BY_LABELS
from study.report import FAMILIES, lines_of, markdown, verdict

CHECKOUT = Path(__file__).parents[1]
PARAMS = YAML(typ="safe").load(CHECKOUT / "study" / "params.yaml")
REPORTED = pd.read_csv(CHECKOUT / "study" / "reported.csv")
ROWS = {name: row for family in FAMILIES for name, row in PARAMS[family].items()}


def test_every_published_figure_has_one_row():
    lines = sorted(line for row in ROWS.values() for line in row.get("reported", []))
    assert lines == list(range(1, len(REPORTED) + 1))


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_what_the_published_one_is(name):
    row = ROWS[name]
    n_clusters = PARAMS["clusters"].get(row.get("clusters"), {}).get("n_clusters")
    for line in row.get("reported", []):
        published = REPORTED.iloc[line - 1]
        assert row["features"] == f"data/{published['dataset']}"
        assert row.get("labels", n_clusters) == published["labels"]
        for key, value in (
            ("clusters", row["clusters"] if isinstance(row.get("clusters"), int) else n_clusters),
            ("percentile", row.get("percentile")),
        ):
            if not np.isnan(published[key]):
                assert value == published[key]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_repeated_often_enough(name):
    row = ROWS[name]
    n_labels = row.get("labels") or PARAMS["clusters"][row["clusters"]]["n_clusters"]
    slow = name.startswith(("ladder", "self-training"))
    assert row["seeds"] >= (3 if slow else 10 if n_labels <= 100 else 5)


def test_every_method_is_drawn():
    methods = {row["method"] for row in ROWS.values()}
    elsewhere = {method for method in methods if re.match(NOT_BY_LABELS, method)}
    assert methods - elsewhere == set(BY_LABELS)


def test_push_and_pull_are_about_the_pipeline_alone():
    stages = YAML(typ="safe").load(CHECKOUT / "study" / "dvc.yaml")["stages"]
    outs = [out for stage in stages.values() for out in stage.get("do", stage)["outs"]]
    assert len(outs) > len(stages)
    # DVC pushes and pulls what it caches, and pulling what nobody pushed is an error.
    assert [out for out in outs if list(out.values()) != [{"cache": False}]] == []


@pytest.mark.parametrize(
    ("reported", "mean", "of_one_run", "expected"),
    [
        (0.80, 0.809, 0.001, "repeated"),
        (0.80, 0.811, 0.001, "better"),
        (0.80, 0.811, 0.02, "repeated"),
        (0.80, 0.789, 0.001, "worse"),
    ],
)
def test_verdict(reported, mean, of_one_run, expected):
    assert verdict(reported, mean, of_one_run) == expected
    wrong = verdict(reported, mean, of_one_run, "it failed")
    assert wrong == f"cannot be right: it failed (by the figure alone, {expected})"


def test_lines_of_a_row_that_was_published_twice():
    accuracy = [0.80, 0.82, 0.84, 0.86]
    measured = {"accuracy": accuracy, "fit_seconds": [1, 2, 3, 6]}
    row = {"method": "m", "features": "data/digits", "labels": 7, "reported": [1, 2]}
    reported = pd.DataFrame(
        {"system": ["a", "b"], "accuracy": [0.83, 0.1], "seconds": [7, None], "note": ""}
        | {"weighted_f1": [0.8, None]}
    )
    first, second = lines_of("name", row, measured, reported, {2: "it failed"})
    low, high = stats.t.interval(0.95, 3, np.mean(accuracy), stats.sem(accuracy))
    assert (first["interval_low"], first["interval_high"]) == pytest.approx((low, high))
    assert first["standard_deviation"] == pytest.approx(np.std(accuracy, ddof=1))
    assert (first["fit_seconds"], first["seeds"], first["dataset"]) == (3, 4, "digits")
    assert first["verdict"] == "repeated"
    assert second["verdict"] == "cannot be right: it failed (by the figure alone, better)"
    assert (first["difference"], first["reported_seconds"]) == (pytest.approx(0), 7)
    assert [line["system"] for line in (first, second)] == ["a", "b"]
    table = markdown(pd.DataFrame([first, second]), ["system", "accuracy", "percentile"])
    assert table.splitlines()[0] == "| system | accuracy |"
    assert "| a | 0.8300 ± 0.0258 (0.7889 to 0.8711) |" in table


# One row of each kind, since each row of a network imports TensorFlow.
ON_DIGITS = (
    "lr-all-labels",
    "lr-first-500",
    "knn-last-3000",
    "forest-last-3000",
    "svc-last-3000",
    "lr-distances-100",
    "lr-representatives-100",
    "mlp-partial-2000-25",
    "cnn-partial-50-50",
    "label-propagation-knn",
    "label-spreading-rbf",
    "self-training-3000",
    "autoencoder-3000",
    "ladder-mnist-100",
    "ours-mnist-50",
    "random-mnist-100",
    "pixels-over-clusters-mnist-100",
    "representatives-mnist-50",
)


def small(settings):
    """Turn settings of the study into such of a few rows on digits."""
    if isinstance(settings, list):
        return settings
    changed = {}
    for key, value in settings.items():
        if key == "features":
            value = f"{value.split('/')[0]}/digits"
        elif key in ("labels", "n_clusters", "images"):
            value = min(value, 60 if key == "n_clusters" else 300)
        elif key in ("seeds", "most_seeds", "epochs", "head_epochs", "min_steps"):
            value = min(value, 2)
        elif key == "image_shape":
            value = [8, 8]
        elif isinstance(value, dict):
            value = small(value)
        changed[key] = value
    return changed


@pytest.fixture(scope="module")
def studied(unreproduced, warm_environment, tmp_path_factory):
    project = unreproduced.copy(tmp_path_factory.mktemp("studied") / "project")
    rows = {
        family: {name: row for name, row in PARAMS[family].items() if name in ON_DIGITS}
        for family in FAMILIES
    }
    params = small(PARAMS | rows) | {"datasets": ["digits"]}
    (project.folder / "study").mkdir()
    for source in CHECKOUT.glob("study/*"):
        if source.suffix in (".py", ".csv", ".md") or source.name in ("dvc.yaml", "pipeline.yaml"):
            shutil.copy(source, project.folder / "study")
    shutil.copytree(CHECKOUT / "study/estimators", project.folder / "study/estimators")
    of_patches = {"patch_size": 3, "n_centroids": 32, "n_components": 32}
    of_pipeline = {f"embed.patches.{name}": value for name, value in of_patches.items()}
    set_params(project.folder / "study" / "pipeline.yaml", of_pipeline | {"graph.n_neighbors": 10})
    YAML().dump(params, project.folder / "study" / "params.yaml")
    # One process a row, which then imports TensorFlow once and not twice.
    alone = warm_environment | {"LOKY_MAX_CPU_COUNT": "1"}
    replace(project, environment=alone).dvc("repro", "study/dvc.yaml")
    return project  # cold: a warm process would leave its workers behind


def test_the_whole_study_on_digits(studied):
    results = pd.read_csv(studied.folder / "study" / "results.csv")
    assert set(results["name"]) == set(ON_DIGITS)
    assert results["accuracy"].between(0.05, 1).all()
    by_name = results.drop_duplicates("name").set_index("name")["accuracy"]
    assert by_name["lr-all-labels"] > 0.8  # of 300 labels
    assert by_name["ours-mnist-50"] > 0.7
    text = (studied.folder / "docs" / "study.md").read_text(encoding="utf-8")
    assert "<!--" not in text
    assert "| ours | digits | 50 |" in text


def test_a_changed_row_runs_alone(studied):
    yaml = YAML()
    path = studied.folder / "study" / "params.yaml"
    params = yaml.load(path)
    params["supervised"]["svc-last-3000"]["labels"] = 200
    yaml.dump(params, path)
    ran = [stage.removeprefix("study/dvc.yaml:") for stage in studied.repro("study/dvc.yaml")]
    assert ran == ["supervised@svc-last-3000", "report"]
