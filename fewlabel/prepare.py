"""What `make` does before it calls DVC: check what DVC would hang on, and mend what it left."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fewlabel.errors import FewlabelError
from fewlabel.methods import chosen
from fewlabel.settings import Params, run_stage
from fewlabel.storage import write

RWLOCK = Path(".dvc/tmp/rwlock")
LOCKS = [Path(folder, "dvc.lock") for folder in (".", "study")]
CONFIGS = {"repo": Path(".dvc/config"), "local": Path(".dvc/config.local")}
"""DVC's name of each level -> its file."""


def main(params: Params) -> None:
    """Mend the files of DVC that were cut off, and have DVC verify what remotes give."""
    if folder := chosen("datasets", params.dataset).own_files:
        _refuse_endless_files(folder)
    if _stays(_is_cut_off, RWLOCK):
        RWLOCK.unlink(missing_ok=True)
        print(f"{RWLOCK} was left cut off by a DVC that was killed: removed")
    for path in LOCKS:
        if _stays(_is_no_lock, path):
            _take_from_git(path)
    for level, path in CONFIGS.items():
        if path.exists() and "remote" in path.read_text(encoding="utf-8"):
            _verify_remotes(level)


def _refuse_endless_files(folder: Path) -> None:
    names = (Path(place, name) for place, _, files in os.walk(folder) for name in files)
    endless = [str(name) for name in names if name.exists() and not name.is_file()]
    if endless:
        raise FewlabelError(
            f"{endless[0]} is a pipe or a device (one of {len(endless)} in {folder}), and DVC "
            "would read it without end; delete it"
        )


def _stays(is_wrong: Callable[[Path], bool], path: Path) -> bool:
    """Return whether a file is there and wrong, and no DVC that runs is just writing it."""
    with suppress(FileNotFoundError):
        if is_wrong(path):
            time.sleep(1)
            return is_wrong(path)
    return False


def _is_cut_off(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return True
    return False


def _is_no_lock(path: Path) -> bool:
    """Return whether DVC cannot read it, and not for a conflict, which is for people to settle."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if re.search("^(<<<<<<<|>>>>>>>) ", text, re.MULTILINE):
        return False
    # Takes a third of a second.
    from dvc.exceptions import DvcException
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils import strictyaml

    try:
        strictyaml.load(str(path), COMPILED_LOCKFILE_SCHEMA)
    except DvcException:
        return True
    return False


def _take_from_git(lock: Path) -> None:
    """Bring back the committed one; DVC's run cache has what was finished since."""
    show = subprocess.run(["git", "show", f"HEAD:./{lock}"], capture_output=True, check=False)
    if show.returncode:
        lock.unlink()
        how = "removed"
    else:
        write(lock, lambda temporary: temporary.write_bytes(show.stdout))
        how = "it is as in the last commit again"
    left = f"{lock} was left cut off by a DVC that was interrupted"
    print(f"{left}: {how}; what ran since is in DVC's run cache")


def _verify_remotes(level: str) -> None:
    from dvc.config import Config  # takes half a second

    config = Config(".dvc")
    merged = config.read()["remote"]
    unverified = [name for name in config.read(level)["remote"] if "verify" not in merged[name]]
    if unverified:
        with config.edit(level) as edited:
            for name in unverified:
                edited["remote"][name]["verify"] = True
        print(f"{CONFIGS[level]}: DVC now verifies what remote {', '.join(unverified)} gives")


if __name__ == "__main__":
    run_stage(main)
