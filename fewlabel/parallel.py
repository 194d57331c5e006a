"""Blocks of rows worked on by threads, and progress that people and logs can read.

Progress is shown where the logger "fewlabel" logs INFO, as `fewlabel.errors.exit_on_error` has it.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from joblib import cpu_count
from threadpoolctl import threadpool_limits
from tqdm import tqdm

_logger = logging.getLogger(__name__)


def for_each_block(
    work: Callable[[slice], None], n_rows: int, *, block_rows: int, description: str
) -> None:
    """Call ``work`` once for each block of consecutive rows, one thread per CPU.

    ``work`` gets the slice of rows and writes its result where the caller wants it; `description`
    names it in the progress display. NumPy releases the interpreter's lock in the operations that
    matter here. Each block runs on one BLAS thread, so what a block computes does not depend on the
    number of CPUs.

    Examples
    --------
    >>> import numpy as np
    >>> squares = np.arange(5)
    >>> def square(rows):
    ...     squares[rows] **= 2
    >>> for_each_block(square, 5, block_rows=2, description="squares")
    >>> squares
    array([ 0,  1,  4,  9, 16])
    """
    blocks = [slice(i, min(i + block_rows, n_rows)) for i in range(0, n_rows, block_rows)]
    with threadpool_limits(1), ThreadPoolExecutor(cpu_count()) as pool:
        for _ in progress(pool.map(work, blocks), description, total=len(blocks)):
            pass


class _LogLines:
    """A file for tqdm that gives a log one line an update, and no control characters."""

    def write(self, text: str) -> None:
        if line := text.strip():
            _logger.info(line)

    def flush(self) -> None:
        pass


def progress(
    iterable: Iterable[Any] | None, description: str, *, total: int | None = None
) -> "tqdm[Any]":
    """Wrap an iterable in a progress bar: live on a terminal, a line every 10 seconds in a log."""
    line = "{desc}: {percentage:.0f} % in {elapsed}"
    # Elsewhere than on a terminal, a bar within another must not move the cursor.
    in_log = {"file": _LogLines(), "bar_format": line, "delay": 2, "mininterval": 10, "position": 0}
    style: dict[str, Any] = {"delay": 1, "leave": None} if sys.stderr.isatty() else in_log
    silent = not _logger.isEnabledFor(logging.INFO)
    return tqdm(iterable, desc=description, total=total, disable=silent, **style)


@contextmanager
def log_duration(description: str) -> Iterator[None]:
    """Log what takes seconds and shows no progress of its own, then how long it took."""
    _logger.info("%s ...", description)
    start = time.perf_counter()
    yield
    _logger.info("%s: %.1f s", description, time.perf_counter() - start)
