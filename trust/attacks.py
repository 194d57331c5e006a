"""Every promise, and the attack on one in a process of its own."""

from tests.conftest import Project
from trust import (
    any_settings,
    full_disk,
    hostile_files,
    kills,
    labelers,
    parts,
    sharing,
    wrong_bytes,
)
from trust.report import summary

_FAMILIES = (kills, full_disk, parts, wrong_bytes, sharing, any_settings, hostile_files, labelers)
PROMISES = [promise for family in _FAMILIES for promise in family.PROMISES]


def attack(project: Project, position: int) -> dict:
    """Attack the promise at a position as often as `make trust` does; return what came of it."""
    promise = PROMISES[position]
    return summary(promise, list(promise.outcomes(project, promise.n_tries)))
