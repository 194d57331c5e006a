"""The stage that trains: what it writes, and that numbers that are not finite stop it."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks.workspace import set_params
from fewlabel.errors import FewlabelError
from fewlabel.normalization import fit_normalization
from fewlabel.settings import read_params
from fewlabel.storage import load_json, save_array, save_joblib, save_training_set
from stages import train

CHECKOUT = Path(__file__).parents[1]
CNN = {"train.model": "cnn", "train.cnn.epochs": 1}
NETWORKS = ("mlp", "wide_mlp", "small_cnn", "cnn")


@pytest.fixture
def fit(tmp_path, monkeypatch, vouch):
    """Return a function that trains on 40 images of 8 x 8 pixels with other settings."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = (rng.integers(128, size=(40, 8, 8)) + 127 * labels[:, None, None]).astype(np.uint8)
    save_array("data/raw/train_images.npy", images)
    save_joblib("models/normalization.joblib", fit_normalization("unit", images))
    save_array("data/embedded/train_features.npy", np.float32(images.reshape(40, -1)[:, ::3]) / 255)
    save_training_set("propagated", labels)
    vouch()

    def run(**settings):
        shutil.copy(CHECKOUT / "tests/params.yaml", tmp_path)
        set_params(tmp_path / "params.yaml", settings)
        train.main(read_params(), "propagated")

    return run


def written(folder):
    found = [path for name in ("models", "metrics") for path in (folder / name).rglob("*.*")]
    return [path for path in found if path.name != "normalization.joblib"]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("model", "network"),
    [
        *((name, name) for name in NETWORKS),
        ("cnn_mlp_ensemble", "cnn"),
        ("cnn_mlp_ensemble", "wide_mlp"),
    ],
)
def test_a_network_that_diverges_stops_the_stage_and_nothing_is_written(
    fit, tmp_path, model, network
):
    section = f"train.{model}" if model == network else f"train.{model}.{network}"
    steps = {"epochs": 1, "min_steps": 3}
    others = [f"train.cnn_mlp_ensemble.{view}" for view in ("cnn", "wide_mlp")]
    settings = {f"{name}.{key}": n for name in [*others, section] for key, n in steps.items()}
    with pytest.raises(FewlabelError) as error:
        fit(**settings | {"train.model": model, f"{section}.learning_rate": 1e30})
    assert str(error.value) == (
        f"{section}.learning_rate is 1e+30, but the loss became infinite or not a number in "
        "training; lower it"
    )
    assert written(tmp_path) == []


@pytest.mark.usefixtures("eager")
def test_a_network_that_diverges_in_its_last_step_stops_the_stage(fit, tmp_path):
    one_step = {"epochs": 1, "min_steps": 1, "batch_size": 40, "learning_rate": 1e30}
    settings = {f"train.mlp.{key}": value for key, value in one_step.items()}
    with pytest.raises(FewlabelError, match=", but an output became infinite or not a number"):
        fit(**settings | {"train.model": "mlp"})
    assert written(tmp_path) == []


def test_coefficients_that_are_not_finite_stop_the_stage(fit, tmp_path, monkeypatch):
    class Diverging(LogisticRegression):
        def fit(self, X, y, sample_weight):
            super().fit(X, y, sample_weight)
            self.coef_[0, 0] = np.inf
            return self

    monkeypatch.setattr("sklearn.linear_model.LogisticRegression", Diverging)
    with pytest.raises(FewlabelError, match=r"^train\.logistic_regression\.C is 10, but the "):
        fit(**{"train.model": "logistic_regression"})
    assert written(tmp_path) == []


def test_labels_of_one_class_only_stop_the_stage(fit, tmp_path, vouch):
    save_training_set("propagated", np.where(np.arange(40) < 5, 1, -1))
    vouch()
    with pytest.raises(FewlabelError, match=r"labels of one class only, .* raise"):
        fit(**{"train.model": "logistic_regression"})
    assert written(tmp_path) == []


@pytest.mark.usefixtures("eager")
def test_more_memory_than_there_is_stops_the_stage(fit, tmp_path, monkeypatch):
    monkeypatch.setattr("fewlabel.memory.available_memory", lambda: 150_000)
    small = {"batch_size": 2, "min_steps": 1}
    with pytest.raises(FewlabelError, match=r"^train\.cnn\.min_steps is 90000, which needs .* low"):
        fit(**{f"train.cnn.{key}": n for key, n in (small | {"min_steps": 90_000}).items()}, **CNN)
    assert written(tmp_path) == []
    fit(**{f"train.cnn.{key}": n for key, n in small.items()}, **CNN)


def test_a_learning_curve_takes_the_place_of_the_last_one(fit, tmp_path):
    for C in (0.1, 10):
        fit(**{"train.model": "logistic_regression", "train.logistic_regression.C": C})
        curve = tmp_path / "metrics/propagated/learning_curve"
        assert load_json(curve / "metrics.json")["train"]["accuracy"] == 1
        rows = (curve / "plots/metrics/train/loss.tsv").read_text().splitlines()
        assert [line.split("\t")[0] for line in rows] == ["step", "0"]
        assert [path.name for path in curve.parent.iterdir()] == [curve.name]
    assert (tmp_path / "models/propagated/model.joblib").exists()


def test_a_repository_without_a_commit_is_said(fit):
    subprocess.run(["git", "init", "--quiet"], check=True)
    with pytest.raises(FewlabelError, match=r"git is not ready \(.*\); `git add --all`, then"):
        fit(**{"train.model": "logistic_regression"})
