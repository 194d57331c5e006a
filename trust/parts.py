"""Work in parts, as with many images, meets killed workers, cut files and a full disk."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from benchmarks.cluster import cluster
from fewlabel.engine import ENGINE, UNFINISHED
from tests.conftest import Project
from trust.full_disk import SmallDisk, on_small_disk
from trust.processes import Done, Running, run
from trust.projects import RESULTS, belongings, half_written, lock
from trust.promises import Promise

_STAGES = ("download", "embed", "graph", "cluster", "spread")
# So that a few photographs are many.
_LIMITS = {
    "fewlabel/arrays.py": ("_MAX_BLOCK_ROWS = 10_000", "_MAX_BLOCK_ROWS = 20"),
    "fewlabel/storage.py": ("SHARD_ROWS = 20_000", "SHARD_ROWS = WHOLE_ROWS = 20"),
    "stages/graph.py": ("MAX_EXACT = 100_000", "MAX_EXACT = 40"),
}
_MAX_STARTS = 20
_CONNECTING = 3.0  # seconds more that a stage takes on a cluster


def break_parts(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Stop a stage that works in parts by each of four faults, and run it again on threads."""
    outs = {name: [out["path"] for out in of["outs"]] for name, of in lock(project).items()}
    tries = [(fault, stage) for fault in _FAULTS for stage in _STAGES]
    rng.shuffle(tries)
    with on_small_disk(project) as (project, disk):
        seconds = _work_in_parts(project)
        before, mine = project.hashes(*RESULTS), belongings(project)
        for i in range(n):
            fault, stage = tries[i % len(tries)]
            for out in outs[stage]:
                _remove(project, out)
            done = _FAULTS[fault](project, disk, stage, seconds[stage], rng)
            found = _wrong(project, before, mine, done)
            disk.empty()
            if run(project, [f"stages.{stage}"]).code or project.hashes(*RESULTS) != before:
                found.append("the next run gives other files")
            seen = done.last_line if done.code else "the stage ends"
            yield not found, f"{stage}: {fault}", "; ".join(found) or f"{seen}; the same files"


def _work_in_parts(project: Project) -> dict[str, float]:
    """Make what the stages need, in shards of a few rows; return the seconds that each takes."""
    for name, (old, new) in _LIMITS.items():
        path = project.folder / name
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise RuntimeError(f"{name} has no {old}")
        path.write_text(text.replace(old, new), encoding="utf-8")
    first, *others = _STAGES
    done = run(project, *([f"stages.{stage}"] for stage in (first, "normalize", *others)))
    if done.code:
        raise RuntimeError(done.last_line)
    seconds = {}
    for stage in _STAGES:
        start = time.perf_counter()
        run(project, [f"stages.{stage}"])
        seconds[stage] = time.perf_counter() - start
    return seconds


def _remove(project: Project, out: str) -> None:
    path = project.folder / out
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _kill_worker(project, disk, stage, seconds, rng) -> Done:
    done = _on_cluster(project, stage, seconds, rng, victim=1)
    return done if done.code == 0 else replace(done, code=None)  # the other worker should end it


def _kill_scheduler(project, disk, stage, seconds, rng) -> Done:
    return _on_cluster(project, stage, seconds, rng, victim=0)


def _on_cluster(project, stage, seconds, rng, victim) -> Done:
    """Run a stage on two workers, and kill one of them, or the scheduler, meanwhile."""
    with cluster(project.folder, 2) as (address, processes):
        there = replace(project, environment=project.environment | {ENGINE: address})
        running = Running(there, [f"stages.{stage}"])
        time.sleep(rng.uniform(0, seconds + _CONNECTING))
        processes[victim].kill()
        return running.wait()


def _cut_parts(project, disk, stage, seconds, rng) -> Done:
    """Kill a stage that has finished some parts, and cut these."""
    folder = project.folder / UNFINISHED / stage
    for _ in range(_MAX_STARTS):
        running = Running(project, [f"stages.{stage}"])
        end = time.perf_counter() + 2 * seconds
        while time.perf_counter() < end and not any(folder.rglob("[0-9]*-*.npy")):
            time.sleep(0.001)
        running.send(signal.SIGKILL)
        done = running.wait()
        parts = sorted(folder.rglob("[0-9]*-*.npy"))
        if done.code and parts:
            for part in parts:
                os.truncate(part, rng.randrange(part.stat().st_size))
            return replace(done, code=0)
    raise RuntimeError(f"{stage} had no part when it was killed, {_MAX_STARTS} times")


def _fill_disk(project, disk: SmallDisk, stage, seconds, rng) -> Done:
    disk.leave(rng.randrange(8 * 1024))
    return run(project, [f"stages.{stage}"], file_size=disk.file_size)


def _wrong(project, before, mine, done) -> list[str]:
    """Return all that is wrong after a fault, which may end a stage in one sentence."""
    found = [] if done.code == 0 or done.has_refused else [f"no sentence: {done.last_line}"]
    found += half_written(project, before)
    if belongings(project) != mine:
        found.append("photos or labels differ")
    return found


_FAULTS = {
    "a worker killed": _kill_worker,
    "the scheduler killed": _kill_scheduler,
    "finished parts cut": _cut_parts,
    "disk full": _fill_disk,
}
PROMISES = [
    Promise(
        "Many images",
        "A stage in parts outlives a killed worker; with the scheduler dead or the disk full it "
        "ends in one sentence; the next run makes cut parts again, and the same bytes.",
        break_parts,
        40,
        2,
    ),
]
