"""Which propagation method the labels speak for."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fewlabel.engine import Shared
from fewlabel.methods import EmbeddingMethod, Pool, PropagationMethod
from fewlabel.propagation import comparison
from fewlabel.propagation.cluster import Settings as Cluster
from fewlabel.propagation.comparison import best_method


class Always(PropagationMethod):
    """Knows the true classes of some of the images, and is wrong on the others."""

    knows: tuple[int, ...]

    def propagate(self, pool):
        """Need an unlabeled image, as there is when a label is held out."""
        assert (pool.y < 0).any()
        true = np.arange(len(pool.y)) % 3
        right = np.isin(np.arange(len(true)), self.knows)
        return np.where(right, true, (true + 1) % 3), np.ones(len(true))


@pytest.fixture
def pool(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    n = 60
    labeled = np.arange(n) < 30
    return Pool(
        y=np.where(labeled, np.arange(n) % 3, -1),
        n_classes=3,
        assignment=np.arange(n) % 30,
        distance=partial(np.zeros, n, np.float32),
        affinity=dict,
        images=dict,
        features=np.arange(n, dtype=np.float32)[:, None] % 30,
        embedding=dict,
        facts=EmbeddingMethod(),
    )


def methods(first, second):
    return {"first": Always(knows=tuple(first)), "second": Always(knows=tuple(second))}


def test_the_first_stays_unless_another_is_surely_better(pool):
    # Right on k labels more of equal weight, and on none less: z is the root of k.
    for n_more, expected in [
        (0, "first"),
        (3, "first"),
        (4, "first"),
        (5, "second"),
        (20, "second"),
    ]:
        compared = methods(range(10), range(10 + n_more))
        method, held_out = best_method(pool, compared)
        assert method is compared[expected], n_more
        assert (held_out.predicted == pool.y[:30]).sum() == len(method.knows)
    compared = methods(range(20), range(10))
    assert best_method(pool, compared)[0] is compared["first"]


def test_a_label_counts_as_much_as_its_cluster(pool):
    compared = methods([0, 1, 2, 3], [4, 5, 6, 7, 8, 9, 10, 11])
    assert best_method(pool, compared)[0] is compared["first"]
    sizes = np.where(np.arange(60) < 30, np.arange(60), 4 + np.arange(60) % 8)
    compared = methods(range(4), range(4, 12))
    assert best_method(replace(pool, assignment=sizes), compared)[0] is compared["second"]


def test_few_labels_and_a_method_that_was_set_are_not_compared(pool):
    compared = methods([], range(60))
    few = replace(pool, y=np.where(np.arange(60) < 9, pool.y, -1))
    method, held_out = best_method(few, compared)
    assert method is compared["first"]
    assert [len(part) for part in held_out] == [0, 0, 0, 0]
    only = {"cluster": Cluster()}
    method, held_out = best_method(pool, only)
    assert method is only["cluster"]
    np.testing.assert_array_equal(held_out.images, range(30))


def test_a_cluster_without_its_label_joins_that_of_the_nearest(pool):
    # The labels of images 0 to 29 are 0, 1, 2, 0 and so on, and the nearest is never the same.
    labeled = np.arange(30)
    methods = {"cluster": Cluster()}
    predicted, _ = comparison._predict(Shared("pool", pool), methods, labeled=labeled)["cluster"]
    assert not (predicted == pool.y[:30]).any()
    # Of sorted classes, it is, except at both borders.
    pool = replace(pool, y=np.where(np.arange(60) < 30, np.arange(60) // 10, -1))
    right = (
        comparison._predict(Shared("pool", pool), methods, labeled=labeled)["cluster"][0]
        == pool.y[:30]
    )
    assert right.sum() >= 26
    assert right[[0, 5, 15, 25, 29]].all()


class Counts(PropagationMethod):
    """Calls an image by how many labels there are, and by whether its own is among them."""

    def propagate(self, pool):
        """Return classes and confidence."""
        n = (pool.y >= 0).sum()
        return np.where(pool.y >= 0, -1, n), np.full(len(pool.y), n)


def test_half_of_the_labels_are_taken_of_those_that_predict_a_label(pool):
    _, held_out = best_method(pool, {"counts": Counts()})
    assert set(held_out.predicted) == {24}
    assert set(held_out.predicted_by_half) == {12}


def test_it_says_what_it_took_and_why(pool, caplog):
    with caplog.at_level(logging.INFO, "fewlabel"):
        best_method(pool, methods(range(15), range(30)))
    assert (
        "propagation: second (labels predicted from others are right: first 50.0%, second 100.0%)"
        in caplog.text
    )


class Logs(PropagationMethod):
    """Writes a line each time."""

    def propagate(self, pool):
        """Return that everything is of class 0."""
        with Path("log").open("a") as file:
            file.write("x")
        return np.zeros(len(pool.y), int), np.ones(len(pool.y))


def test_what_was_predicted_from_other_files_is_not_taken(pool):
    for content, n_calls in (("a", 10), ("a", 10), ("b", 20)):
        Path("graph").write_text(content)
        best_method(pool, {"logs": Logs()}, files=["graph"])
        assert len(Path("log").read_text()) == n_calls
