"""A refactoring stands where it gives the same bytes, and dvc.lock has no other one."""

import csv
import shutil
from copy import deepcopy

import pytest
from ruamel.yaml import YAML

from benchmarks.stands import (
    LOG,
    N_IMAGES,
    code_hash,
    file_at,
    last_change,
    lock_at,
    unproven,
)
from benchmarks.workspace import ROOT

MODULE = "fewlabel/propagation/percentile.py"


def test_dvc_lock_has_no_new_code_beside_old_results_without_a_line():
    changed = last_change()
    # A dvc.lock that is older than the log has nothing to prove.
    before = lock_at(f"{changed}^") if file_at(changed, LOG.name) else {}
    log = list(csv.DictReader(file_at("HEAD", LOG.name).splitlines()))
    stages = sorted(unproven(before, lock_at("HEAD"), log))
    assert not stages, f'run `make stands STAGE="{" ".join(stages)}"`, and commit stands.csv'


def test_dvc_lock_has_no_stage_that_is_gone():
    # DVC leaves a stage there that has another name now, and its old code would be compared with.
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    assert {name.split("@")[0] for name in lock_at("HEAD")} == stages.keys()
    sets = YAML(typ="safe").load(ROOT / "dvc.yaml")["vars"][0]["training_sets"]
    assert {name.split("@")[1] for name in lock_at("HEAD") if "@" in name} == set(sets)


def entry(code="1", data="2", out="3", percentile=95):
    return {
        "deps": [{"path": "stages/a.py", "md5": code}, {"path": "data/a.npy", "md5": data}],
        "params": {"params.yaml": {"propagate.percentile": percentile}},
        "outs": [{"path": "data/b.npy", "md5": out}],
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"code": "4"}, {"train"}),
        ({"code": "4", "out": "5"}, set()),
        ({"code": "4", "data": "5"}, set()),
        ({"code": "4", "percentile": 50}, set()),
        ({"out": "5"}, set()),
    ],
)
def test_only_new_code_beside_old_results_needs_a_line(changes, expected):
    old, new = {"train@a": entry()}, {"train@a": entry(**changes)}
    assert unproven(old, new, []) == expected
    line = {
        "stage": "train",
        "old_code": code_hash(old["train@a"]),
        "new_code": code_hash(new["train@a"]),
    }
    assert unproven(old, new, [line]) == set()
    assert unproven(old, new, [line | {"old_code": line["new_code"]}]) == expected


def test_the_hash_of_code_is_not_that_of_its_order():
    first = entry()
    second = deepcopy(first)
    second["deps"].reverse()
    assert code_hash(first) == code_hash(second)
    assert code_hash(first) != code_hash(entry(code="4"))


def edit(project, old, new):
    path = project.folder / MODULE
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def stands(project, *stages, fails=False):
    return project.run("python", "-m", "benchmarks.stands", *stages, fails=fails)


def log_of(project):
    with (project.folder / "stands.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def lock_of(project):
    return YAML(typ="safe").load(project.folder / "dvc.lock")["stages"]


def test_a_refactoring_is_recorded_and_a_change_is_not(project):
    before, earlier = lock_of(project), log_of(project)
    edit(project, "    rank = np", "    # A comment changes nothing.\n    rank = np")
    assert "propagate" in project.dvc("status", "propagate")
    printed = stands(project, "propagate").stdout
    assert "propagate stands: 1 compared, the same bytes" in printed
    assert f"real images are skipped, since data/raw has no more than {N_IMAGES}" in printed
    assert "up to date" in project.dvc("status", "propagate")
    after = lock_of(project)
    assert unproven(before, after, []) == {"propagate"}
    (line,) = log_of(project)[len(earlier) :]
    assert line["variants"] == "1"
    assert unproven(before, after, [line]) == set()

    recorded = project.hashes("dvc.lock", "stands.csv")
    edit(project, "rank < quota", "rank <= quota")
    refused = stands(project, "propagate", fails=True)
    assert refused.returncode == 1
    assert "error: data/propagated/labels.npy of propagate is not what" in refused.stderr
    assert project.hashes("dvc.lock", "stands.csv") == recorded


def test_what_cannot_be_compared_is_refused(project):
    assert "what dvc.lock has" in stands(project).stdout
    assert "is no stage in dvc.lock" in stands(project, "propagat", fails=True).stderr
    assert "nothing is to prove" in stands(project, "propagate", fails=True).stderr

    edit(project, "    rank = np", "    # A comment changes nothing.\n    rank = np")
    project.set({"propagate.percentile": 50})
    refused = stands(project, "propagate", fails=True).stderr
    assert "propagate.percentile" in refused
    project.set({"propagate.percentile": 80})
    (project.folder / "data/propagated/labels.npy").unlink()
    refused = stands(project, "propagate", fails=True).stderr
    assert "data/propagated/labels.npy" in refused
    project.dvc("checkout")

    # The code that dvc.lock has was never committed.
    lock = project.folder / "dvc.lock"
    known = next(d["md5"] for d in lock_of(project)["propagate"]["deps"] if d["path"] == MODULE)
    lock.write_text(lock.read_text().replace(known, "0" * 32))
    project.commit("Lose code")
    assert "no commit has the code" in stands(project, "propagate", fails=True).stderr


def test_a_stage_that_ran_whole_stands(project):
    before = lock_of(project)
    edit(project, "    rank = np", "    # A comment changes nothing.\n    rank = np")
    shutil.rmtree(project.folder / "data/spread")  # as in a clone that has not pulled
    printed = stands(project, "--whole").stdout
    assert "propagate stands: the same bytes" in printed
    lines = log_of(project)
    assert {line["variants"] for line in lines} == {"whole run"}
    assert unproven(before, lock_of(project), lines) == set()

    project.commit("Record it")
    edit(project, "rank < quota", "rank <= quota")
    assert "propagate has other results now" in stands(project, "--whole", "propagate").stdout
    assert log_of(project) == lines
