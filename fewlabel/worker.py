"""Work for a scheduler of Dask, in a checkout: `python -m fewlabel.worker tcp://HOST:8786`.

The checkout must lie under the same path as that of the pipeline, on a disk that both see. More
words are options of `dask worker`, as `--nworkers 8`.
"""

import os
import sys


def main(arguments: list[str]) -> None:
    """Work until the scheduler ends."""
    import dask
    from distributed.cli import dask_worker

    from fewlabel.engine import WORKER_ENVIRONMENT, WORKER_MEMORY

    os.environ |= WORKER_ENVIRONMENT
    dask.config.set(WORKER_MEMORY)
    options = ["--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
    dask_worker.main([*options, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
