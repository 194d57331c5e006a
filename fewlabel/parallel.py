"""Blocks of rows worked on by threads, and progress that people and logs can read."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from joblib import cpu_count
from threadpoolctl import threadpool_limits
from tqdm import tqdm


def for_each_block(
    work: Callable[[slice], None], n_rows: int, block_rows: int, description: str
) -> None:
    """Call ``work`` once for each block of consecutive rows, one thread per CPU.

    NumPy releases the interpreter's lock in the operations that matter here. Each block runs on
    one BLAS thread, so what a block computes does not depend on the number of CPUs.

    Parameters
    ----------
    work
        Called with the slice of rows to work on; writes its result where the caller wants it.
    n_rows, block_rows
        Number of rows in all, and in each block but the last.
    description
        Names the work in the progress display.
    """
    blocks = [slice(i, min(i + block_rows, n_rows)) for i in range(0, n_rows, block_rows)]
    with threadpool_limits(1), ThreadPoolExecutor(cpu_count()) as pool:
        for _ in progress(pool.map(work, blocks), description, total=len(blocks)):
            pass


class _LogLines:
    """A file for tqdm that gives a log one line an update, and no control characters."""

    def write(self, text):
        if line := text.strip():
            print(line, file=sys.stderr)

    def flush(self):
        sys.stderr.flush()


def progress(iterable=None, description="", total=None):
    """Wrap an iterable in a progress bar: live on a terminal, a line every 10 seconds in a log."""
    if sys.stderr.isatty():
        return tqdm(iterable, desc=description, total=total, delay=1)
    return tqdm(
        iterable,
        desc=description,
        total=total,
        file=_LogLines(),
        bar_format="{desc}: {percentage:.0f} % in {elapsed}",
        delay=2,
        mininterval=10,
    )


@contextmanager
def log_duration(description):
    """Print what takes seconds and shows no progress of its own, then how long it took."""
    print(f"{description} ...", file=sys.stderr, flush=True)
    start = time.perf_counter()
    yield
    print(f"{description}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
