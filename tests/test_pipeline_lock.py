"""Two runs give the same bytes, and labels that nobody asked for change none."""

import json
import shlex
from dataclasses import replace

import numpy as np
import pytest
from ruamel.yaml import YAML

from tests.conftest import ON_ONE_CORE, STRANGERS


def test_clean_runs_in_two_folders_write_the_same_lock(reproduced, unreproduced, tmp_path):
    again = unreproduced.copy(tmp_path / "a longer name" / "than the other")
    again = replace(again, environment=reproduced.environment)
    again.repro()
    assert again.hashes("dvc.lock") == reproduced.hashes("dvc.lock")
    assert again.hashes("metrics") == reproduced.hashes("metrics")


@pytest.mark.parametrize("stranger", STRANGERS)
def test_another_machine_writes_the_same_bytes(project, stranger):
    before = project.hashes("data", "models", "metrics")
    for path in ("data/embedded", "data/graph", "data/clusters", "data/spread"):
        for file in (project.folder / path).glob("*.np*"):
            file.unlink()
    project.run_before_training(stranger)
    assert project.hashes("data", "models", "metrics") == before


def test_a_network_trained_elsewhere_is_the_same_bytes(reproduced, unreproduced, tmp_path):
    here, elsewhere = (reproduced.copy(tmp_path / name) for name in ("here", "elsewhere"))
    # Not with the warm Python: kernels are chosen where a process loads its libraries.
    other_cpu = {"OPENBLAS_CORETYPE": "Prescott", "ONEDNN_MAX_CPU_ISA": "SSE41"}
    elsewhere = replace(elsewhere, environment=unreproduced.environment | other_cpu)
    for project in (here, elsewhere):
        project.set({"train.model": "cnn", "train.cnn.epochs": 1, "train.cnn.min_steps": 3})
    ran = here.repro("evaluate@representatives")
    assert ran == ["train@representatives", "evaluate@representatives"]
    elsewhere.run(*ON_ONE_CORE, "dvc", "repro", "evaluate@representatives")
    first, second = (p.hashes("dvc.lock", "models", "metrics") for p in (here, elsewhere))
    assert "models/representatives/model.keras" in first
    assert first == second


def test_labels_that_nobody_asked_for_change_no_output(project):
    # Not what people bring, nor the packaged model, whose card tells what was measured.
    brought = ("images", "annotations", "networks", "raw", "classifier.keras", "model_card.md")
    written = [
        f"{folder}/{path.name}"
        for folder in ("data", "models")
        for path in (project.folder / folder).iterdir()
        if path.name not in brought
    ]
    before = project.hashes(*written)
    metrics = project.hashes("metrics")
    raw = project.folder / "data" / "raw"
    asked = [
        np.load(project.folder / "data" / name / "labels.npy") >= 0
        for name in ("random_subset", "representatives")
    ]
    for split, hidden in (("train", ~np.logical_or(*asked)), ("test", slice(None))):
        labels = np.load(raw / f"{split}_labels.npy")
        labels[hidden] = (labels[hidden] + 1) % 10
        np.save(raw / f"{split}_labels.npy", labels)
    for path in before:
        (project.folder / path).unlink()

    # Not by `dvc repro`, which would bring back the labels.
    stages = YAML(typ="safe").load(project.folder / "dvc.lock")["stages"]
    del stages["download"]
    script = (
        "import json, runpy, sys\nfrom pathlib import Path\n"
        "from benchmarks.workspace import record_outputs\n"
        "for sys.argv[:] in json.loads(sys.argv[1]):\n"
        "    record_outputs(Path())  # as DVC does, or the stage refuses what it reads\n"
        "    runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
    )
    commands = [shlex.split(stage["cmd"])[2:] for stage in stages.values()]
    project.run("python", "-c", script, json.dumps(commands))

    assert project.hashes(*written) == before
    # The labels were changed indeed: all that is measured against them differs.
    changed = {
        path for path, digest in project.hashes("metrics").items() if digest != metrics[path]
    }
    assert changed >= {"metrics/propagation.json", "metrics/propagated.json"}
