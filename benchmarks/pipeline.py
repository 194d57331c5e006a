"""Time the pipeline through the real `dvc` command: `make bench`.

Prints a table of whole runs and one of stages, and writes both to benchmarks/pipeline.json.
"""

import os
import platform
from statistics import median

import pandas as pd

from benchmarks.workspace import ROOT, trivial_pipeline, workspace
from fewlabel.storage import save_json

MACHINE = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
CHANGES = {
    "one param: percentile": {"propagate.percentile": 50},
    "one param: model": {"train.model": "logistic_regression"},
    "one param: budget": {"label_budget": 2000},
}


def main() -> None:
    """Measure a cold run, an unchanged one, three changes and a return to cached results."""
    with workspace() as work:
        original = (work.folder / "params.yaml").read_text()
        runs = [_run(work, "cold")]
        stages = work.take_stages()
        runs.append(_run(work, "nothing to do", times=7))
        n_stages = len(stages)
        n_beside = work.n_stages("study/dvc.yaml")
        for name, settings in CHANGES.items():
            work.set_params(settings)
            runs.append(_run(work, name))
            stages += [
                {**record, "stage": f"{record['stage']} ({name.removeprefix('one param: ')})"}
                for record in work.take_stages()
            ]
            (work.folder / "params.yaml").write_text(original)
            restored = _run(work, "run-cache hit: back to the first settings")
        runs.append(restored)
    with trivial_pipeline(n_stages, n_beside) as trivial:
        name = f"{n_stages} trivial stages, {n_beside} beside them, nothing to do"
        runs.append(_run(trivial, name, times=7))
    report = {"machine": MACHINE, "runs": runs, "stages": stages}
    save_json(ROOT / "benchmarks" / "pipeline.json", report)
    print(MACHINE)
    for rows in (runs, stages):
        print(f"\n{pd.DataFrame(rows).round(1).to_string(index=False)}")


def _run(work, name: str, times: int = 1) -> dict:
    print(f"{name} ...", flush=True)
    return {"run": name, "seconds": median(work.dvc("repro") for _ in range(times))}


if __name__ == "__main__":
    main()
