"""The default pipeline on real Fashion-MNIST, through the real `dvc` command."""

import pytest

from benchmarks.workspace import workspace

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def run():
    with workspace() as work:
        work.dvc("repro")
        yield work.metrics(), {record["stage"]: record for record in work.take_stages()}


def test_propagated_labels_beat_the_published_recipe_and_the_other_training_sets(run):
    metrics, _ = run
    accuracy = {name: values.get("accuracy") for name, values in metrics.items()}
    assert accuracy["propagated"] >= 0.82
    assert accuracy["propagated"] > accuracy["representatives"] + 0.02
    assert accuracy["propagated"] > accuracy["random_subset"]


def test_labels_cover_what_the_percentile_says_and_are_mostly_right(run):
    propagation = run[0]["propagation"]
    assert propagation["coverage"] == pytest.approx(0.95, abs=0.01)
    assert propagation["label_accuracy"] > 0.83
    assert propagation["classes_represented"] == 10


def test_every_stage_needs_less_than_4_gb(run):
    _, stages = run
    assert len(stages) == 17
    assert max(record["peak_memory_mb"] for record in stages.values()) < 4000
