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

from fewlabel.methods import settings_of
from fewlabel.settings import read_params
from study.code import MODULES, all_imports, code_hash, file_of, pipeline_modules
from study.estimators.build import build
from study.figures import BY_LABELS, NOT_BY_LABELS
from study.report import OURS, lines_of, results_table, verdict
from study.row import complete
from study.settings import settings
from tests.conftest import EAGERLY

CHECKOUT = Path(__file__).parents[1]
FAMILIES = ("on_features", "on_clusters")
PARAMS = settings()
SAID = settings(file="report.yaml")["rows"]
REPORTED = pd.read_csv(CHECKOUT / "study" / "reported.csv")
ROWS = {name: complete(row) for family in FAMILIES for name, row in PARAMS[family].items()}


def test_every_published_figure_has_one_row():
    lines = sorted(line for said in SAID.values() for line in said.get("published", []))
    assert lines == list(range(1, len(REPORTED) + 1))
    assert SAID.keys() == ROWS.keys()


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_what_the_published_one_is(name):
    row = ROWS[name]
    n_clusters = row.get("n_clusters") or re.search(r"'n_clusters': (\d+)|$", str(row))[1]
    for line in SAID[name].get("published", []):
        published = REPORTED.iloc[line - 1]
        assert row["dataset"] == published["dataset"]
        assert row.get("labels", n_clusters) == published["labels"]
        for key, value in (("clusters", n_clusters), ("percentile", row.get("percentile"))):
            if not np.isnan(published[key]):
                assert float(value) == published[key]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_repeated_often_enough(name):
    row = ROWS[name]
    n_labels = row.get("labels") or row["n_clusters"]
    slow = name.startswith(("ladder", "self-training"))
    assert row["seeds"] >= (3 if slow else 10 if n_labels <= 100 else 5)


def test_an_estimator_is_built_of_its_settings():
    spec = [
        {"sklearn.decomposition.PCA": {"n_components": 2}},
        "study.estimators.build.in_float64",
        {"sklearn.multiclass.OneVsRestClassifier": {"estimator": {"sklearn.svm.SVC": {"C": 3}}}},
    ]
    pca, doubled, one_vs_rest = build(spec, (8, 8), 7)
    assert (pca.n_components, pca.random_state) == (2, 7)
    assert doubled.transform(np.zeros(1, np.float32)).dtype == np.float64
    assert (one_vs_rest.estimator.C, one_vs_rest.estimator.random_state) == (3, 7)
    network = build({"fewlabel.classifiers.small_cnn": {"epochs": 9}}, (8, 8), 7)
    assert (network.epochs, network.image_shape, network.random_state) == (9, (8, 8), 7)
    with pytest.raises(ValueError, match=r"sklearn\.svm\.SVM, which cannot be imported"):
        build("sklearn.svm.SVM", (8, 8), 0)


def test_words_about_code_do_not_change_its_hash(tmp_path):
    def hash_of(text):
        path = tmp_path / "module.py"
        path.write_text(text, encoding="utf-8")
        return code_hash(path)

    first = hash_of(
        '"""One."""\n\n\ndef f():\n    """Two\n    lines."""\n    return "#"  # three\n'
    )
    assert first == hash_of('def f():\n    """Other."""\n    # Words.\n\n    return "#"\n')
    assert first != hash_of('def f():\n    return "# three"\n')
    assert hash_of("import a\nfrom b import (\n    c,\n)\n") == hash_of(
        "from b import c\nimport a\n"
    )
    assert hash_of("import a\n") != hash_of("import b\n")
    assert first != hash_of('def f():\n    x = """Two."""\n    return "#"\n')


def test_a_run_of_the_pipeline_depends_on_its_own_methods(monkeypatch):
    monkeypatch.chdir(CHECKOUT)
    modules = pipeline_modules({"settings": {"dataset.name": "mnist"}})
    chosen = read_params(CHECKOUT / "params.yaml")
    methods = {
        "embeddings": chosen.embed.method,
        "selection": chosen.cluster.method,
        "propagation": chosen.propagate.method,
        "classifiers": chosen.train.model,
    }
    candidates = {
        f"fewlabel.{kind}.{name}"
        for kind, method in methods.items()
        for name in settings_of(kind, method).candidates
    }
    expected = {f"fewlabel.{kind}.{method}" for kind, method in methods.items()}
    assert {m for m in modules if m.startswith("fewlabel.")} == {
        "fewlabel.datasets.mnist",
        *expected,
        *candidates,
    }
    by_choice = pipeline_modules({"settings": {"propagate.method": "auto"}})
    assert {f"fewlabel.propagation.{m}" for m in ("auto", "cluster", "graph", "regression")} <= (
        by_choice
    )
    stepwise = pipeline_modules({"steps": {"first": {"embed.method": "pixels"}, "second": {}}})
    assert "fewlabel.embeddings.pixels" in stepwise
    stages = {f"stages.{path.stem}" for path in (CHECKOUT / "stages").glob("*.py")}
    assert {m for m in modules if m.startswith("stages.")} == stages - {"stages.__init__"}


def test_code_is_hashed_again_where_it_changes():
    stages = YAML(typ="safe").load(CHECKOUT / "study" / "dvc.yaml")["stages"]
    entries = {*MODULES.values(), "study.report", "study.underflow"}
    files = {file_of(module) for entry in entries for module in all_imports(entry)}
    assert [f for f in files if not f.startswith(tuple(stages["code"]["deps"]))] == []


def test_every_method_is_drawn():
    methods = {said["method"] for said in SAID.values()} | {*OURS.values()}
    elsewhere = {method for method in methods if re.match(NOT_BY_LABELS, method)}
    assert methods - elsewhere == set(BY_LABELS)


def test_push_and_pull_are_about_the_pipeline_alone():
    stages = YAML(typ="safe").load(CHECKOUT / "study" / "dvc.yaml")["stages"]
    outs = [out for stage in stages.values() for out in stage.get("do", stage)["outs"]]
    assert len(outs) > len(stages)
    # DVC pushes and pulls what it caches, and pulling what nobody pushed is an error.
    assert [out for out in outs if list(out.values()) != [{"cache": False}]] == []


@pytest.mark.parametrize(
    ("reported", "mean", "single_run", "expected"),
    [
        (0.80, 0.809, 0.001, "repeated"),
        (0.80, 0.811, 0.001, "better"),
        (0.80, 0.811, 0.02, "repeated"),
        (0.80, 0.789, 0.001, "worse"),
    ],
)
def test_verdict(reported, mean, single_run, expected):
    assert verdict(reported, mean, single_run) == expected
    wrong = verdict(reported, mean, single_run, "it failed")
    assert wrong == f"cannot be right: it failed (by the figure alone, {expected})"


def test_lines_of_a_row_that_was_published_twice():
    accuracy = [0.80, 0.82, 0.84, 0.86]
    metrics = {"accuracy": accuracy, "fit_seconds": [1, 2, 3, 6]}
    described = {"method": "m", "dataset": "digits", "labels": 7}
    reported = pd.DataFrame(
        {"system": ["a", "b"], "accuracy": [0.83, 0.1], "seconds": [7, None], "note": ""}
        | {"weighted_f1": [0.8, None]}
    )
    first, second = lines_of(described, metrics, [1, 2], reported, {2: "it failed"})
    low, high = stats.t.interval(0.95, 3, np.mean(accuracy), stats.sem(accuracy))
    assert (first["interval_low"], first["interval_high"]) == pytest.approx((low, high))
    assert first["standard_deviation"] == pytest.approx(np.std(accuracy, ddof=1))
    assert (first["fit_seconds"], first["seeds"], first["dataset"]) == (3, 4, "digits")
    assert first["verdict"] == "repeated"
    assert second["verdict"] == "cannot be right: it failed (by the figure alone, better)"
    assert (first["difference"], first["reported_seconds"]) == (pytest.approx(0), 7)
    assert [line["system"] for line in (first, second)] == ["a", "b"]
    table = results_table(pd.DataFrame([first, second]), ["system", "accuracy", "labels"])
    assert table.splitlines()[0] == "| system | accuracy | labels |"
    assert "| a | 0.8300 ± 0.0258 (0.7889 to 0.8711) | 7 |" in table


# One row of each kind, since each row of a network imports TensorFlow.
ON_DIGITS = (
    "lr-all-labels",
    "lr-first-500",
    "knn-last-3000",
    "lr-distances-100",
    "lr-representatives-100",
    "mlp-partial-2000-25",
    "cnn-partial-50-50",
    "label-propagation-knn",
    "label-spreading-rbf",
    "self-training-3000",
    "autoencoder-trained-3000",
    "ladder-mnist-100",
)


def small(row):
    """Turn settings of a row, or a part of them, into such on digits."""
    if isinstance(row, list):
        return [small(part) for part in row]
    if not isinstance(row, dict):
        return row
    changed = {name: small(value) for name, value in row.items()}
    for name, limit in LIMITS.items():
        if name in changed:
            changed[name] = min(changed[name], limit)
    if "dataset" in changed:
        changed["dataset"] = "digits"
    return changed


LIMITS = dict.fromkeys(("seeds", "epochs", "min_steps"), 2) | {
    "labels": 300,
    "images": 300,
    "n_clusters": 60,
}


@pytest.fixture(scope="module")
def studied(unreproduced, warm_environment, tmp_path_factory):
    project = unreproduced.copy(tmp_path_factory.mktemp("studied") / "project")
    rows = {
        family: {name: row for name, row in PARAMS[family].items() if name in ON_DIGITS}
        for family in FAMILIES
    }
    used = {row["clusters"] for row in rows["on_clusters"].values()}
    clusters = {name: row for name, row in PARAMS["clusters"].items() if name in used}
    # The pipeline is run by hundreds of other tests; its rows here are those that were measured.
    params = small(PARAMS | rows | {"clusters": clusters})
    params["datasets"] = {"digits": "fewlabel.datasets.digits"}
    for source in CHECKOUT.glob("study/**/*"):
        if source.suffix in (".py", ".csv", ".md", ".yaml") or source.parent.name == "pipeline":
            target = project.folder / source.relative_to(CHECKOUT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    YAML().dump(params, project.folder / "study" / "params.yaml")
    # One process per row, which then imports TensorFlow once and not twice.
    alone = warm_environment | EAGERLY | {"LOKY_MAX_CPU_COUNT": "1"}
    alone = replace(project, environment=alone)
    stages = ("on_features", "on_clusters", "underflow")
    alone.dvc("repro", *(f"study/dvc.yaml:{stage}" for stage in stages))
    alone.dvc("repro", "--single-item", "study/dvc.yaml:report")
    return project  # cold: a warm process would leave its workers behind


def test_the_whole_study_on_digits(studied):
    results = pd.read_csv(studied.folder / "study" / "results.csv")
    measured_here = results[results["dataset"] == "digits"]
    assert set(measured_here["name"]) == set(ON_DIGITS)
    assert measured_here["accuracy"].between(0.05, 1).all()
    by_name = measured_here.drop_duplicates("name").set_index("name")["accuracy"]
    assert by_name["lr-all-labels"] > 0.8  # of 300 labels
    text = (studied.folder / "docs" / "study.md").read_text(encoding="utf-8")
    assert "<!--" not in text
    assert "| all labels, logistic regression | digits | 300 |" in text
    assert "| ours | fashion_mnist | 50 |" in text


def test_a_changed_row_runs_alone(studied):
    yaml = YAML()
    path = studied.folder / "study" / "params.yaml"
    params = yaml.load(path)
    params["on_features"]["knn-last-3000"]["labels"] = 200
    yaml.dump(params, path)
    with (studied.folder / "study/row.py").open("a", encoding="utf-8") as file:
        file.write("# A comment makes no row stale.\n")
    ran = [
        stage.removeprefix("study/dvc.yaml:")
        for stage in studied.repro("study/dvc.yaml:on_features", "study/dvc.yaml:on_clusters")
    ]
    assert ran == ["code", "on_features@knn-last-3000"]
