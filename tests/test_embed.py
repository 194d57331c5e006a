"""The stage that embeds, on a user's own images: what they do not have is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.workspace import set_params
from fewlabel.errors import FewlabelError
from fewlabel.normalization import fit_normalization
from fewlabel.settings import read_params
from fewlabel.storage import save_array, save_joblib
from stages import embed, graph

CHECKOUT = Path(__file__).parents[1]
SMALL = {
    "dataset.name": "folder",
    "dataset.folder.class_names": ["cat", "dog"],
    "label.source": "human",
    "embed.patches.patch_size": 3,
    "embed.patches.n_centroids": 16,
    "embed.patches.n_sampled_patches": 500,
    "embed.patches.n_components": 12,
    "embed.patches.n_leading_components": 6,
}


@pytest.fixture
def run(tmp_path, monkeypatch, vouch):
    """Return a function that runs a stage on images with other settings."""
    monkeypatch.chdir(tmp_path)

    def run_stage(images, stage=embed, **settings):
        for name, rows in (("train", images), ("test", images[:2])):
            save_array(f"data/raw/{name}_images.npy", rows)
        save_joblib("models/normalization.joblib", fit_normalization("unit", images))
        shutil.copy(CHECKOUT / "tests/params.yaml", tmp_path)
        set_params(tmp_path / "params.yaml", SMALL | settings)
        vouch()
        stage.main(read_params())

    return run_stage


def images(*shape):
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


def written(folder):
    return [path for name in ("embedded", "graph") for path in (folder / "data" / name).rglob("*")]


@pytest.mark.parametrize(
    ("shape", "settings", "words"),
    [
        (
            (30, 8, 9),
            {"embed.patches.patch_size": 9},
            "embed.patches.patch_size is 9, but must be at most 8: images are 8 x 9 pixels",
        ),
        (
            (30, 8, 9, 3),
            {"embed.patches.pooling_grid": 7},
            "embed.patches.pooling_grid is 7, but must be at most 6: a patch of 3 pixels has 6 "
            "positions per side, since images are 8 x 9 pixels",
        ),
        (
            (30, 8, 9),
            {"embed.patches.patch_size": 1},
            "embed.patches.patch_size is 1, but must be at least 2 where images are gray",
        ),
        (
            (30, 8, 9),
            {"embed.method": "pca", "embed.pca.n_components": 31},
            "embed.pca.n_components is 31, but must be at most 30: there are 30 training images",
        ),
    ],
)
def test_what_images_do_not_have(run, tmp_path, shape, settings, words):
    with pytest.raises(FewlabelError) as error:
        run(images(*shape), **settings)
    assert words in str(error.value)
    assert written(tmp_path) == []


def test_what_images_barely_have(run):
    run(images(30, 8, 9), **{"embed.patches.pooling_grid": 6})
    assert np.load("data/embedded/train_features.npy").shape == (30, 12)
    assert np.load("data/embedded/train_embedding.npy").shape == (30, 6)


def test_patches_of_one_colored_pixel(run):
    run(images(30, 8, 9, 3), **{"embed.patches.patch_size": 1})
    assert len(np.unique(np.load("data/embedded/train_features.npy"), axis=0)) == 30


def test_fewer_components_where_there_are_fewer_images_are_announced(run, caplog):
    caplog.set_level("INFO", "fewlabel")
    run(images(30, 8, 9))
    assert "n_components" not in caplog.text
    run(images(10, 8, 9))
    assert np.load("data/embedded/train_features.npy").shape == (10, 10)
    assert (
        "embed.patches.n_components is 12, but 10 training images have no more than 10 components"
    ) in caplog.text


@pytest.mark.parametrize("method", ["pixels", "pca", "patches"])
def test_images_that_are_all_alike(run, tmp_path, method):
    alike = np.repeat(images(1, 8, 8), 30, axis=0)
    settings = {"embed.method": method, "embed.pca.n_components": 2}
    with pytest.raises(FewlabelError, match=r"^all 30 training images are alike"):
        run(alike, **settings)
    assert written(tmp_path) == []


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_features_that_are_all_alike(run, tmp_path):
    flat = np.ones((30, 8, 8), np.uint8) * np.arange(30, dtype=np.uint8)[:, None, None]
    words = r"^all 30 training images have the same features where embed\.method is 'patches'"
    with pytest.raises(FewlabelError, match=words):
        run(flat)
    assert written(tmp_path) == []


def test_features_that_are_no_numbers(run, tmp_path, monkeypatch):
    no_numbers = np.full((30, 3), np.nan)
    monkeypatch.setattr("fewlabel.normalization.transformed", lambda _, rows: no_numbers)
    with pytest.raises(FewlabelError, match=r"^some features are not finite numbers"):
        run(images(30, 8, 8), **{"embed.method": "pixels"})
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    ("key", "value", "method"),
    [
        ("embed.patches.n_sampled_patches", 10**9, "patches"),
        ("embed.patches.n_centroids", 10**9, "patches"),
        ("embed.patches.n_components", 250, "patches"),
        ("embed.pca.n_components", 25, "pca"),
    ],
)
def test_more_memory_than_there_is(run, tmp_path, key, value, method, monkeypatch):
    if value < 10**9:
        monkeypatch.setattr("fewlabel.memory.available_memory", lambda: 2000)
    with pytest.raises(FewlabelError, match=rf"^{key} is {value}, which needs .*; lower it$"):
        run(images(30, 8, 8), **{"embed.method": method, key: value})
    assert written(tmp_path) == []


def test_more_neighbors_than_memory_holds(run, tmp_path, monkeypatch):
    run(images(30, 8, 8))
    monkeypatch.setattr("fewlabel.memory.available_memory", lambda: 6000)
    with pytest.raises(FewlabelError, match=r"^graph\.n_neighbors is 9, which needs 6\.48 kB"):
        run(images(30, 8, 8), graph, **{"graph.n_neighbors": 9})
    run(images(30, 8, 8), graph, **{"graph.n_neighbors": 8})
