"""Artifacts with a flipped bit, and artifacts that run code, in every place that DVC reads."""

import hashlib
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.conftest import Project
from trust.processes import Done, run
from trust.projects import PHOTOS, clone, files, lock, module, private_copy, write_bytes
from trust.promises import Promise
from trust.remotes import folder_remote, ssh_remote

MODEL = "models/classifier.keras"
PREDICT = ["fewlabel.cli", "predict", MODEL, f"{PHOTOS}/part 0", "--format", "csv"]
_CANARY = "canary"


@dataclass(frozen=True)
class _Place:
    """Where wrong bytes are put, and the project that they reach from there.

    Attributes
    ----------
    project : Project
    objects : Path or None
        Folder of a cache or remote; None for the workspace itself.
    command : str
        Of DVC, which brings objects to the workspace.
    """

    project: Project
    objects: Path | None = None
    command: str = "checkout"

    @property
    def cache(self) -> Path:
        """Return the project's own cache."""
        return self.project.folder / ".dvc/cache/files/md5"

    def has(self, name: str) -> bool:
        """Whether the file is kept here."""
        return self.objects is None or (self.objects / self._object(name)).exists()

    def _object(self, name):
        digest = hashlib.md5((self.project.folder / name).read_bytes()).hexdigest()
        return f"{digest[:2]}/{digest[2:]}"

    @contextmanager
    def holding(self, name: str, content: bytes, is_brought: bool = True) -> Iterator[str]:
        """Keep other content for a file, and bring it to the workspace; yield DVC's refusal.

        Afterwards, all is as before.
        """
        path, key = self.project.folder / name, self._object(name)
        whole = path.read_bytes()
        places = [path] if self.objects is None else [self.objects / key]
        write_bytes(places[0], content)
        refusal = ""
        if self.objects and is_brought:
            places += [path, self.cache / key]
            path.unlink()
            if self.command == "pull":
                (self.cache / key).unlink()
            refusal = self._bring(name)
        try:
            yield refusal
        finally:
            for place in places:
                write_bytes(place, whole)

    def _bring(self, name):
        outs = [out["path"] for stage in lock(self.project).values() for out in stage["outs"]]
        [out] = [out for out in outs if name == out or name.startswith(f"{out}/")]
        done = self.project.attempt("dvc", self.command, "--force", out)
        return done.stderr.strip().splitlines()[-1] if done.returncode else ""


@contextmanager
def _workspace(project):
    with private_copy(project) as copy:
        yield _Place(copy)


@contextmanager
def _cache(project):
    with private_copy(project) as copy:
        yield _Place(copy, copy.folder / ".dvc/cache/files/md5")


@contextmanager
def _pulled_from(remote, project):
    with (
        private_copy(project) as copy,
        remote(copy) as objects,
        tempfile.TemporaryDirectory() as folder,
    ):
        colleague = clone(copy, Path(folder) / "clone")
        colleague.dvc("pull", "--quiet")
        yield _Place(colleague, objects, "pull")


def _readers(place, names=lambda name: True):
    """Return pairs of a file that is kept in a place, and a stage that reads it, or `predict`."""
    stages = lock(place.project)
    pairs = [
        (name, s) for s, stage in stages.items() for name in files(place.project, stage, "deps")
    ]
    return [(n, s) for n, s in [*pairs, (MODEL, "predict")] if names(n) and place.has(n)]


def _read(project, stage) -> Done:
    return run(project, PREDICT if stage == "predict" else module(lock(project)[stage]["cmd"]))


def flipped(content: bytes, rng: Random) -> bytes:
    """Return content in which one bit is another."""
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flip(place, rng, n):
    results = ("data", "models", "metrics")
    pairs = _readers(place)
    rng.shuffle(pairs)
    project = place.project
    for i in range(n):
        name, stage = pairs[i % len(pairs)]
        before = project.hashes(*results)
        with place.holding(name, flipped((project.folder / name).read_bytes(), rng)) as refusal:
            done = _read(project, stage) if not refusal else None
            after = project.hashes(*results)
            changed = [
                other for other in before if other != name and after.get(other) != before[other]
            ]
        if done is None:
            is_right, seen = True, refusal
        elif changed:
            is_right, seen = False, f"exit code {done.code}, and {changed[0]} is another"
        else:
            is_named = done.has_refused and "dvc.lock" in done.last_line
            is_right = is_named or (done.code == 0 and stage != "predict")
            seen = done.last_line if done.code else "not read with these settings: same results"
        if not is_right:
            _read(project, stage)  # which writes the right results again
        yield is_right, f"{name} for {stage}", seen


def flip_in_workspace(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Flip a bit of an artifact; the stage that reads it refuses it."""
    with _workspace(project) as place:
        yield from _flip(place, rng, n)


def flip_in_cache(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Flip a bit in DVC's cache, from where `dvc checkout` brings it."""
    with _cache(project) as place:
        yield from _flip(place, rng, n)


def flip_in_folder_remote(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Flip a bit in a folder that is a remote, from where `dvc pull` brings it."""
    with _pulled_from(folder_remote, project) as place:
        yield from _flip(place, rng, n)


def flip_on_ssh(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Flip a bit in a remote behind SSH, from where `dvc pull` brings it."""
    with _pulled_from(ssh_remote, project) as place:
        yield from _flip(place, rng, n)


def _verify(place, rng, n):
    """Have `make verify` look; it names what differs, and before anything does, nothing."""
    done = run(place.project, ["fewlabel.verify"])
    yield done.code == 0, "nothing flipped", done.last_line or "nothing differs"
    names = sorted({name for name, _ in _readers(place)})
    for _ in range(n - 1):
        name = rng.choice(names)
        whole = (place.project.folder / name).read_bytes()
        with place.holding(name, flipped(whole, rng), is_brought=False):
            done = run(place.project, ["fewlabel.verify"])
        digest = hashlib.md5(whole).hexdigest()
        shown = done.output + done.error
        is_named = any(text in shown for text in (name, digest, f"{digest[:2]}/{digest[2:]}"))
        is_right = done.code == 1 and is_named and not done.has_traceback
        yield is_right, name, done.last_line or done.output.strip().replace("\n", "; ")


def verify_workspace_and_cache(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Flip bits in the workspace and in the cache."""
    for kind, share in ((_workspace, n // 2), (_cache, n - n // 2)):
        with kind(project) as place:
            yield from _verify(place, rng, share)


def verify_folder_remote(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Flip bits in a folder that is a remote."""
    with _pulled_from(folder_remote, project) as place:
        yield from _verify(place, rng, n)


def verify_ssh(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Flip bits in a remote behind SSH."""
    with _pulled_from(ssh_remote, project) as place:
        yield from _verify(place, rng, n)


class _Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self._path = path

    def __reduce__(self):
        return open, (str(self._path), "w")


# Another method reads it, and a training set without labels has no model to measure.
_MAY_NOT_READ = ("spread", "evaluate@random_subset")


def _poison(place, rng, n):
    pairs = _readers(place, lambda name: name.endswith(".joblib"))
    rng.shuffle(pairs)
    canary = place.project.folder / _CANARY
    poison = pickle.dumps(_Canary(canary))
    for i in range(n):
        name, stage = pairs[i % len(pairs)]
        with place.holding(name, poison) as refusal:
            done = _read(place.project, stage)
            run(place.project, ["fewlabel.verify"])
        has_run = canary.exists()
        canary.unlink(missing_ok=True)
        is_ignored = done.code == 0 and stage in _MAY_NOT_READ
        is_right = not has_run and bool(refusal or done.code or is_ignored)
        seen = "it ran" if has_run else refusal or done.last_line or "not read"
        yield is_right, f"{name} for {stage}", seen


def poison_workspace_and_cache(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Put pickles that run code into the workspace, and under the right hash into the cache."""
    for kind, share in ((_workspace, n // 2), (_cache, n - n // 2)):
        with kind(project) as place:
            yield from _poison(place, rng, share)


def poison_remote(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Put pickles that run code under the right hash into a remote, from where they are pulled."""
    with _pulled_from(folder_remote, project) as place:
        yield from _poison(place, rng, n)


_FAMILY = "Wrong bytes"
_REFUSED = (
    "is refused by whoever reads it, in one sentence that names dvc.lock, or it changes no result."
)
PROMISES = [
    Promise(_FAMILY, f"An artifact with a flipped bit {_REFUSED}", flip_in_workspace, 60, 3),
    Promise(
        _FAMILY,
        f"An artifact that `dvc checkout` took from a damaged cache {_REFUSED}",
        flip_in_cache,
        10,
        0,
    ),
    Promise(
        _FAMILY,
        f"An artifact that `dvc pull` took from a damaged folder {_REFUSED}",
        flip_in_folder_remote,
        10,
        0,
    ),
    Promise(
        _FAMILY,
        f"An artifact that `dvc pull` took from a damaged SSH server {_REFUSED}",
        flip_on_ssh,
        8,
        0,
        needs_network=True,
    ),
    Promise(
        _FAMILY,
        "`make verify` names what differs in workspace and cache.",
        verify_workspace_and_cache,
        16,
        4,
    ),
    Promise(_FAMILY, "`make verify` names what differs in a folder.", verify_folder_remote, 8, 0),
    Promise(
        _FAMILY,
        "`make verify` names what differs on an SSH server.",
        verify_ssh,
        6,
        2,
        needs_network=True,
    ),
    Promise(
        _FAMILY,
        "An artifact of the workspace or cache that runs code when loaded is refused unloaded.",
        poison_workspace_and_cache,
        20,
        2,
    ),
    Promise(
        _FAMILY,
        "The same of an artifact that was pulled, under the right hash.",
        poison_remote,
        10,
        0,
    ),
]
