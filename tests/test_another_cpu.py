"""CPUs that this machine is not: QEMU runs stages on them, with their instructions and caches."""

import platform
import sys

import pytest

pytestmark = [
    pytest.mark.network,  # QEMU is installed if it is missing
    pytest.mark.skipif(platform.machine() != "x86_64", reason="QEMU would run no AVX2 at once"),
]


# QEMU breaks off in NumPy's sorting with AVX2.
RUN = """
import os, runpy, sys
import fewlabel
os.environ["NPY_DISABLE_CPU_FEATURES"] += " X86_V3"
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("cpu", ["Haswell", "EPYC-Milan"])
def test_another_cpu_writes_the_same_bytes(reproduced, tmp_path, cpu):
    project = reproduced.copy(tmp_path / "project")
    project.set({"train.model": "cnn", "train.cnn.epochs": 1, "train.cnn.min_steps": 3})
    project.repro("evaluate@representatives")
    before = project.hashes("data", "models", "metrics")
    for words in ("embed", "cluster", "spread", "train representatives"):
        stage, *arguments = words.split()
        emulated = ("qemu-x86_64", "-cpu", cpu, sys.executable, "-c", RUN, f"stages.{stage}")
        project.run(*emulated, *arguments)
        assert project.hashes("data", "models", "metrics") == before, stage
