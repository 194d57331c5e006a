"""Every stage, DVC and the import of labels write to a disk that is full."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.conftest import Project
from trust.processes import run
from trust.projects import (
    LABELS,
    RESULTS,
    belongings,
    cause_of,
    files,
    half_written,
    lock,
    make_repro,
    module,
    read_annotations,
    results,
    temporary_files,
)
from trust.promises import Promise

_PAGE = 4096  # bytes: what a tmpfs gives
_SPARE = 64 * _PAGE  # for folders and whatever else takes a page


class SmallDisk:
    """A file system of its own, of which the size can be changed.

    Where it cannot be mounted, no file can grow beyond a limit, which is nearly as bad.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.file_size = None
        command = ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", folder]
        self.is_mounted = not subprocess.run(command, capture_output=True, check=False).returncode

    def leave(self, n_bytes: int) -> None:
        """Leave so many bytes free."""
        if self.is_mounted:
            used = int(
                subprocess.check_output(["df", "-B1", "--output=used", self.folder]).split()[1]
            )
            self._resize(used + n_bytes // _PAGE * _PAGE)
        else:
            self.file_size = n_bytes

    def empty(self) -> None:
        """Have space again."""
        self.file_size = None
        if self.is_mounted:
            self._resize(2**30)

    def _resize(self, n_bytes):
        subprocess.run(["mount", "-o", f"remount,size={n_bytes}", self.folder], check=True)


@contextmanager
def on_small_disk(project: Project) -> Iterator[tuple[Project, SmallDisk]]:
    """Make a copy that may be changed, on a disk that can be filled."""
    with tempfile.TemporaryDirectory() as folder:
        disk = SmallDisk(Path(folder))
        try:
            yield project.copy(Path(folder) / "project"), disk
        finally:
            if disk.is_mounted:
                subprocess.run(["umount", "--lazy", folder], check=True)


def fill_disk_under_stage(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Run a stage with less space than it needs, and again with enough."""
    before, mine = project.hashes(*RESULTS), belongings(project)
    stages = lock(project)
    names = rng.sample(list(stages), len(stages))
    with on_small_disk(project) as (project, disk):
        for i in range(n):
            name = names[i % len(names)]
            outs = files(project, stages[name], "outs")
            largest = max((project.folder / out).stat().st_size for out in outs)
            for out in outs:
                (project.folder / out).unlink()
            disk.leave(int(rng.random() * largest))
            command = module(stages[name]["cmd"])
            done = run(project, command, file_size=disk.file_size)
            found = _wrong(project, before, mine, done)
            disk.empty()
            if run(project, command).code or project.hashes(*RESULTS) != before:
                found.append("with space again, other files")
            yield not found, name, "; ".join(found) or done.last_line


def fill_disk_under_repro(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Run `dvc repro` of all stages on a disk that becomes full, and `make repro` with space."""
    undisturbed, mine = results(project), belongings(project)
    for _ in range(n):
        with on_small_disk(project) as (copy, disk):
            for stage in lock(copy).values():
                for out in files(copy, stage, "outs"):
                    (copy.folder / out).unlink()
            copy.run("rm", "-rf", ".dvc/cache/runs", "dvc.lock")
            free = rng.randrange(_SPARE, 2**20)
            disk.leave(free)
            limit = ["prlimit", f"--fsize={disk.file_size}"] if disk.file_size else []
            stopped = copy.attempt(*limit, "dvc", "repro")
            found = [] if stopped.returncode else ["exit code 0"]
            if f'File "{copy.folder}' in stopped.stderr:
                found.append(f"a traceback: {stopped.stderr.strip().splitlines()[-1]}")
            if belongings(copy) != mine:
                found.append("photos or labels differ")
            disk.empty()
            again = make_repro(copy)
            if again.returncode:
                found.append(f"then: {cause_of(again.stderr)}")
            elif results(copy) != undisturbed:
                found.append("then another dvc.lock")
            seen = "; ".join(found) or stopped.stderr.strip().splitlines()[-1]
            yield not found, f"{free // 1024} KiB free", seen


def fill_disk_under_labels(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Import labels with no space for the new labels.csv; restore with space what it lacked."""
    with on_small_disk(project) as (project, disk):
        labels = project.folder / LABELS
        old = labels.read_bytes()
        lines = old.splitlines(keepends=True)
        expected = _label_of(labels)
        rows = [("image", "label"), *expected.items()]
        table = "".join(f"{image},{label}\n" for image, label in rows)
        (project.folder / "mine.csv").write_text(table, encoding="utf-8")
        for _ in range(n):
            kept = b"".join(lines[: rng.randrange(1, len(lines) - 1)])
            labels.write_bytes(kept)
            disk.leave(0 if disk.is_mounted else len(kept) - 1)
            command = ["fewlabel.cli", "import-labels", "mine.csv"]
            done = run(project, command, file_size=disk.file_size)
            found = [] if done.has_refused else [f"no sentence: {done.last_line}"]
            if labels.read_bytes() != kept:
                found.append("labels.csv differs")
            found += [f"{name} stays" for name in temporary_files(project)]
            disk.empty()
            again = run(project, ["fewlabel.cli", "restore-labels"])
            if again.code or _label_of(labels) != expected:
                found.append(f"then restore-labels does not bring all: {again.last_line}")
            yield not found, f"{len(kept)} bytes of labels", "; ".join(found) or done.last_line


def _label_of(labels):
    return {image: annotation.label for image, annotation in read_annotations(labels).items()}


def _wrong(project, before, mine, done):
    """Return all that is wrong after a stage ran out of space."""
    found = [] if done.has_refused else [f"no sentence: {done.last_line}"]
    found += [f"{name} stays" for name in temporary_files(project)]
    found += half_written(project, before)
    if belongings(project) != mine:
        found.append("photos or labels differ")
    return found


_FAMILY = "Full disk"
PROMISES = [
    Promise(
        _FAMILY,
        "A stage on a full disk ends in one sentence and leaves nothing half-written; with space "
        "again it writes the same bytes.",
        fill_disk_under_stage,
        34,
        2,
    ),
    Promise(
        _FAMILY,
        "After `dvc repro` met a full disk, photos and labels are whole, and `make repro` with "
        "space ends in the undisturbed `dvc.lock`.",
        fill_disk_under_repro,
        5,
        0,
    ),
    Promise(
        _FAMILY,
        "Labels that find no space are refused in one sentence; the old labels.csv stays whole, "
        "and `fewlabel restore-labels` works.",
        fill_disk_under_labels,
        20,
        2,
    ),
]
