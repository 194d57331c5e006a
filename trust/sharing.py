"""Photos and labels go through remotes, clones, experiments, branches and `dvc gc`."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from fewlabel.annotation.annotations import now
from tests.conftest import Project
from trust.projects import (
    LABELS,
    NO_QUERIES,
    PHOTOS,
    RESULTS,
    belongings,
    clone,
    label,
    private_copy,
    read_annotations,
    write_photos,
    write_test_labels,
)
from trust.promises import Promise
from trust.remotes import folder_remote, ssh_remote

_PERCENTILES = (20, 35, 50, 65, 80)


def share_by_folder(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Push to a folder, clone, pull once, and reproduce."""
    yield from _share(folder_remote, project, n)


def share_by_ssh(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Push to an SSH server, clone, pull once, and reproduce."""
    yield from _share(ssh_remote, project, n)


def _share(remote, project, n):
    with private_copy(project) as mine, remote(mine), tempfile.TemporaryDirectory() as folder:
        for i in range(n):
            theirs = clone(mine, Path(folder) / f"clone {i}")
            theirs.dvc("pull", "--quiet")
            ran = theirs.repro()
            found = [f"{stage} ran" for stage in ran]
            if _shared(theirs) != _shared(mine):
                found.append("files differ")
            found += theirs.run("git", "status", "--porcelain").stdout.splitlines()
            n_photos = sum(name.endswith(("png", "jpg")) for name in belongings(theirs))
            n_labels = len(read_annotations(theirs.folder / LABELS))
            seen = f"{n_photos} photos and {n_labels} labels are there; no stage ran"
            yield not found, "clone", "; ".join(found) or seen


def _shared(project):
    """Return hashes without those of hidden files, which stay with whoever has them."""
    return {name: x for name, x in project.hashes(*RESULTS).items() if "/." not in name}


def use_everyday_commands(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Use DVC and git as people do, in a random order; count photos and labels after each."""
    with private_copy(project) as project, folder_remote(project):
        expected = {"main": belongings(project)}
        _make_other_branch(project)
        expected["other"] = belongings(project)
        branch = "other"
        commands = {
            "switch": _switch,
            "dvc gc --workspace": _collect,
            "dvc gc --all-commits --cloud": _collect_everywhere,
            "dvc checkout": _check_out,
        }
        on_main = {
            "annotate again": _annotate_again,
            "dvc exp run": _run_experiment,
            "dvc exp run --queue, --run-all": _run_queue,
            "dvc exp apply": _apply_experiment,
        }
        for _ in range(n):
            possible = commands | (on_main if branch == "main" else {})
            name = rng.choice(list(possible))
            possible[name](project, rng)
            if name == "switch":
                branch = {"main": "other", "other": "main"}[branch]
            if name == "annotate again":
                expected[branch] = belongings(project)
            found = belongings(project)
            is_right = found == expected[branch]
            seen = f"{len(found)} of {len(expected[branch])} files are there"
            yield (
                is_right,
                f"{name}, on {branch}",
                f"{seen}, {'the same' if is_right else 'others'}",
            )
            if not is_right:
                project.run("git", "checkout", "--force", branch)
                project.dvc("checkout", "--force")
                expected[branch] = belongings(project)


def _make_other_branch(project):
    project.run("git", "checkout", "--quiet", "-b", "other")
    shutil.rmtree(project.folder / PHOTOS)
    (project.folder / LABELS).unlink()
    names = write_photos(project.folder / PHOTOS, seed=1)
    label(project, write_test_labels(project, names))
    project.dvc("add", "--quiet", PHOTOS)
    project.commit("Take other photos")
    project.dvc("push", "--quiet")


def _switch(project, rng):
    here = project.run("git", "branch", "--show-current").stdout.strip()
    project.commit(f"Leave {here}") if project.run("git", "status", "--porcelain").stdout else None
    project.run("git", "checkout", "--quiet", {"main": "other", "other": "main"}[here])
    project.dvc("pull", "--quiet", "--force", f"{PHOTOS}.dvc")


def _collect(project, rng):
    project.dvc("gc", "--workspace", "--force")


def _collect_everywhere(project, rng):
    project.dvc("gc", "--workspace", "--all-commits", "--cloud", "--force")


def _check_out(project, rng):
    shutil.rmtree(project.folder / PHOTOS / "part 0")
    project.dvc("checkout", "--force", f"{PHOTOS}.dvc")


def _annotate_again(project, rng):
    seen = rng.choice(list(read_annotations(project.folder / LABELS).values()))
    changes = [(seen._replace(labeled_at=now()), [seen.labeled_at])]
    replace(NO_QUERIES, path=project.folder / LABELS).save(changes)


def _run_experiment(project, rng):
    project.dvc("exp", "run", "--set-param", f"propagate.percentile={rng.choice(_PERCENTILES)}")


def _run_queue(project, rng):
    project.dvc(
        "exp", "run", "--queue", "--set-param", f"propagate.percentile={rng.randrange(100)}"
    )
    project.dvc("exp", "run", "--run-all")


def _apply_experiment(project, rng):
    shown = project.dvc("exp", "list", "--name-only").split()
    if shown:
        # It may refuse: `dvc gc` deletes what only experiments have.
        project.attempt("dvc", "exp", "apply", rng.choice(shown))
        # It puts labels.csv back as it was then.
        project.run("python", "-m", "fewlabel.cli", "restore-labels")


_FAMILY = "Sharing"
PROMISES = [
    Promise(
        _FAMILY,
        "A clone of what was pushed to a folder has every photo, label and result after one pull, "
        "and nothing to run.",
        share_by_folder,
        5,
        0,
    ),
    Promise(
        _FAMILY,
        "The same through a real SSH server.",
        share_by_ssh,
        5,
        1,
        needs_network=True,
    ),
    Promise(
        _FAMILY,
        "DVC's and git's everyday commands lose no photo and no label.",
        use_everyday_commands,
        20,
        0,
    ),
]
