"""Pools as people's own may be: classes that are rare, and images of no class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewlabel.datasets.npz import read_npz
from study import pools


@given(st.lists(st.integers(100, 300), min_size=2, max_size=6), st.integers(1, 20))
def test_the_last_class_has_one_image_for_ratio_of_the_first(sizes, ratio):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    kept = pools.imbalanced(labels, ratio)
    counts = np.bincount(labels[kept])
    share = float(ratio) ** -np.linspace(0, 1, len(sizes))
    assert (np.abs(counts - counts[0] * share) < 2).all()
    # As many as there are: with two more of the first class, some class would have too few.
    assert ((counts[0] + 2) * share > sizes).any()
    for label in range(len(sizes)):
        first = np.flatnonzero(labels == label)[: counts[label]]
        np.testing.assert_array_equal(kept[labels[kept] == label], first)


@pytest.mark.parametrize("shape", [(8, 8), (12, 12, 3)])
@pytest.mark.parametrize("others_shape", [(8, 8), (5, 9, 3)])
def test_others_take_the_form_of_the_images(shape, others_shape):
    images, others = np.zeros((90, *shape), np.uint8), np.full((50, *others_shape), 9, np.uint8)
    pool, labels = pools.with_others(images, np.arange(90) % 3, others, 0.1)
    assert (pool.shape, pool.dtype) == ((100, *shape), np.uint8)
    assert (pool[90:] == 9).all()
    assert not pool[:90].any()
    np.testing.assert_array_equal(labels, [*np.arange(90) % 3, *[-1] * 10])


def test_the_pipeline_reads_what_is_written(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    data = {
        f"{name}_{split}": rng.integers(0, 255, (n, 8, 8), np.uint8)
        for name in ("ours", "strangers")
        for split, n in (("train", 45), ("test", 6))
    }

    def read(name):
        return {
            "train_images": data[f"{name}_train"],
            "train_labels": np.arange(45) % 3,
            "test_images": data[f"{name}_test"],
            "test_labels": np.arange(6) % 3,
        }

    described = {
        "rare": {"dataset": "ours", "ratio": 5},
        "strange": {"dataset": "ours", "others": "strangers", "share": 0.1},
    }
    monkeypatch.setattr(pools, "settings", lambda section, name: described[name])
    monkeypatch.setattr(pools, "_read", read)
    monkeypatch.chdir(tmp_path)
    for name, counts in (("rare", [0, 15, 6, 3]), ("strange", [5, 15, 15, 15])):
        pools.main(name)
        arrays = read_npz(f"study/data/pools/{name}.npz", 3).arrays
        assert np.bincount(arrays["train_labels"] + 1, minlength=4).tolist() == counts
        assert arrays["test_labels"].tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("n_classes", [0, 1])
def test_representatives_of_fewer_than_two_classes_are_refused(reproduced, tmp_path, n_classes):
    project = reproduced.copy(tmp_path / "project")
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8), np.uint8)
    labels = np.where(np.arange(60) < 30 * n_classes, 0, -1)
    labels[-2:] = [0, 1]  # seldom among the representatives
    np.savez(project.folder / "data/images/pool.npz", images=images, train_labels=labels)
    settings = {
        "dataset.name": "folder",
        "dataset.folder.path": "data/images/pool.npz",
        "dataset.folder.class_names": ["cat", "dog"],
        "label_budget": 3,
    }
    project.set(settings)
    shown = project.run("dvc", "repro", "label", fails=True).stderr
    assert "error: the oracle gives 3 representatives labels of fewer than two classes" in shown
    assert "Traceback" not in shown
