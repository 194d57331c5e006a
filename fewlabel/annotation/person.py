"""Who labels."""

import getpass
import subprocess

_MAX_LENGTH = 80


def current_person() -> str:
    """Return the name that git gives this user, else that of the login; empty without either."""
    try:
        command = ["git", "config", "user.name"]
        output = subprocess.run(command, capture_output=True, check=False).stdout
    except OSError:
        output = b""
    return clean_name(output.decode(errors="replace")) or clean_name(_login())


def clean_name(name: str) -> str:
    """Cut control characters and what is too long from a person's name."""
    return "".join(filter(str.isprintable, name)).strip()[:_MAX_LENGTH].strip()


def _login():
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # nobody has this user id
        return ""
