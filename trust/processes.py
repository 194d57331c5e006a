"""Modules of a project run in processes of their own, forked from one that has the libraries.

Importing is nearly all that a stage does on a few images, and the attacks run hundreds of stages.
This module imports nothing of the project, so that a process runs the project's own copy.
"""

import json
import multiprocessing
import os
import resource
import runpy
import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = (
    "dvclive",
    "filelock",
    "joblib",
    "matplotlib.pyplot",
    "pandas",
    "PIL.Image",
    "pydantic.main",
    "ruamel.yaml",
    "scipy.sparse",
    "sklearn.cluster",
    "sklearn.decomposition",
    "sklearn.linear_model",
    "sklearn.metrics",
)
_OWN = ("fewlabel", "stages")
PATIENCE = 120  # seconds: what still runs then hangs
TOO_MUCH = 6 * 2**30  # bytes of address space: what asks for more fills the machine
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(LIBRARIES)


@dataclass(frozen=True)
class Done:
    """What a process left behind; `code` is negative for a signal, and None if it hung."""

    code: int | None
    output: str
    error: str

    @property
    def last_line(self) -> str:
        """Return the last line of its errors, which is what it failed with."""
        return (self.error.splitlines() or [""])[-1]

    @property
    def has_refused(self) -> bool:
        """Whether it failed with one sentence for the user, and nothing else went wrong."""
        n_sentences = sum(line.startswith("error: ") for line in self.error.splitlines())
        is_one = n_sentences == 1 and self.last_line.startswith("error: ")
        return self.code is not None and self.code > 0 and is_one and not self.has_traceback

    @property
    def has_traceback(self) -> bool:
        """Whether it showed a traceback, anybody's."""
        return "Traceback" in self.error


class Running:
    """A process that runs modules, one after the other, as `python -m` does.

    Parameters
    ----------
    project : Project
        Where, and with which environment.
    commands : tuple of lists of str
        The module and its arguments, each.
    file_size
        Largest file that it can write, in bytes.
    """

    def __init__(self, project, *commands: list[str], file_size: int | None = None):
        self._outputs = [Path(tempfile.mkstemp()[1]) for _ in range(2)]
        arguments = (str(project.folder), project.environment, commands, self._outputs, file_size)
        self._process = _CONTEXT.Process(target=_run, args=arguments)
        self._process.start()

    def send(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def wait(self, patience: float = PATIENCE) -> Done:
        """Wait for its end, or end it."""
        self._process.join(patience)
        if has_hung := self._process.is_alive():
            self.send(signal.SIGKILL)
            self._process.join()
        output, error = (path.read_text(errors="backslashreplace") for path in self._outputs)
        for path in self._outputs:
            path.unlink()
        if has_hung:
            error += f"\nstill running after {patience} s"
        return Done(None if has_hung else self._process.exitcode, output, error)


def run(project, *commands: list[str], **settings) -> Done:
    """Run modules to their end."""
    return Running(project, *commands, **settings).wait()


def _record_outputs():
    """Do what `benchmarks.workspace.record_outputs` does, and write only that, which is faster."""
    from fewlabel.storage import LOCK, hash_of, locked_hashes

    outs = [{"path": x, "md5": hash_of(x) if Path(x).exists() else ""} for x in locked_hashes()]
    LOCK.write_text(json.dumps({"stages": {"all": {"outs": outs}}}))


def _run(folder, environment, commands, outputs, file_size):
    for number, path in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(path, os.O_WRONLY), number)
    # A shell has its background jobs ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    # The main module of an attack may have loaded its own copy.
    for name in [name for name in sys.modules if name.partition(".")[0] in _OWN]:
        del sys.modules[name]
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, folder)
    resource.setrlimit(resource.RLIMIT_AS, (TOO_MUCH, TOO_MUCH))
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    for sys.argv[:] in commands:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        if len(commands) > 1:
            _record_outputs()
    sys.stdout.flush()
