"""Prove that recorded results stand after a refactoring: `make stands STAGE="spread propagate"`.

Such a change of code makes DVC run a stage again, for hours, to get the bytes that are there. Here
the old and the new code run on small inputs instead, with every method that the stage chooses from.
If all outputs are the same bytes, dvc.lock gets the new code beside the old results, and stands.csv
a line that says so. tests/test_stands.py refuses a dvc.lock that has such a change and no line.
It cannot see whether a stage ran again and gave the same bytes; that needs the line, too, which
`make stands WHOLE=1` writes: it runs the stages themselves in place of small inputs.
Where a stage is run for several training sets, one is compared: all run the same code.
"""

import copy
import csv
import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from benchmarks.workspace import ROOT, Workspace, workspace
from fewlabel.errors import FewlabelError, exit_on_error
from fewlabel.methods import names
from fewlabel.settings import ParamsError, read_params
from fewlabel.storage import hash_of, load_json, save_array, save_table

LOG = ROOT / "stands.csv"
COLUMNS = ("stage", "old_code", "new_code", "variants", "date")
N_IMAGES = 2000
MAX_LABELS = 100
RAW = Path("data/raw")
PACKAGES = ("fewlabel", "stages")
DOWNLOAD = "download"
LABEL_SOURCE = "label.source"
WHOLE = "--whole"
# One of its modules is the stage's method: the folder that is its kind, and the setting.
_METHOD = re.compile(r"fewlabel/(\w+)/\$\{([\w.]+)\}\.py")


def main(*arguments: str) -> None:
    """Prove stages one after the other, by default all whose code is not what dvc.lock has.

    Parameters
    ----------
    *arguments
        Names of stages; `--whole` among them runs the stages here, on all that they read.

    Raises
    ------
    FewlabelError
        If an output differs, or if there is nothing that could be compared; the stage that it
        names is not recorded, those before it are.
    """
    stages = [argument for argument in arguments if argument != WHOLE]
    recorded = {group_of(name) for name in _lock_here()}
    known = [stage for stage in _definitions() if stage in recorded]
    if unknown := set(stages) - set(known):
        raise FewlabelError(
            f"{', '.join(sorted(unknown))} is no stage in dvc.lock; STAGE may name "
            f"{', '.join(known)}"
        )
    todo = [s for s in known if s in stages or (not stages and _is_refactored(s))]
    if not todo:
        print("the code of every stage is what dvc.lock has")
    if WHOLE in arguments:
        for stage in known[: 1 + max(map(known.index, todo), default=-1)]:
            if stage in todo:
                _run_whole(stage)
            else:
                _repro(stage)  # a checkout may lack what it wrote
        return
    with ExitStack() as clones:
        clone_of = cache(lambda commit: _clone(commit, clones))
        for stage in todo:
            n_variants = _prove(stage, clone_of)
            print(f"{stage} stands: {n_variants} compared, the same bytes", flush=True)


def _run_whole(stage):
    before = _entry(lock_at("HEAD"), stage)
    _repro("--force", stage)
    if results_of(before) == results_of(_entry(_lock_here(), stage)):
        _log(stage, before, "whole run")
        print(f"{stage} stands: the same bytes", flush=True)
    else:
        print(f"{stage} has other results now, which need no proof", flush=True)


def _repro(*arguments):
    run = ["dvc", "repro", "--single-item", *arguments]
    if subprocess.run(run, cwd=ROOT, check=False).returncode:
        raise FewlabelError(f"`{shlex.join(run)}` failed, as it says above; nothing is recorded")


def _prove(stage, clone_of):
    before = _recorded(stage)
    commit = commit_with(code_of(before))
    if commit is None:
        raise FewlabelError(
            f"no commit has the code that dvc.lock has for {stage}; run it again by `dvc repro`"
        )
    _refuse_other_changes(stage)
    compared = _modules_here()
    n_variants = _compare(stage, commit, clone_of(commit))
    _refuse_other_changes(stage)
    if _modules_here() != compared:
        raise FewlabelError(
            f"the code here changed while {stage} was compared, so nothing is recorded; run "
            "`make stands` again"
        )
    _output("dvc", "commit", "--quiet", "--force", stage)
    _log(stage, before, n_variants)
    return n_variants


def group_of(name: str) -> str:
    """Return the name of a stage in dvc.yaml, which may be that of several: `train@propagated`."""
    return name.split("@")[0]


def code_of(entry: dict) -> dict[str, str]:
    """Return path -> MD5 of the modules that a stage's entry in dvc.lock depends on."""
    return {dep["path"]: dep["md5"] for dep in entry["deps"] if dep["path"].endswith(".py")}


def results_of(entry: dict) -> dict:
    """Return what a stage's entry in dvc.lock has beside code: data, settings and outputs."""
    data = {dep["path"]: dep["md5"] for dep in entry["deps"] if not dep["path"].endswith(".py")}
    outs = {out["path"]: out["md5"] for out in entry["outs"]}
    return {"data": data, "outs": outs, "params": entry.get("params")}


def code_hash(entry: dict) -> str:
    """MD5 of the sorted paths and MD5s of a stage's modules."""
    lines = "\n".join(sorted(f"{path} {md5}" for path, md5 in code_of(entry).items()))
    return hashlib.md5(lines.encode(), usedforsecurity=False).hexdigest()


def unproven(old: dict, new: dict, log: list[dict]) -> set[str]:
    """Return the stages with other code and the same results, of which the log has no line.

    Parameters
    ----------
    old, new
        Name of a stage -> its entry, of two versions of dvc.lock.
    log
        Lines of stands.csv.
    """
    proven = {(line["stage"], line["old_code"], line["new_code"]) for line in log}
    return {
        group_of(name)
        for name in old.keys() & new.keys()
        if code_of(old[name]) != code_of(new[name])
        and results_of(old[name]) == results_of(new[name])
        and (group_of(name), code_hash(old[name]), code_hash(new[name])) not in proven
    }


def lock_at(revision: str) -> dict:
    """Return name of a stage -> its entry in the dvc.lock of a commit; empty if it has none."""
    text = file_at(revision, "dvc.lock")
    return YAML(typ="safe").load(text)["stages"] if text else {}


def file_at(revision: str, path: str) -> str:
    """Return the text of a file of a commit; empty if the commit, or the file, does not exist."""
    show = ["git", "show", f"{revision}:{path}"]
    return subprocess.run(show, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def last_change() -> str:
    """Return the last commit that changed dvc.lock; empty if none did."""
    return _output("git", "log", "-1", "--format=%H", "--", "dvc.lock").strip()


def commit_with(code: dict[str, str]) -> str | None:
    """Return the newest commit whose files have these MD5s, if there is one."""
    for commit in _output("git", "log", "--format=%H").split():
        lines = _output("git", "ls-tree", "-r", commit, "--", *code).splitlines()
        blobs = {line.split("\t")[1]: line.split()[2] for line in lines}
        if blobs.keys() == code.keys() and all(
            _md5_of_blob(blob) == code[path] for path, blob in blobs.items()
        ):
            return commit
    return None


@cache
def _md5_of_blob(blob):
    content = subprocess.run(
        ["git", "cat-file", "blob", blob], cwd=ROOT, capture_output=True, check=True
    ).stdout
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _output(*command):
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise FewlabelError(f"`{shlex.join(command)}` failed, as it says above")
    return done.stdout


def _definitions():
    return YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


def _lock_here():
    return YAML(typ="safe").load(ROOT / "dvc.lock")["stages"]


def _entry(lock, stage):
    """Return the stage's entry, the first of several: they have the same code."""
    return next((lock[name] for name in sorted(lock) if group_of(name) == stage), None)


def _is_refactored(stage):
    """Whether its code is not what the last commit's dvc.lock has, and it did not run again."""
    committed, here = (_entry(lock, stage) for lock in (lock_at("HEAD"), _lock_here()))
    return committed and not _is_here(committed) and results_of(committed) == results_of(here)


def _is_here(entry):
    files = {path: ROOT / path for path in code_of(entry)}
    here = {path: hash_of(file) for path, file in files.items() if file.exists()}
    return here == code_of(entry)


def _modules_here():
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return {file: hash_of(file) for file in files}


def _recorded(stage):
    """Return the stage's newest committed entry with other code than there is here.

    The code may have been recorded already, by this or by a stage that ran again. Then the entry is
    of the dvc.lock before, which the test compares with.
    """
    for revision in ("HEAD", f"{last_change()}^"):
        entry = _entry(lock_at(revision), stage)
        if entry and not _is_here(entry):
            break
    else:
        raise FewlabelError(f"the code of {stage} is what dvc.lock has: nothing is to prove")
    if results_of(entry) != results_of(_entry(_lock_here(), stage)):
        raise FewlabelError(
            f"{stage} ran again since its code changed, with other data, settings or outputs in "
            "dvc.lock: it needs no proof"
        )
    return entry


def _refuse_other_changes(stage):
    """Refuse to record what lies here, unless it is what dvc.lock has, but for code."""
    status = json.loads(_output("dvc", "status", "--json", stage))
    for change in (change for changes in status.values() for change in changes):
        if change == "changed command":  # it is code, too, and what runs below
            continue
        for kind, files in change.items():
            for name, problem in files.items():
                if kind != "changed deps" or not name.endswith(".py"):
                    raise FewlabelError(
                        f"{name} is not what dvc.lock has for {stage} ({problem}); run "
                        f"`dvc checkout` or `dvc pull`, or run {stage} again by `dvc repro`"
                    )


def _clone(commit, clones):
    work = clones.enter_context(workspace())
    work.run("git", "checkout", "--quiet", "--force", commit)
    (work.folder / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(work.folder / "study", ignore_errors=True)
    return work


def _compare(stage, commit, old):
    """Return how many variants gave the same bytes, which all of them must."""
    definition = _definitions()[stage]
    definition = definition.get("do", definition)
    name = next(name for name in sorted(_lock_here()) if group_of(name) == stage)
    n_variants = 0
    for case in _cases(old, commit, stage):
        for variant in variants(definition, old.folder):
            label = ", ".join([case, *(f"{key} = {value}" for key, value in variant.items())])
            print(f"{stage}: {label} ...", flush=True)
            old.set_params(variant)
            _run(old, "repro", "--quiet", f"dvc.yaml:{name}", code=f"the code of {commit[:7]}")
            for file in _differences(old, name):
                raise FewlabelError(
                    f"{file} of {stage} is not what the code of {commit[:7]} wrote ({label}); "
                    f"nothing is recorded for {stage}: mend it, or run it again by `dvc repro`"
                )
            n_variants += 1
    return n_variants


def variants(definition: dict, folder: Path) -> list[dict[str, str]]:
    """Return the settings to compare a stage with: each combination of methods that it chooses.

    Data sets are not varied: most need a network.

    Parameters
    ----------
    definition
        Of the stage, in dvc.yaml.
    folder
        With the old code, which may have fewer methods.
    """
    choices = {}
    for dep in definition["deps"]:
        if (match := _METHOD.fullmatch(dep)) and match[1] != "datasets":
            kind, key = match.groups()
            choices[key] = [
                name for name in names(kind) if (folder / f"fewlabel/{kind}/{name}.py").exists()
            ]
    if LABEL_SOURCE in definition.get("params", []):
        choices[LABEL_SOURCE] = ["oracle", "human"]
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def _cases(old: Workspace, commit: str, stage: str) -> Iterator[str]:
    """Set the clone to digits, then to real images, if there are any; yield what they are."""
    settings = old.folder / "params.yaml"
    shutil.copy(old.folder / "tests/params.yaml", settings)
    _shorten(settings, commit, stage)
    _run(old, "repro", "--quiet", f"dvc.yaml:{DOWNLOAD}", code=f"the code of {commit[:7]}")
    _annotate(old.folder)
    yield "digits"

    if reason := _no_real_images():
        print(f"{stage}: real images are skipped, since {reason}", flush=True)
        return
    old.run("git", "checkout", "--quiet", "--force", commit, "--", "params.yaml")
    _shorten(settings, commit, stage)
    params = read_params(settings)
    old.set_params({"label_budget": min(params.label_budget, MAX_LABELS)})
    if stage != DOWNLOAD:  # which is compared with all of them
        _copy_real_images(old.folder)
        _run(old, "commit", "--quiet", "--force", DOWNLOAD, code="DVC")
        _annotate(old.folder)
    yield f"{N_IMAGES} images of {params.dataset.name}"


def _shorten(settings, commit, stage):
    """Train networks for a few steps only, and check that both codes have the same settings."""
    text = settings.read_text(encoding="utf-8")
    for key, value in {"epochs": 1, "min_steps": 3}.items():
        text = re.sub(rf"^( +{key}:) \d+$", rf"\1 {value}", text, flags=re.MULTILINE)
    settings.write_text(text, encoding="utf-8")
    try:
        read_params(settings)
    except ParamsError as error:
        raise FewlabelError(
            f"the code here refuses the settings of {commit[:7]} ({error}), so that {stage} "
            "cannot be compared; run it again by `dvc repro`"
        ) from error


def _no_real_images():
    if not (ROOT / RAW / "train_labels.npy").exists():
        return f"{RAW} is not here"
    labels = np.load(ROOT / RAW / "train_labels.npy", mmap_mode="r")
    if len(labels) <= N_IMAGES:
        return f"{RAW} has no more than {N_IMAGES}"
    return f"{RAW} does not have their labels" if labels[:N_IMAGES].min() < 0 else None


def _copy_real_images(folder):
    import pandas as pd

    for path in (ROOT / RAW).iterdir():
        target = folder / RAW / path.name
        if path.suffix == ".npy":
            save_array(target, np.load(path, mmap_mode="r")[:N_IMAGES])
        elif path.name == "train_files.csv":
            save_table(target, pd.read_csv(path, nrows=N_IMAGES, dtype=str))
        else:
            shutil.copy(path, target)


def _annotate(folder):
    """Answer for all images, as a person does: whichever will be the representatives."""
    import pandas as pd

    files = pd.read_csv(folder / RAW / "train_files.csv", dtype=str)
    class_names = np.array(load_json(folder / RAW / "class_names.json"))
    labels = class_names[np.load(folder / RAW / "train_labels.npy")]
    columns = files.assign(label=labels, labeled_at="", labeled_by="")
    save_table(folder / "data/annotations/labels.csv", columns)


def _differences(old, name):
    """Run the stage with the code here on the same inputs; return the files that differ."""
    new = copy.copy(old)
    new.folder = old.folder.with_name("new")
    shutil.rmtree(new.folder, ignore_errors=True)
    shutil.copytree(old.folder, new.folder, symlinks=True, ignore=_without_cache)
    for package in PACKAGES:
        shutil.rmtree(new.folder / package)
        shutil.copytree(
            ROOT / package, new.folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "dvc.yaml", new.folder)
    options = ("--quiet", "--force", "--single-item")
    _run(new, "repro", *options, f"dvc.yaml:{name}", code="the code here")
    before, after = (_digests(work.folder, name) for work in (old, new))
    return sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )


def _without_cache(folder, _):
    return ("cache", "tmp") if Path(folder).name == ".dvc" else ()


def _digests(folder, name):
    """Return path -> MD5 of each file that is, or is in, an output of the stage."""
    outs = YAML(typ="safe").load(folder / "dvc.lock")["stages"][name]["outs"]
    paths = [folder / out["path"] for out in outs]
    files = [file for path in paths for file in (path, *path.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): hash_of(file) for file in files}


def _run(work, *arguments, code):
    try:
        work.dvc(*arguments)
    except subprocess.CalledProcessError as error:
        raise FewlabelError(
            f"`dvc {' '.join(arguments)}` failed with {code}, as it says above; mend what is new, "
            "or run the stage again by `dvc repro`"
        ) from error


def _log(stage, before, variants):
    after = _entry(_lock_here(), stage)
    date = datetime.now(UTC).date().isoformat()
    is_new = not LOG.exists()
    with LOG.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(COLUMNS)
        writer.writerow([stage, code_hash(before), code_hash(after), variants, date])


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
