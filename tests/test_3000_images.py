"""A twentieth of Fashion-MNIST, on machines that ask for other kernels, threads and users."""

import os
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks.workspace import ROOT, record_outputs, workspace
from fewlabel.storage import save_array, save_table
from tests.conftest import BEFORE_TRAINING, Project

N_IMAGES = 3000

pytestmark = [pytest.mark.network, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def project():
    """Return a project with so many training images, run by hand up to the training."""
    with workspace() as work:
        work.dvc("repro", "dvc.yaml:download")
        shutil.copy(ROOT / "dvc.lock", work.folder)  # names the outputs of all stages
        raw = work.folder / "data" / "raw"
        for name in ("train_images", "train_labels"):
            save_array(raw / f"{name}.npy", np.load(raw / f"{name}.npy")[:N_IMAGES])
        save_table(raw / "train_files.csv", pd.read_csv(raw / "train_files.csv")[:N_IMAGES])
        project = Project(work.folder, dict(os.environ))
        for stage in BEFORE_TRAINING:
            record_outputs(work.folder)
            project.run(sys.executable, "-m", f"stages.{stage}")
        record_outputs(work.folder)
        yield project


# Those that differ most from each other, in threads and in what they ask for; digits meet all.
@pytest.mark.parametrize("stranger", ["Zen, 4 threads, another user", "Prescott on one core"])
def test_another_machine_writes_the_same_bytes(project, stranger):
    before = project.hashes("data", "models", "metrics")
    project.run_before_training(stranger)
    assert project.hashes("data", "models", "metrics") == before
