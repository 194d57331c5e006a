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
    if name := clean_name(output.decode(errors="replace")):
        return name
    try:
        return clean_name(getpass.getuser())
    except (KeyError, OSError):  # nobody has this user id
        return ""


def clean_name(name: str) -> str:
    r"""Cut control characters and what is too long from a person's name.

    Examples
    --------
    >>> clean_name(" Zoë\n")
    'Zoë'
    """
    return "".join(filter(str.isprintable, name)).strip()[:_MAX_LENGTH].strip()
