"""Every published method beside ours, on the same data: a pipeline of its own."""

import fewlabel  # noqa: F401  # It names kernels before NumPy is loaded.
