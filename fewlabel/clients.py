"""Clients of package indexes, run as programs of their own."""

import re
import subprocess

from fewlabel.parallel import log_duration

COMMAND_TIMEOUT = 180  # seconds


def run_client(command: list[str], folder: str) -> None:
    """Run a command in a folder, with nothing to read.

    Raises
    ------
    OSError
        If it is not installed, takes over 180 seconds, or fails; with the line that says why.
    """
    try:
        with log_duration(f"run {' '.join(command[:2])} (at most {COMMAND_TIMEOUT} s)"):
            done = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=COMMAND_TIMEOUT, check=False,
            )  # fmt: skip
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{command[0]} took more than {COMMAND_TIMEOUT} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        # npm's last line is about its log file, so the first line that names an error goes first.
        errors = [line for line in lines if re.search(r"^E: |\berr(or)?\b", line, re.IGNORECASE)]
        raise OSError(f"{command[0]}: {(errors or lines[-1:])[0]}")
