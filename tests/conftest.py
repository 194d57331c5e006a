"""Temporary git repositories that hold the pipeline, set to the 1,797 images of digits."""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock
from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmarks.workspace import set_params
from fewlabel import engine
from fewlabel.storage import hash_of

# Timed limits belong in benchmarks: a busy machine is no error. Nor is bad luck: each run tries the
# same examples.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")

CHECKOUT = Path(__file__).parents[1]
# What people bring or make: tests pass whatever it is. The last two are pipelines of their own.
LEFT_OUT = ("dvc.lock", "params.yaml", ".dvc/config", "data", "metrics", "study")
NETWORKS = (
    "mlp",
    "wide_mlp",
    "small_cnn",
    "cnn",
    "cnn_mlp_ensemble.cnn",
    "cnn_mlp_ensemble.wide_mlp",
)
"""Settings of networks, as they follow `train.`."""
TINY_NETWORKS = {
    f"train.{network}.{key}": value
    for network in NETWORKS
    for key, value in (("epochs", 1), ("min_steps", 2))
}
EAGERLY = {"TENSORFLOW_EAGERLY": "1"}
"""Of an environment where the warm Python builds no graphs, which take longer than a few steps."""
ON_ONE_CORE = ("taskset", "--cpu-list", "0") if sys.platform == "linux" else ()
"""Words before a command; elsewhere no process can be kept on one core."""
STRANGERS = {
    "Haswell, 1 thread": ((), {"OPENBLAS_CORETYPE": "Haswell", "LC_ALL": "C", "TZ": "UTC"}, 1),
    "Zen, 4 threads, another user": (
        ("sh", "-c", 'umask 077 && exec "$@"', "sh"),
        {
            "OPENBLAS_CORETYPE": "Zen",
            "LC_ALL": "tr_TR.UTF-8",
            "TZ": "Pacific/Kiritimati",
            "USER": "stranger",
            "HOME": "/nowhere",
        },
        4,
    ),
    "SkylakeX on one core": (ON_ONE_CORE, {"OPENBLAS_CORETYPE": "SkylakeX"}, 2),
    "Prescott on one core": (
        ON_ONE_CORE,
        {"OPENBLAS_CORETYPE": "Prescott", "ONEDNN_MAX_CPU_ISA": "SSE41"},
        1,
    ),
}
"""Name -> words before a command, environment and threads that another machine asks for."""
BEFORE_TRAINING = (
    *("normalize", "embed", "select", "graph", "cluster", "label", "spread"),
    *("propagate", "evaluate_propagation"),
)
_RUN_STAGES = """
import runpy, sys
stages, sys.argv[1:] = sys.argv[1:], []
for stage in stages:
    runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
"""
NO_ANNOTATIONS = "image,sha256,label,labeled_at,labeled_by\n"


@dataclass(frozen=True)
class Project:
    """A git repository with the pipeline, and the environment to run commands there."""

    folder: Path
    environment: dict[str, str]

    def attempt(self, *command: str) -> subprocess.CompletedProcess:
        """Run a command, whether or not it succeeds; its output is text."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *command: str, fails: bool = False) -> subprocess.CompletedProcess:
        """Run a command, which must succeed, or fail where `fails`; its output is text."""
        done = self.attempt(*command)
        assert (done.returncode != 0) == fails, (
            f"{shlex.join(command)} exited with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def dvc(self, *arguments: str) -> str:
        """Run DVC; return its standard output."""
        return self.run("dvc", *arguments).stdout

    def repro(self, *targets: str) -> list[str]:
        """Reproduce; return the stages that were executed, in order."""
        return re.findall(r"^Running stage '(.+)':$", self.dvc("repro", *targets), re.MULTILINE)

    def commit(self, message: str) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def set(self, settings: dict) -> None:
        """Change leaves of params.yaml, named as in `train.model`, and keep its comments."""
        set_params(self.folder / "params.yaml", settings)

    def copy(self, folder: Path) -> "Project":
        """Copy it with its cache, which is cheap."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return replace(self, folder=folder)

    def run_before_training(self, stranger: str) -> None:
        """Run the stages from `normalize` to `evaluate_propagation` as on another machine."""
        words, asked, n_threads = STRANGERS[stranger]
        threads = {name: str(n_threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
        there = replace(self, environment=self.environment | asked | threads)
        there.run(*words, sys.executable, "-c", _RUN_STAGES, *BEFORE_TRAINING)

    def hashes(self, *names: str) -> dict[str, str]:
        """Path -> SHA-256 of each file that is, or is somewhere in, one of the names."""
        found = [
            path
            for name in names
            for path in (self.folder / name, *(self.folder / name).rglob("*"))
            if path.is_file()
        ]
        return {
            path.relative_to(self.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in found
        }


def copy_checkout(folder: Path) -> None:
    """Copy the code of this checkout, with the tests' settings, without what people have."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0")[:-1]:
        source, target = CHECKOUT / name, folder / name
        kept = re.fullmatch(r"data/\w+/\.gitignore", name)
        left_out = any(name == place or name.startswith(f"{place}/") for place in LEFT_OUT)
        if source.is_file() and (kept or not left_out):  # git also lists what was deleted
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    shutil.copy(CHECKOUT / "tests/params.yaml", folder)
    (folder / "data/annotations/labels.csv").write_text(NO_ANNOTATIONS)
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n")


@pytest.fixture(scope="session")
def vouch():
    """Return a function that writes a dvc.lock here that vouches for all data and models here."""

    def write_lock():
        files = [path for name in ("data", "models") for path in Path(name).rglob("*.*")]
        outs = [{"path": path.as_posix(), "md5": hash_of(path)} for path in files]
        Path("dvc.lock").write_text(json.dumps({"stages": {"all": {"outs": outs}}}))

    return write_lock


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Let nothing that a user kept decide a test, and no test fill a user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder, on threads, with a client that ends with the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(engine.ENGINE, raising=False)
    yield
    if engine._client.cache_info().currsize:
        client = engine._client()
        cluster = client.cluster
        client.close()
        if cluster:
            cluster.close()
        engine._client.cache_clear()


@pytest.fixture(scope="session")
def require_texts_apart() -> Callable[[Figure], None]:
    """Return a function that fails where texts lie on each other, on an image or outside."""

    def require(figure):
        figure.draw_without_rendering()
        texts = [text.get_window_extent() for text in figure.findobj(Text) if text.get_text()]
        boxes = texts + [axis.bbox for axis in figure.axes if axis.images]
        assert texts
        for i, box in enumerate(texts):
            assert box.x0 >= 0
            assert box.y0 >= 0
            assert box.x1 <= figure.bbox.x1
            assert box.y1 <= figure.bbox.y1
            assert box.count_overlaps(boxes[i + 1 :]) == 0

    return require


def save_tiny_network(path: Path, output: str = "pooled") -> None:
    """Write a .keras file of a network that gives pooled features, tokens or maps."""
    from fewlabel.keras_session import new_session

    keras, _ = new_session(0)
    layers = {
        "pooled": [keras.layers.GlobalAveragePooling2D()],
        "tokens": [keras.layers.Reshape((16, 6))],
        "maps": [],
    }
    network = [keras.Input((8, 8, 3)), keras.layers.Conv2D(6, 3, 2, "same", activation="relu")]
    path.parent.mkdir(parents=True, exist_ok=True)
    keras.Sequential([*network, *layers[output]]).save(path)


@pytest.fixture(scope="session")
def tiny_network(once) -> Path:
    """Return a folder that has data/networks/tiny.keras."""
    return once("network", lambda folder: save_tiny_network(folder / "data/networks/tiny.keras"))


@pytest.fixture
def eager():
    """Run TensorFlow without graphs: building one takes longer than these few steps."""
    from fewlabel.keras_session import import_keras

    import_keras()
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def sigterm_as_before():
    """Undo what a command that runs in this process does to the signal."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def private_environment(home: Path) -> dict[str, str]:
    """Return an environment in which git and DVC know nothing of this machine's user."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC", "FEWLABEL_", "GIT_", "PYTEST", "XDG_"))
    }
    identity = {
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", "Test"), ("EMAIL", "test@example.org"))
    }
    return kept | identity | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "DVC_GLOBAL_CONFIG_DIR": str(home / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "system"),
        "DVC_SITE_CACHE_DIR": str(home / "site"),
    }  # fmt: skip


@pytest.fixture(scope="session")
def environment(tmp_path_factory) -> dict[str, str]:
    """Return an environment for git and DVC."""
    return private_environment(tmp_path_factory.mktemp("home"))


def warm_commands(folder: Path, pid: int) -> None:
    """Write `python` and `dvc` that are forked from a process that is warm, and start that.

    Parameters
    ----------
    folder
        Where they go.
    pid
        Of the process with whose end the warm one ends.
    """
    if sys.platform != "linux":  # elsewhere, libraries do not bear a fork
        return
    server = [sys.executable, str(CHECKOUT / "tests" / "warm_python.py"), str(folder / "socket")]
    client = shlex.join([server[0], "-IS", *server[1:]])
    scripts = {
        "python": f'case $1 in -m|-c) exec {client} "$@";; *) exec {server[0]} "$@";; esac',
        "dvc": f'exec {client} -m dvc "$@"',
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    process = subprocess.Popen([*server, str(pid)], start_new_session=True)
    while not (folder / "socket").exists():
        assert process.poll() is None, "the server ended"
        time.sleep(0.1)


def with_commands(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Return the same environment, but with the commands of a folder before others."""
    return environment | {"PATH": os.pathsep.join([str(folder), environment["PATH"]])}


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a function that has a folder made once for all processes of the tests."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def folder_made_once(name, make):
        folder, made = root / name, root / f"{name}.made"
        with FileLock(root / f"{name}.lock"):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return folder_made_once


@pytest.fixture(scope="session")
def commands(once) -> Path:
    """Return the folder of `warm_commands`."""
    pid = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    return once("commands", lambda folder: warm_commands(folder, pid))


@pytest.fixture(scope="session")
def warm_environment(environment, commands) -> dict[str, str]:
    """Return an environment for git and DVC in which Python starts fast."""
    return with_commands(environment, commands)


@pytest.fixture(scope="session")
def unreproduced(environment, once) -> Project:
    """Commit a repository in which nothing has run; tests must not change it."""

    def make(folder):
        project = Project(folder / "project", environment)
        copy_checkout(project.folder)
        project.run("git", "init", "--quiet", "--initial-branch", "main")
        project.commit("Add the pipeline")

    return Project(once("unreproduced", make) / "project", environment)


@pytest.fixture(scope="session")
def committed(environment, once) -> Project:
    """Clone the last commit: who runs the pipeline here has other metrics than its documents."""
    clone = ["git", "clone", "--quiet", str(CHECKOUT)]
    folder = once("committed", lambda folder: subprocess.run([*clone, folder], check=True))
    return Project(folder, environment)


@pytest.fixture(scope="session")
def reproduced(unreproduced, warm_environment, once) -> Project:
    """Reproduce and commit a repository; tests must not change it, nor run DVC there."""

    def make(folder):
        project = unreproduced.copy(folder / "project")
        project = replace(project, environment=warm_environment)
        project.repro()
        project.commit("Reproduce")

    return Project(once("reproduced", make) / "project", warm_environment)


@pytest.fixture(scope="session")
def halved(reproduced, once) -> Project:
    """Reproduce with other pseudo-labels; .git/ran.json says which stages ran."""

    def make(folder):
        project = reproduced.copy(folder / "project")
        project.set({"propagate.percentile": 50})
        ran = json.dumps(project.repro())
        (project.folder / ".git/ran.json").write_text(ran, encoding="utf-8")

    return Project(once("halved", make) / "project", reproduced.environment)


@pytest.fixture
def project(reproduced, tmp_path) -> Project:
    """Return a private copy of the reproduced repository."""
    return reproduced.copy(tmp_path / "project")
