"""Errors that are meant for the user."""

import signal
import sys
from contextlib import contextmanager


class FewlabelError(Exception):
    """An error whose message is one sentence for the user: what, where, what is allowed."""


@contextmanager
def fail_in_one_line():
    """End the process with one line and exit code 1 at such an error; clean up when terminated."""
    # As an interrupt does, so that no half-written file stays.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    except FewlabelError as error:
        sys.exit(f"error: {error}")
