"""Attack every promise, and write what came of it: `make trust` or `python -m trust`."""

import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from trust.attacks import PROMISES, attack
from trust.projects import photo_project
from trust.report import is_kept, save

_AT_ONCE = 2


def main() -> int:
    """Attack all promises; return how many were broken."""
    spawning = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(_AT_ONCE, mp_context=spawning) as pool,
    ):
        project = photo_project(Path(folder) / "project", Path(folder) / "home")
        print(f"{len(PROMISES)} promises to attack, {_AT_ONCE} at once", flush=True)
        # Kills last longest.
        attacks = [pool.submit(attack, project, i) for i in reversed(range(len(PROMISES)))]
        results = []
        for done in as_completed(attacks):
            result = done.result()
            print(f"{result['passed']} of {result['tries']}: {result['promise']}", flush=True)
            results.append(result)
            # After each, so that a run that is stopped has shown something.
            save(results, [promise.text for promise in PROMISES])
    return sum(not is_kept(result) for result in results)


if __name__ == "__main__":
    if n_broken := main():
        sys.exit(f"error: {n_broken} of {len(PROMISES)} promises were broken; see docs/trust.md")
