"""Which kernels and threads the pipeline computes with."""

import os
import re
import subprocess
import sys

import pytest

from fewlabel import kernels
from tests.conftest import ON_ONE_CORE

SHOW = """
import fewlabel
from fewlabel.kernels import fixed_threads
from threadpoolctl import threadpool_info
import sklearn
with fixed_threads():
    for library in threadpool_info():
        print(library["user_api"], library["num_threads"], library.get("architecture", "Haswell"))
"""
SHOW_POWER = """
import fewlabel
import numpy as np
print(np.lib.introspect.opt_func_info(func_name="^power$", signature="float64"))
"""


@pytest.fixture
def cpu(tmp_path, monkeypatch):
    """Return a file that stands for what Linux says of the CPU, of an x86-64 machine."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(kernels, "_CPU", tmp_path / "cpuinfo")
    return tmp_path / "cpuinfo"


@pytest.mark.skipif(not kernels.has_avx2(), reason="this CPU lacks the kernels")
def test_libraries_take_the_kernels_and_threads_whatever_the_cpu():
    other = os.environ | {"OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "4"}
    command = [*ON_ONE_CORE, sys.executable, "-c", SHOW]
    shown = subprocess.run(command, env=other, capture_output=True, text=True, check=True).stdout
    assert set(shown.splitlines()) == {"blas 1 Haswell", "openmp 2 Haswell"}
    assert shown.count("blas") >= 2  # NumPy's and SciPy's


@pytest.mark.skipif(not kernels.has_avx2(), reason="this CPU lacks the kernels")
def test_numpy_takes_no_avx512():
    command = [sys.executable, "-c", SHOW_POWER]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    current = re.search("'current': '(.*?)'", shown)[1]
    assert not re.search("AVX512|X86_V4", current)


def test_a_cpu_without_the_kernels_keeps_its_own_and_is_told_so(cpu, monkeypatch, caplog):
    monkeypatch.setattr("os.environ", {})
    cpu.write_text("flags\t: fpu sse4_2 avx\n")
    kernels.pin_kernels()
    assert os.environ == {}
    with kernels.fixed_threads():
        assert "this is no x86-64 CPU with AVX2" in caplog.text
    cpu.write_text("flags\t: fpu avx avx2\n")
    kernels.pin_kernels()
    assert os.environ["OPENBLAS_CORETYPE"] == "Haswell"


def test_another_architecture_has_no_such_kernels(cpu, monkeypatch):
    assert kernels.has_avx2()  # where nothing is known of the CPU
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert not kernels.has_avx2()
