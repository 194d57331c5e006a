"""Errors that are meant for the user."""

import io
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fewlabel.text import one_line


class FewlabelError(Exception):
    """An error whose message is one sentence for the user: what, where, what is allowed."""


@contextmanager
def told_as(kind: type[FewlabelError], sentence: Callable[[str], str]) -> Iterator[None]:
    """Raise whatever a library raises as an error for the user, unless a library is missing.

    Parameters
    ----------
    kind
        Of the error; a `FewlabelError` passes as it is.
    sentence
        From the cause, in one line, to the message.

    Examples
    --------
    >>> with told_as(FewlabelError, lambda cause: f"a.csv is no number ({cause})"):
    ...     float("a")
    Traceback (most recent call last):
    fewlabel.errors.FewlabelError: a.csv is no number (could not convert string to float: 'a')
    """
    try:
        yield
    except (FewlabelError, ModuleNotFoundError):
        raise
    except Exception as error:
        raise kind(sentence(one_line(error))) from error


@contextmanager
def exit_on_error() -> Iterator[None]:
    """End the process with one line at an error of the user or the machine, and clean up.

    Exit code 1; of an interrupt or a termination 128 and the signal's number, as shells count.
    What takes long says so on stderr meanwhile.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal may lack characters of names.
        sys.stdout.reconfigure(errors="backslashreplace")
    # As an interrupt does, so that no half-written file stays.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    logger, shown = logging.getLogger("fewlabel"), logging.StreamHandler()
    logger.setLevel(logging.INFO)
    logger.addHandler(shown)
    try:
        yield
    except FewlabelError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "fewlabel":
            raise
        extra = "cpu" if error.name.partition(".")[0] == "tensorflow" else "label"
        sys.exit(f"error: {error.name} is not installed; pip install 'fewlabel[{extra}]'")
    except MemoryError as error:
        sys.exit(
            f"error: there is too little memory ({one_line(error)}); lower what asks for it in "
            "params.yaml, such as label_budget, dataset.folder.image_size or a batch_size"
        )
    except OSError as error:  # not a fault of this program, but of a file, disk or connection
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {place}{one_line(error.strerror or error)}")
    finally:
        logger.removeHandler(shown)
        logger.setLevel(logging.NOTSET)
