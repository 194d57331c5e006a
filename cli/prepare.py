"""What `make` does before it calls DVC: mend what a killed DVC left, and have remotes verified."""

import json
import time
from pathlib import Path

from fewlabel.errors import fail_in_one_line

RWLOCK = Path(".dvc/tmp/rwlock")
CONFIGS = {"repo": Path(".dvc/config"), "local": Path(".dvc/config.local")}


def main() -> None:
    """Remove a lock file of DVC that was cut off, and have DVC verify what remotes give."""
    if _is_cut_off(RWLOCK):
        time.sleep(1)  # a DVC that runs may be just writing it
        if _is_cut_off(RWLOCK):
            RWLOCK.unlink(missing_ok=True)
            print(f"{RWLOCK} was left cut off by a DVC that was killed: removed")
    for level, path in CONFIGS.items():
        if path.exists() and "remote" in path.read_text(encoding="utf-8"):
            _verify_remotes(level)


def _is_cut_off(path):
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def _verify_remotes(level):
    from dvc.config import Config  # takes half a second

    config = Config(".dvc")
    unverified = [
        name
        for name, remote in config.read(level)["remote"].items()
        if "verify" not in remote and "verify" not in config.read()["remote"][name]
    ]
    if unverified:
        with config.edit(level) as edited:
            for name in unverified:
                edited["remote"][name]["verify"] = True
        print(f"{CONFIGS[level]}: DVC now verifies what remote {', '.join(unverified)} gives")


if __name__ == "__main__":
    with fail_in_one_line():
        main()
