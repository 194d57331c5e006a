"""Some tries of each attack of `make trust`, and the page that it writes."""

from random import Random

import pytest

from fewlabel.storage import load_json
from tests.conftest import Project, private_environment
from trust.attacks import PROMISES
from trust.projects import photo_project
from trust.promises import Promise
from trust.report import DOCUMENT, RESULTS, document, is_kept, summary


@pytest.fixture(scope="module")
def photos(once, commands):
    folder = once("photos", lambda f: photo_project(f / "project", f / "home", commands))
    return Project(folder / "project", private_environment(folder / "home"))


@pytest.mark.parametrize(
    "promise",
    [
        pytest.param(
            promise, id=promise.name, marks=[pytest.mark.network] if promise.needs_network else []
        )
        for promise in PROMISES
        if promise.n_fast_tries
    ],
)
def test_a_promise_is_kept(photos, promise):
    outcomes = list(promise.outcomes(photos, promise.n_fast_tries))
    assert [outcome for outcome in outcomes if not outcome.passed] == []
    assert len(outcomes) == promise.n_fast_tries


def broken_attack(project, rng: Random, n):
    """Find every other try broken, and then break off."""
    for i in range(n):
        yield i % 2, "try", f"result {i % 2}"
    raise ValueError("no more")


def test_a_broken_promise_is_shown():
    promise = Promise("Family", "All is well.", broken_attack, 6, 1)
    result = summary(promise, list(promise.outcomes(None, 4)))
    assert (result["tries"], result["passed"], is_kept(result)) == (5, 2, False)
    assert "the attack itself: it broke off: no more" in document([result], [])
    assert not is_kept(summary(promise, []))


def test_the_page_tells_of_every_promise():
    results, n_tries = load_json(RESULTS), {p.text: p.n_tries for p in PROMISES}
    assert results
    assert all(x["tries"] == n_tries[x["promise"]] for x in results)
    page = DOCUMENT.read_text(encoding="utf-8")
    assert page == document(results, list(n_tries))
    assert all(text in page for text in n_tries)
