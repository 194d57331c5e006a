"""Attack every promise, and write what came of it: `make trust`, or `python -m trust ATTACK...`."""

import multiprocessing
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from fewlabel.storage import load_json
from tests.conftest import warm_commands
from trust.attacks import PROMISES, attack
from trust.projects import photo_project
from trust.report import RESULTS, is_kept, save

_AT_ONCE = 2


def main(names: list[str]) -> int:
    """Attack all promises, or those of named attacks again; return how many were broken."""
    earlier = [result for result in load_json(RESULTS) if names and result["attack"] not in names]
    chosen = [i for i, promise in enumerate(PROMISES) if not names or promise.name in names]
    spawning = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(_AT_ONCE, mp_context=spawning) as pool,
    ):
        project, home, commands = (Path(folder, name) for name in ("project", "home", "commands"))
        commands.mkdir()
        warm_commands(commands, os.getpid())
        project = photo_project(project, home, commands)
        print(f"{len(chosen)} promises to attack, {_AT_ONCE} at once", flush=True)
        # Kills last longest.
        attacks = [pool.submit(attack, project, i) for i in reversed(chosen)]
        results = earlier
        for done in as_completed(attacks):
            result = done.result()
            print(f"{result['passed']} of {result['tries']}: {result['promise']}", flush=True)
            results.append(result)
            # After each, so that a run that is stopped has shown something.
            save(results, [promise.text for promise in PROMISES])
    return sum(not is_kept(result) for result in results)


if __name__ == "__main__":
    if n_broken := main(sys.argv[1:]):
        sys.exit(f"error: {n_broken} of {len(PROMISES)} promises were broken; see docs/trust.md")
