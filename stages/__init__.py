"""Stages: each reads settings and inputs, calls `fewlabel`, and writes outputs."""

import fewlabel  # noqa: F401  # It names kernels before NumPy is loaded.
