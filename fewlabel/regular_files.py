"""Files that anybody may have made: only regular ones are read, and no more than fits."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


class FileRefusedError(ValueError):
    """A file that is not read; the message says what it is, without its name."""


def is_folder(path: str | Path) -> bool:
    """Return whether it is a folder or leads to one; not so of a name that no file can have."""
    return os.path.isdir(path)  # noqa: PTH112 (pathlib's raises for long names)


def open_regular_file(path: str | Path) -> BinaryIO:
    """Open a regular file, or a link to one, to read bytes.

    Raises
    ------
    FileRefusedError
        If it is a folder, a named pipe, a socket or a device.
    """
    # What was opened is tested, not the path, which may be another file a moment later. Without
    # O_NONBLOCK, opening a pipe waits for somebody who writes to it.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENODEV):  # a socket, or a device that is not there
            raise FileRefusedError("not a regular file") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileRefusedError("not a regular file")
    return os.fdopen(descriptor, "rb")


def read_regular_file(path: str | Path, max_bytes: int) -> bytes:
    """Read what `open_regular_file` opens, or raise a `FileRefusedError` if it is larger."""
    with open_regular_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise FileRefusedError(f"of {size:,} bytes, but at most {max_bytes:,} are read")
        return file.read(size)
