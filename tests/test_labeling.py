"""Who is asked about which images, and what becomes of the annotations."""

import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fewlabel.annotation.annotations import Annotation, AnnotationsError
from fewlabel.annotation.queries import Queries, human_labels
from fewlabel.errors import FewlabelError
from fewlabel.selection.check_images import check_images
from fewlabel.selection.oracle import oracle_labels
from fewlabel.selection.random_subset import random_subset
from fewlabel.storage import save_array
from stages import select

SEEDS = st.integers(0, 2**32 - 1)


@given(st.integers(0, 200), st.integers(0, 200), SEEDS)
def test_subsets_are_distinct_and_nested(size, other_size, seed):
    small, large = (random_subset(200, n, seed=seed).tolist() for n in sorted([size, other_size]))
    assert len(set(large)) == len(large) == max(size, other_size)
    assert set(large) <= set(range(200))
    assert set(small) <= set(large)


def test_each_pair_is_as_likely():
    n_draws = 6000
    counts = np.zeros((4, 4), int)
    for seed in range(n_draws):
        counts[*random_subset(4, 2, seed=seed)] += 1
    # Twelve ordered pairs; five standard deviations of a binomial count.
    off_diagonal = counts[~np.eye(4, dtype=bool)]
    assert counts.trace() == 0
    assert (np.abs(off_diagonal - n_draws / 12) < 5 * np.sqrt(n_draws / 12)).all()


@given(st.lists(st.integers(0, 49)), st.floats(0, 1), SEEDS)
def test_the_oracle_answers_only_what_it_is_asked(chosen, error_rate, seed):
    labels = np.arange(50) % 5
    asked = oracle_labels(labels, np.array(chosen, int), error_rate=error_rate, seed=seed)
    assert asked.dtype == np.int64
    annotated = np.isin(np.arange(50), chosen)
    np.testing.assert_array_equal(asked >= 0, annotated)
    assert set(asked[annotated]) <= set(range(5))
    np.testing.assert_array_equal(labels, np.arange(50) % 5)


@given(st.sets(st.integers(0, 49), min_size=1), st.floats(0, 1), SEEDS)
def test_an_image_gets_the_same_answer_whoever_chose_it(chosen, error_rate, seed):
    labels = np.arange(50) % 5
    everyone = oracle_labels(labels, np.arange(50), error_rate=error_rate, seed=seed)
    chosen = np.array(sorted(chosen))
    for order in (chosen, chosen[::-1]):
        asked = oracle_labels(labels, order, error_rate=error_rate, seed=seed)
        np.testing.assert_array_equal(asked[chosen], everyone[chosen])


def test_the_answer_does_not_depend_on_labels_that_nobody_asked_for():
    labels = np.arange(50) % 5
    others = labels.copy()
    others[25:] = 4 - others[25:]
    chosen = np.arange(25)
    np.testing.assert_array_equal(
        oracle_labels(labels, chosen, error_rate=0.5, seed=0),
        oracle_labels(others, chosen, error_rate=0.5, seed=0),
    )


@pytest.mark.parametrize("error_rate", [0.1, 0.165, 0.6])
def test_it_errs_as_often_as_asked_and_evenly(error_rate):
    n_images, n_classes = 60_000, 10
    labels = np.arange(n_images) % n_classes
    annotations = oracle_labels(labels, np.arange(n_images), error_rate=error_rate, seed=0)
    wrong = annotations != labels
    deviation = np.sqrt(error_rate * (1 - error_rate) / n_images)
    assert abs(wrong.mean() - error_rate) < 5 * deviation
    # Of an image that it gets wrong, each of the nine other classes is as likely.
    shift = np.bincount((annotations - labels)[wrong] % n_classes, minlength=n_classes)
    expected = wrong.sum() / (n_classes - 1)
    assert shift[0] == 0
    assert (np.abs(shift[1:] - expected) < 5 * np.sqrt(expected)).all()


def test_the_oracle_says_of_which_images_none_is_of_a_class():
    labels = np.repeat([0, 1, 2, 3, -1], 12_000)
    everyone = np.arange(len(labels))
    np.testing.assert_array_equal(oracle_labels(labels, everyone, error_rate=0, seed=0), labels)
    answers = oracle_labels(labels, everyone, error_rate=0.5, seed=0)
    others = oracle_labels(labels[:-12_000], everyone[:-12_000], error_rate=0.5, seed=0)
    assert (answers[:-12_000] < 0).sum() == (others < 0).sum() == 0
    # Where it errs, each class is as likely.
    counts = np.bincount(answers[-12_000:] + 1)
    assert (np.abs(counts - [6_000, *[1_500] * 4]) < 5 * np.sqrt(3_000)).all()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), SEEDS)
def test_an_oracle_that_never_errs_tells_the_truth(labels, seed):
    labels = np.array(labels)
    everyone = np.arange(len(labels))
    np.testing.assert_array_equal(
        oracle_labels(labels, everyone, error_rate=0.0, seed=seed), labels
    )


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), SEEDS)
def test_an_oracle_that_always_errs_never_tells_it(labels, seed):
    labels = np.array([*labels, 1])
    assert (
        oracle_labels(labels, np.arange(len(labels)), error_rate=1.0, seed=seed) != labels
    ).all()


def test_more_errors_include_the_fewer():
    labels = np.arange(1000) % 10
    few, many = (
        oracle_labels(labels, np.arange(1000), error_rate=rate, seed=5) != labels
        for rate in (0.1, 0.3)
    )
    assert (many | ~few).all()


def test_one_class_leaves_no_wrong_answer():
    labels = np.zeros(5, int)
    with pytest.raises(FewlabelError, match="at least two classes"):
        oracle_labels(labels, np.arange(5), error_rate=0.1, seed=0)
    np.testing.assert_array_equal(
        oracle_labels(labels, np.arange(5), error_rate=0.0, seed=0), labels
    )


clusterings = st.integers(1, 6).flatmap(
    lambda k: st.lists(st.integers(0, k - 1), min_size=k, max_size=40).map(
        lambda extra: np.array([*range(k), *extra])
    )
)


def make_queries(assignment):
    names = [f"{i}.png" for i in range(len(assignment))]
    return Queries(
        names=names,
        sha256=names,
        class_names=["cat", "dog", "cow"],
        assignment=assignment,
        representatives=np.arange(assignment.max() + 1),
    )


@given(clusterings, st.data())
def test_pending_queries_equal_a_loop(assignment, data):
    n_clusters = assignment.max() + 1
    annotated = data.draw(st.lists(st.integers(0, len(assignment) - 1), unique=True))
    silent = [c for c in range(n_clusters) if c not in {assignment[i] for i in annotated}]
    largest = sorted(silent, key=lambda c: -(assignment == c).sum())
    n_left = max(n_clusters - len(annotated), 0)
    queries = make_queries(assignment)
    assert queries.pending(queries.names[i] for i in annotated) == largest[:n_left]


def test_images_that_only_measure_come_last_and_complete_no_budget():
    queries = replace(make_queries(np.array([0, 1, 0, 1, 1, 0])), check_images=np.array([5, 3]))
    assert queries.n_asked == 4
    assert queries.pending([]) == [0, 1, 5, 3]
    assert queries.pending(["5.png", "0.png"]) == [1, 3]


def annotate(queries, label_of, folder):
    """Return queries of which people have annotated images, by position."""
    queries = replace(queries, path=Path(folder, "labels.csv"))
    changes = (
        (Annotation(queries.names[i], queries.sha256[i], label, f"{i}", "Ann"), [])
        for i, label in label_of.items()
    )
    queries.save(changes)
    return queries


@given(clusterings, st.data())
@settings(max_examples=50)
def test_human_labels_equal_a_loop(assignment, data):
    queries = make_queries(assignment)
    extra = data.draw(st.lists(st.integers(0, len(assignment) - 1)))
    annotated = {*queries.representatives.tolist(), *extra}
    choices = st.sampled_from([*queries.class_names, "?", "!"])
    label_of = {i: data.draw(choices) for i in annotated}
    assume(len({*label_of.values()} - {"?", "!"}) > 1)
    with tempfile.TemporaryDirectory() as folder:
        labels, check, excluded = human_labels(annotate(queries, label_of, folder))
    assert (check == -1).all()
    assert (labels.dtype, excluded.dtype) == (np.int64, bool)
    for i in range(len(assignment)):
        is_known = label_of.get(i) in queries.class_names
        assert labels[i] == (queries.class_names.index(label_of[i]) if is_known else -1)
        said = [label for j, label in label_of.items() if assignment[j] == assignment[i]]
        unsure = "?" in said and not set(said) & set(queries.class_names)
        assert excluded[i] == (unsure or label_of.get(i) == "!")


def test_labels_that_only_measure_teach_nothing(tmp_path):
    queries = replace(make_queries(np.array([0, 1, 0, 1, 1])), check_images=np.array([2, 3, 4]))
    given = {0: "cat", 1: "dog", 2: "cow", 3: "?", 4: "!"}
    labels, check, excluded = human_labels(annotate(queries, given, tmp_path))
    np.testing.assert_array_equal(labels, [0, 1, -1, -1, -1])
    np.testing.assert_array_equal(check, [-1, -1, 2, -1, -1])
    np.testing.assert_array_equal(excluded, [False, False, False, True, True])
    queries = annotate(replace(queries, check_images=np.array([2, 3])), {}, tmp_path / "other")
    with pytest.raises(AnnotationsError, match="4 of 4 images have no label yet"):
        human_labels(queries)


@given(st.integers(1, 30), st.data())
def test_images_that_only_measure_are_drawn_by_content(n, data):
    representatives = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1))))
    size = data.draw(st.integers(0, n - len(representatives)))
    names = [f"{i}" for i in range(n)]
    drawn = check_images(names, representatives, size, seed=0)
    assert len(set(drawn.tolist()) - set(representatives.tolist())) == size
    np.testing.assert_array_equal(check_images(names, representatives, size, seed=0), drawn)
    smaller = check_images(names, representatives, size // 2, seed=0)
    np.testing.assert_array_equal(drawn[: size // 2], smaller)
    # Another order of the same images draws the same images.
    turned = check_images(names[::-1], n - 1 - representatives, size, seed=0)
    np.testing.assert_array_equal(n - 1 - turned, drawn)


def test_a_random_subset_of_one_class_is_no_baseline(tmp_path, monkeypatch, vouch):
    monkeypatch.chdir(tmp_path)
    save_array("data/raw/train_labels.npy", np.arange(50) // 49)
    vouch()
    oracle = SimpleNamespace(source="oracle", oracle_error_rate=0.0)
    for budget, n_labels in ((2, 0), (50, 50)):
        select.main(SimpleNamespace(label_budget=budget, seed=0, label=oracle))
        assert (np.load("data/random_subset/labels.npy") >= 0).sum() == n_labels


def test_images_that_only_measure_are_drawn_evenly():
    names = [f"{i}" for i in range(20)]
    counts = sum(
        np.bincount(check_images(names, np.array([3]), 5, seed=seed), minlength=20)
        for seed in range(2000)
    )
    assert counts[3] == 0
    others = np.delete(counts, 3)
    np.testing.assert_allclose(others, 2000 * 5 / 19, rtol=0.15)


def test_more_images_than_there_are_cannot_measure():
    with pytest.raises(FewlabelError, match=r"label\.check_size is 3, but must be at most 2"):
        check_images(["a", "b", "c"], np.array([0]), 3, seed=0)


def test_too_few_annotations_are_refused(tmp_path):
    queries = annotate(make_queries(np.arange(3)), {0: "cat"}, tmp_path)
    with pytest.raises(
        AnnotationsError, match=r"2 of 3 images have no label yet; run `make label`"
    ):
        human_labels(queries)
    with pytest.raises(AnnotationsError, match="has labels of fewer than two classes"):
        human_labels(annotate(queries, {1: "?", 2: "cat"}, tmp_path))
    queries.path.unlink()
    with pytest.raises(
        AnnotationsError, match=r"again \(3 were labeled here before: `fewlabel res"
    ):
        human_labels(queries)
