"""What the pipeline costs and reaches, measured through the real `dvc` command."""

import fewlabel  # noqa: F401  # It names kernels before NumPy is loaded.
