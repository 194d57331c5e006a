"""A private clone of this checkout to run the pipeline in."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ruamel.yaml import YAML

from fewlabel.storage import hash_of

ROOT = Path(__file__).resolve().parents[1]

_MEASURED_PYTHON = """#!{python}
import json, os, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call([{python!r}, *sys.argv[1:]])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
bytes_per_unit = 1 if sys.platform == "darwin" else 1024
record = {{
    "stage": " ".join(sys.argv[2:4]).removeprefix("stages."),
    "seconds": time.perf_counter() - start,
    "peak_memory_mb": usage.ru_maxrss * bytes_per_unit / 1e6,
}}
with open({log!r}, "a") as log:
    log.write(json.dumps(record) + "\\n")
sys.exit(code)
"""


def set_params(path: Path, settings: dict) -> None:
    """Change leaves of a params file, named as in `train.model`, and keep its comments.

    Raises
    ------
    KeyError
        If the file has no such leaf.
    """
    yaml = YAML()
    params = yaml.load(path)
    for key, value in settings.items():
        *sections, leaf = key.split(".")
        section = params
        for name in sections:
            section = section[name]
        if leaf not in section:
            raise KeyError(f"{path.name} has no {key}")
        section[leaf] = value
    yaml.dump(params, path)


def record_outputs(folder: Path) -> None:
    """Write into dvc.lock what the outputs are that are there, so that the next stage reads them.

    DVC does so after each stage; this is for stages that are run by hand.
    """
    yaml = YAML(typ="safe")  # five times as fast as what would keep comments
    yaml.default_flow_style = False
    path = folder / "dvc.lock"
    lock = yaml.load(path)
    for stage in lock["stages"].values():
        for out in stage.get("outs", []):
            if (folder / out["path"]).exists():
                out["md5"] = hash_of(folder / out["path"])
    yaml.dump(lock, path)


class Workspace:
    """A git repository in which stages report their time and peak memory."""

    def __init__(self, scratch: Path):
        self.folder = scratch / "repository"
        self._log = scratch / "stages.jsonl"
        shim = scratch / "bin" / "python"
        shim.parent.mkdir()
        shim.write_text(_MEASURED_PYTHON.format(python=sys.executable, log=str(self._log)))
        shim.chmod(0o755)
        path = [str(shim.parent), str(Path(sys.executable).parent), os.environ["PATH"]]
        self.environment = os.environ | {"PATH": os.pathsep.join(path), "DVC_NO_ANALYTICS": "1"}

    def set_params(self, settings: dict) -> None:
        """Change settings of the clone."""
        set_params(self.folder / "params.yaml", settings)

    def run(self, *command: str) -> float:
        """Run a command in the clone; return the seconds it took."""
        start = time.perf_counter()
        subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - start

    def dvc(self, *arguments: str) -> float:
        """Run dvc in the clone; return the seconds it took."""
        return self.run("dvc", *arguments)

    def n_stages(self, target: str) -> int:
        """Return the number of stages of a dvc.yaml."""
        listed = subprocess.run(
            ["dvc", "stage", "list", "--name-only", target],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return len(listed.stdout.splitlines())

    def take_stages(self) -> list[dict]:
        """Return records of the stages that ran since the last call, in their order."""
        if not self._log.exists():
            return []
        records = [json.loads(line) for line in self._log.read_text().splitlines()]
        self._log.unlink()
        return records

    def metrics(self) -> dict[str, dict]:
        """Return name -> content of each metrics file."""
        files = sorted(self.folder.glob("metrics/*.json"))
        return {file.stem: json.loads(file.read_text()) for file in files}


@contextmanager
def workspace() -> Iterator[Workspace]:
    """Clone this checkout's last commit into a temporary folder, without its cache."""
    with TemporaryDirectory() as scratch:
        work = Workspace(Path(scratch))
        subprocess.run(["git", "clone", "--quiet", ROOT, work.folder], check=True)
        # By its record, metrics that git has would be up to date, and not be made.
        (work.folder / "dvc.lock").unlink()
        yield work


@contextmanager
def trivial_pipeline(n_stages: int, n_beside: int) -> Iterator[Workspace]:
    """Make chains of stages that each write a word, and run them: what DVC itself costs.

    Parameters
    ----------
    n_stages
        Of dvc.yaml.
    n_beside
        Of study/dvc.yaml, which DVC loads, too, whatever it is asked to do.
    """
    with TemporaryDirectory() as scratch:
        work = Workspace(Path(scratch))
        subprocess.run(["git", "init", "--quiet", work.folder], check=True)
        work.dvc("init", "--quiet")
        for folder, n in ((work.folder, n_stages), (work.folder / "study", n_beside)):
            stages = {
                f"stage{i}": {
                    "cmd": f"echo {i} > {i}.txt",
                    "deps": [f"{i - 1}.txt"] if i else [],
                    "outs": [f"{i}.txt"],
                }
                for i in range(n)
            }
            folder.mkdir(exist_ok=True)
            path = folder / "dvc.yaml"
            path.write_text(json.dumps({"stages": stages}))
            work.dvc("repro", "--quiet", str(path))
        yield work
