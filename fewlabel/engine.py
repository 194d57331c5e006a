"""Work in parts, on this process or on the workers of a Dask cluster; a restart resumes.

`FEWLABEL_ENGINE` in the environment says where: `threads` (default), `dask:N` for N workers that
are started here, or the address of a scheduler, whose workers `python -m fewlabel.worker` starts.
It changes no byte, so DVC does not know of it.
"""

import hashlib
import json
import logging
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from fewlabel.errors import FewlabelError
from fewlabel.kernels import fixed_threads, pinned, versions
from fewlabel.parallel import progress
from fewlabel.storage import (
    hash_of,
    load_json,
    save_joblib,
    save_json,
    sha256_of,
    unpickle,
    write,
    write_npy,
)
from fewlabel.text import one_line

ENGINE = "FEWLABEL_ENGINE"
UNFINISHED = Path("data/unfinished")
WORKER_ENVIRONMENT = {"LOKY_MAX_CPU_COUNT": "1"}  # each works on one core
WORKER_MEMORY: dict[str, Any] = {"distributed.nanny.pre-spawn-environ": {}}
"""Dask's own has the system take back what is freed at once; it took half of a worker's time."""
_PER_SUBMIT = 5_000  # tasks; with many more, a scheduler answers no more
_ALLOWED = re.compile(r"threads|dask:[1-9]\d{0,2}|(tcp|tls)://\S+:\d+")
_TIMEOUT = 20  # seconds
_logger = logging.getLogger(__name__)


def run_parts(
    name: str,
    step: Callable[..., Any],
    parts: Sequence[Any],
    *arguments: Any,
    inputs: Sequence[str | Path] = (),
) -> list[Path]:
    """Return files, .npy, that have what ``step(part, *arguments)`` gives for each part.

    What a killed run has finished is kept, if parts, arguments, inputs and code are the same.

    Parameters
    ----------
    name
        Of the folder in data/unfinished/, where they lie until the stage has ended.
    step
        A function that other processes can import, and that reads what it needs from files. It
        gives an array; or an array and what JSON can say about it, which `described` returns.
    parts, arguments
        Whose ``repr`` says what they are.
    inputs
        The files that it reads.

    Raises
    ------
    FewlabelError
        If a part cannot be made, or the engine cannot be reached.
    """
    hashes = {str(path): hash_of(path) for path in inputs}
    about = [step.__module__, step.__qualname__, repr(arguments), hashes, _code()]
    files, tasks = [], []
    for number, part in enumerate(parts):
        key = hashlib.sha256(json.dumps([*about, repr(part)]).encode()).hexdigest()
        # With its key, since a worker may still make a part that nobody waits for any more.
        file = UNFINISHED / name / f"{number:05}-{key[:16]}.npy"
        files.append(file)
        if not _is_made(file, key):
            tasks.append((file, key, step, part, *arguments))
    if len(tasks) < len(parts):
        _logger.info("%s: %d of %d parts are there", name, len(parts) - len(tasks), len(parts))
    if _engine() == "threads":
        for task in progress(tasks, name):
            _make(*task)
    elif tasks:
        _make_on_dask(tasks, name)
    return files


def described(file: Path) -> Any:
    """Return what a step has said about the array in this file, or None."""
    return load_json(file.with_suffix(".json"))["about"]


def finish(name: str) -> None:
    """Remove what lies in data/unfinished/ under this name, after a stage has written its own."""
    shutil.rmtree(UNFINISHED / name, ignore_errors=True)


def loaded(load: Callable[[Path], Any], path: str | Path) -> Any:
    """Return what `load` makes of a file; a process keeps the last few, as long as they stay."""
    return _loaded(load, Path(path), hash_of(path))


@lru_cache(maxsize=4)
def _loaded(load: Callable[[Path], Any], path: Path, _: str) -> Any:
    return load(path)


class Shared:
    """A value that parts take, by a file that each process reads once."""

    def __init__(self, name: str, value: Any):
        self.path = UNFINISHED / f"{name}.joblib"
        save_joblib(self.path, value)
        self._hash = hash_of(self.path)

    def __repr__(self) -> str:
        return f"Shared({self._hash})"

    def get(self) -> Any:
        """Return the value."""
        if hash_of(self.path) != self._hash:
            raise FewlabelError(f"{self.path} was changed meanwhile; run `dvc repro` again")
        return loaded(unpickle, self.path)


def _is_made(file: Path, key: str) -> bool:
    """Whether a part is whole, and of this key."""
    try:
        record = load_json(file.with_suffix(".json"))
        return bool((record["key"], record["sha256"]) == (key, sha256_of(file)))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _make(file: Path, key: str, step: Callable[..., Any], part: Any, *arguments: Any) -> None:
    made = step(part, *arguments)
    array, about = made if isinstance(made, tuple) else (made, None)
    write(file, lambda temporary: write_npy(temporary, array, [slice(0, len(array))]))
    record = {"key": key, "sha256": sha256_of(file), "about": about}
    save_json(file.with_suffix(".json"), record)


@lru_cache(maxsize=1)
def _code() -> str:
    """Return a hash of this package, and of the versions of what computes."""
    package = Path(__file__).parent
    contents = [file.read_bytes() for file in sorted(package.rglob("*.py"))]
    return hashlib.sha256(b"\0".join([*contents, *map(str.encode, versions())])).hexdigest()


def _engine() -> str:
    engine = os.environ.get(ENGINE) or "threads"
    if not _ALLOWED.fullmatch(engine):
        raise FewlabelError(
            f"{ENGINE} is {engine!r}, but must be threads, dask:N with a number of workers, or the "
            "address of a scheduler, as tcp://HOST:8786"
        )
    return engine


def _identity() -> str:
    """Return what decides the bytes that a process writes: code, versions, kernels in use."""
    kernels = {info["architecture"] for info in threadpool_info() if info["user_api"] == "blas"}
    return f"{_code()} {pinned()} {sorted(kernels)}"


def _make_on_dask(tasks: list[tuple[Any, ...]], name: str) -> None:
    try:
        from distributed import as_completed
    except ModuleNotFoundError as error:
        raise FewlabelError(
            f"{ENGINE} is {_engine()}, which needs more: pip install 'fewlabel[cluster]'"
        ) from error
    client, here = _client(), (str(Path.cwd()), _identity())
    with _one_sentence():
        for start in range(0, len(tasks), _PER_SUBMIT):
            some = tasks[start : start + _PER_SUBMIT]
            futures = [client.submit(_in_folder, *here, *task, pure=False) for task in some]
            for future in progress(as_completed(futures), name, total=len(futures)):
                future.result()


def _in_folder(root: str, identity: str, *task: Any) -> None:
    if _identity() != identity:
        raise FewlabelError(
            f"a worker on {platform.node()} would give other bytes; start it again, by `python -m "
            "fewlabel.worker` in this checkout, with the versions of requirements/"
        )
    try:
        with chdir(root), fixed_threads():
            _make(*task)
    except OSError as error:
        raise FewlabelError(
            f"a worker cannot use {error.filename or root}: {one_line(error.strerror or error)}; "
            "the checkout must lie under the same path for all"
        ) from error


@cache
def _client() -> Any:
    """Connect to a scheduler, or start one with workers, which end with this process."""
    import dask
    from distributed import Client, LocalCluster

    engine = _engine()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with _one_sentence(), dask.config.set(WORKER_MEMORY):
        if engine.startswith("dask:"):
            cluster = LocalCluster(
                n_workers=int(engine.removeprefix("dask:")),
                threads_per_worker=1,
                memory_limit=0,  # without a limit, nothing is spilled to disk
                env=WORKER_ENVIRONMENT,
                dashboard_address=":0",
                silence_logs=logging.CRITICAL,  # what matters is raised
            )
            client = Client(cluster)
        else:
            try:
                client = Client(engine, timeout=_TIMEOUT)
            except TypeError as error:  # tls:// without certificates
                raise FewlabelError(f"{ENGINE} is {engine}, but {one_line(error)}") from error
        _logger.info("engine: %s, dashboard %s", engine, client.dashboard_link)
        try:
            client.wait_for_workers(1, _TIMEOUT)
        except TimeoutError as error:
            raise FewlabelError(
                f"{engine} has no worker; start some by `python -m fewlabel.worker {engine}`"
            ) from error
        client.run(_loaded.cache_clear)
    return client


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Raise what goes wrong with a cluster as an error for the user."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    try:
        yield
    except KilledWorker as error:
        raise FewlabelError(
            f"workers were killed at the same part again and again ({error.task}): most often they "
            "have too little memory; start fewer on a machine"
        ) from error
    except (OSError, TimeoutError, FutureCancelledError) as error:
        raise FewlabelError(
            f"{ENGINE} is {_engine()}, but no scheduler answers there ({one_line(error)}); start "
            "it and run `dvc repro` again, which keeps what is finished"
        ) from error
