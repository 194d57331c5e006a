"""The same bytes on every x86-64 CPU with AVX2, on one core as on many.

Libraries choose their kernels by CPU and split sums by the number of cores, and each way rounds
otherwise; k-means turns a difference in the last bit into other representatives. So `fewlabel` says
which kernels they take, before NumPy and TensorFlow are loaded, and a stage how many threads.
"""

import logging
import os
import platform
from contextlib import AbstractContextManager
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

N_THREADS = 2
# OpenBLAS, faiss, TensorFlow and NumPy (whose powers differ with AVX-512) take kernels of AVX2 and
# no more. They and scikit-learn take as many threads as there are cores unless that is set.
_ENVIRONMENT = {
    "OPENBLAS_CORETYPE": "Haswell",
    "TF_ENABLE_ONEDNN_OPTS": "1",  # else only where the CPU has some of AVX-512
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "FAISS_SIMD_LEVEL": "AVX2",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": str(N_THREADS),
    # oneDNN splits the sums of some products where a thread's second cache does not hold factors.
    "TF_NUM_INTRAOP_THREADS": "1",
}
_COMPUTE = {
    *("faiss-cpu", "keras", "numpy", "onnxruntime", "pillow", "scikit-learn", "scipy"),
    *("tensorflow", "tensorflow_cpu", "tensorflow-cpu"),
}
_CPU = Path("/proc/cpuinfo")
_logger = logging.getLogger(__name__)


def has_avx2() -> bool:
    """Whether this is an x86-64 CPU that is not known to lack AVX2; most from 2013 on have it."""
    return platform.machine() in ("x86_64", "AMD64") and (
        not _CPU.exists() or " avx2" in _CPU.read_text(encoding="utf-8")
    )


def pin_kernels() -> None:
    """Name the kernels for libraries that are not loaded yet, if the CPU has them."""
    if has_avx2():
        os.environ |= _ENVIRONMENT


def pinned() -> dict[str, str | None]:
    """Return which kernels this process was told to take."""
    return {name: os.environ.get(name) for name in _ENVIRONMENT}


@cache
def versions() -> list[str]:
    """Return name and version of each library here that computes."""
    return sorted(f"{d.name} {d.version}" for d in distributions() if d.name in _COMPUTE)


def fixed_threads() -> AbstractContextManager[object]:
    """Let BLAS use one thread and OpenMP two, on any number of cores; warn of another CPU.

    Threads of BLAS wait for each other after every small product. Where another program takes a
    core, k-means++ and logistic regression took 20 times as long with two as with one.
    """
    if not has_avx2():
        _logger.warning(
            "this is no x86-64 CPU with AVX2, so results can differ from those of other machines "
            "(docs/reproducibility.md)"
        )
    import scipy.linalg  # noqa: F401  # A limit holds for libraries that are loaded: both BLAS.
    from threadpoolctl import threadpool_limits

    return threadpool_limits({"blas": 1, "openmp": N_THREADS})  # type: ignore[no-any-return]
