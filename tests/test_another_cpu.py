"""CPUs that this machine is not: QEMU runs stages on them, with their instructions and caches."""

import platform
import sys

import pytest

pytestmark = [
    pytest.mark.network,  # QEMU is installed if it is missing
    pytest.mark.timeout(1800),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="QEMU would run no AVX2 at once"),
]


# QEMU breaks off in NumPy's sorting with AVX2. Of these products, oneDNN splits the sums among its
# threads, if it has two and the CPU's second cache does not hold the factors.
RUN = """
import hashlib, os, runpy, sys
import fewlabel
os.environ["NPY_DISABLE_CPU_FEATURES"] += " X86_V3"
for words in list(sys.argv[1:]):
    stage, *sys.argv[1:] = words.split()
    runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
import numpy as np
from fewlabel.keras_session import import_keras
matmul, rng = import_keras().ops.matmul, np.random.default_rng(0)
for n in (100, 104, 200):
    product = matmul(rng.random((n, 2048), np.float32), rng.random((2048, 10), np.float32))
    print(hashlib.md5(np.asarray(product).tobytes()).hexdigest())
"""


@pytest.mark.parametrize("cpu", ["Haswell", "EPYC-Milan"])
def test_another_cpu_writes_the_same_bytes(reproduced, tmp_path, cpu):
    project = reproduced.copy(tmp_path / "project")
    project.set({"train.model": "cnn", "train.cnn.epochs": 1, "train.cnn.min_steps": 3})
    project.repro("evaluate@representatives")
    before = project.hashes("data", "models", "metrics")
    # In one process, since importing libraries takes most of the time.
    emulated = ("qemu-x86_64", "-cpu", cpu, sys.executable, "-c", RUN)
    products = project.run(*emulated, "embed", "cluster", "spread", "train representatives").stdout
    assert project.hashes("data", "models", "metrics") == before
    assert products == project.run(sys.executable, "-c", RUN).stdout
