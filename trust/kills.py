"""Stages and DVC itself are killed and interrupted at random moments."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from random import Random

import psutil

from tests.conftest import Project
from trust.processes import Running, run
from trust.projects import (
    RESULTS,
    belongings,
    cause_of,
    files,
    half_written,
    lock,
    make_repro,
    module,
    private_copy,
    results,
    temporary_files,
)
from trust.promises import Promise

_NAMES = {signal.SIGKILL: "killed", signal.SIGTERM: "terminated", signal.SIGINT: "interrupted"}
_MAX_STARTS = 30
_SHORTEST, _LONGEST = 0.3, 6.0  # seconds from the start of `dvc repro` of one stage to its end


def kill_stage(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Kill a stage; each file is whole or not there, and the next run clears what was half done."""
    yield from _stop_stage(project, rng, n, [signal.SIGKILL])


def interrupt_stage(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Interrupt or terminate a stage; it leaves no temporary file and shows no traceback."""
    yield from _stop_stage(project, rng, n, [signal.SIGINT, signal.SIGTERM])


def _stop_stage(project, rng, n, signals):
    with private_copy(project) as project:
        before, mine = project.hashes(*RESULTS), belongings(project)
        stages = lock(project)
        seconds = {}
        n_stopped = 0
        names = rng.sample(list(stages), len(stages))
        while n_stopped < n:
            name = names[n_stopped % len(names)]
            command = module(stages[name]["cmd"])
            if name not in seconds:
                start = time.perf_counter()
                run(project, command)
                seconds[name] = time.perf_counter() - start
            for out in files(project, stages[name], "outs"):
                if rng.random() < 0.5:  # DVC removes them all before it runs a stage
                    (project.folder / out).unlink()
            number = rng.choice(signals)
            running = Running(project, command)
            time.sleep(rng.uniform(0, seconds[name]))
            running.send(number)
            done = running.wait()
            if done.code == 0:
                continue  # it was faster
            n_stopped += 1
            found = _left_behind(project, before, mine, number, done)
            run(project, command)
            found += [f"{left} stays after the next run" for left in temporary_files(project)]
            _remove_temporary(project)
            if project.hashes(*RESULTS) != before:
                found.append("the next run gives other files")
            seen = "; ".join(found) or "each file whole or not there; then the same files"
            yield not found, f"{name} {_NAMES[number]}", seen


def _left_behind(project, before, mine, number, done):
    """Return all that is wrong after a stage was stopped."""
    temporary = temporary_files(project)
    found = half_written(project, before)
    if belongings(project) != mine:
        found.append("photos or labels differ")
    if temporary and number != signal.SIGKILL:
        found.append(f"{temporary[0]} stays")
    untracked = project.run("git", "status", "--porcelain", "--untracked-files=all").stdout
    found += [f"git sees {name}" for name in temporary if f"?? {name}" in untracked]
    if _shows_traceback(done.error):
        found.append(f"a traceback: {done.last_line}")
    return found


def _shows_traceback(error):
    """Whether a traceback is of a stage that had begun, and not of Python's imports or DVC."""
    return bool(re.search(r'fewlabel/settings\.py", line \d+, in run_stage$', error, re.MULTILINE))


def _remove_temporary(project):
    for name in temporary_files(project):
        (project.folder / name).unlink()


def kill_repro(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Kill DVC, the stage that it runs, or both; `make repro` then ends in the undisturbed lock."""
    whom = {"DVC": _kill_dvc, "the stage under DVC": _kill_child, "DVC and its stage": _kill_group}
    yield from _stop_repro(project, rng, n, whom)


def interrupt_repro(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Interrupt `dvc repro` as Ctrl-C does, or terminate it; the same, and no traceback of ours."""
    whom = {
        "Ctrl-C": lambda dvc: os.killpg(dvc.pid, signal.SIGINT),
        "SIGTERM to all": lambda dvc: os.killpg(dvc.pid, signal.SIGTERM),
    }
    yield from _stop_repro(project, rng, n, whom)


def _kill_dvc(dvc):
    os.kill(dvc.pid, signal.SIGKILL)


def _kill_group(dvc):
    os.killpg(dvc.pid, signal.SIGKILL)


def _kill_child(dvc):
    dvc_process = psutil.Process(dvc.pid)
    while dvc.poll() is None:
        # DVC also starts git and others, whose end it survives.
        stage = [
            x for x in dvc_process.children(recursive=True) if "stages." in " ".join(x.cmdline())
        ]
        for process in stage:
            process.kill()
        if stage:
            return
        time.sleep(0.01)


def _stop_repro(project, rng, n, whom):
    undisturbed, mine = results(project), belongings(project)
    stages = list(lock(project))
    for i in range(n):
        with private_copy(project) as copy:
            name, victim = stages[i % len(stages)], list(whom)[i % len(whom)]
            error = _stopped(copy, name, whom[victim], rng)
            found = []
            if _shows_traceback(error):
                found.append(f"a traceback: {error.splitlines()[-1]}")
            if belongings(copy) != mine:
                found.append("photos or labels differ")
            again = make_repro(copy)
            if again.returncode:
                found.append(f"then: {cause_of(again.stderr)}")
            elif results(copy) != undisturbed:
                found.append("another dvc.lock")
            seen = "; ".join(found) or "then the same dvc.lock"
            yield not found, f"{name}: {victim}", seen


def _hear_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which a shell has its background jobs ignore


def _stopped(project, name, stop, rng):
    """Have DVC run a stage and stop it before its end; return what it showed."""
    latest = _LONGEST
    for _ in range(_MAX_STARTS):
        for out in files(project, lock(project)[name], "outs"):
            (project.folder / out).unlink()
        shutil.rmtree(project.folder / ".dvc/cache/runs", ignore_errors=True)
        with tempfile.TemporaryFile() as shown:
            dvc = subprocess.Popen(
                ["dvc", "repro", "--force", "--single-item", name],  # else it is checked out
                cwd=project.folder,
                env=project.environment,
                stdin=subprocess.DEVNULL,
                stdout=shown,
                stderr=shown,
                start_new_session=True,
                preexec_fn=_hear_interrupts,
            )
            time.sleep(rng.uniform(_SHORTEST, latest))
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                stop(dvc)
            if dvc.wait():
                shown.seek(0)
                return shown.read().decode(errors="replace")
        latest = max(latest * 0.7, 2 * _SHORTEST)  # it was faster
    raise RuntimeError(f"{name} ended before it was stopped, {_MAX_STARTS} times")


_FAMILY = "Kills and interrupts"
PROMISES = [
    Promise(
        _FAMILY,
        "A stage that is killed leaves no half-written file under a name that is read.",
        kill_stage,
        34,
        2,
    ),
    Promise(
        _FAMILY,
        "A stage that is interrupted or terminated leaves no temporary file and no traceback.",
        interrupt_stage,
        34,
        2,
    ),
    Promise(
        _FAMILY,
        "After DVC, its stage or both were killed, photos and labels are whole, and `make repro` "
        "ends in the undisturbed `dvc.lock`.",
        kill_repro,
        17,
        0,
    ),
    Promise(
        _FAMILY,
        "The same after Ctrl-C or SIGTERM, and no traceback is of a stage.",
        interrupt_repro,
        10,
        0,
    ),
]
