"""The pipeline on a scheduler and two workers of Dask, each a process of its own.

`make cluster-demo` runs it on Fashion-MNIST in a clone, and compares what it wrote with dvc.lock.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.workspace import ROOT, workspace
from fewlabel.engine import ENGINE
from fewlabel.storage import locked_hashes

TARGET = "dvc.yaml:evaluate_propagation"


@contextmanager
def cluster(folder: Path, n_workers: int) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """Start a scheduler and workers in a checkout; yield its address, and their processes."""

    def start(*words: str, stderr: int = subprocess.DEVNULL) -> subprocess.Popen:
        command = [sys.executable, "-m", *words]
        return subprocess.Popen(command, cwd=folder, stderr=stderr, text=True)

    options = ["--port", "0", "--dashboard-address", ":0"]
    scheduler = start("distributed.cli.dask_scheduler", *options, stderr=subprocess.PIPE)
    processes = [scheduler]
    try:
        lines = scheduler.stderr or ()
        address = next(line.split()[-1] for line in lines if "Scheduler at:" in line)
        processes += [start("fewlabel.worker", address) for _ in range(n_workers)]
        yield address, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    """Run the pipeline up to the propagated labels, and print what it took."""
    expected = locked_hashes(ROOT / "dvc.lock")
    with workspace() as work, cluster(work.folder, 2) as (address, _):
        work.environment[ENGINE] = address
        print(f"scheduler: {address}; workers: 2", flush=True)
        seconds = work.dvc("repro", TARGET)
        found = locked_hashes(work.folder / "dvc.lock")
        for record in work.take_stages():
            print(f"{record['stage']}: {record['seconds']:.1f} s")
    other = [path for path, md5 in found.items() if md5 != expected.get(path)]
    print(f"{len(found)} outputs in {seconds:.0f} s; other than in dvc.lock: {other or 'none'}")


if __name__ == "__main__":
    main()
