"""The default pipeline on real Fashion-MNIST, through the real `dvc` command."""

import pytest
from ruamel.yaml import YAML

from benchmarks.stands import lock_at
from benchmarks.workspace import workspace

# The whole run takes ten minutes where the machine is busy.
pytestmark = [pytest.mark.network, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def run():
    with workspace() as work:
        work.dvc("repro")
        stages = {record["stage"]: record for record in work.take_stages()}
        lock = YAML(typ="safe").load(work.folder / "dvc.lock")["stages"]
        yield work.metrics(), stages, lock, work.folder


def test_propagated_labels_beat_the_published_recipe_and_the_other_training_sets(run):
    metrics, *_ = run
    accuracy = {name: values.get("accuracy") for name, values in metrics.items()}
    assert accuracy["propagated"] >= 0.82
    assert accuracy["propagated"] > accuracy["representatives"] + 0.02
    assert accuracy["propagated"] > accuracy["random_subset"]


def test_training_gets_as_many_labels_as_it_takes_and_they_are_mostly_right(run):
    propagation = run[0]["propagation"]
    # train.max_images pseudo-labels, and those of the budget.
    assert propagation["coverage"] * 60_000 == pytest.approx(40_000 + 100)
    assert propagation["label_accuracy"] > 0.83
    assert propagation["classes_represented"] == 10


def test_every_stage_needs_less_than_4_gb(run):
    _, stages, *_ = run
    assert len(stages) == 18
    assert max(record["peak_memory_mb"] for record in stages.values()) < 4000


def test_this_cpu_gives_the_recorded_bytes_up_to_the_pseudo_labels(run):
    (_, _, here, _), recorded = run, lock_at("HEAD")
    before_training = [
        name
        for name in recorded
        if not name.startswith(("train@", "evaluate@", "verdict", "package"))
    ]
    assert len(before_training) == 10
    assert [name for name in before_training if here[name] != recorded[name]] == []
