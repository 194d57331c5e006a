"""Arrays of many rows in shards: the same values, whatever is indexed, and the same labels."""

import importlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewlabel import engine, storage
from fewlabel.settings import read_params
from fewlabel.storage import (
    ArtifactError,
    StoredArray,
    load_array,
    locked_hashes,
    row_parts,
    save_array,
    save_shards,
    stored_array,
)

N_ROWS, SHARD = 11, 4


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Work in an empty folder, where shards have four rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(storage, "SHARD_ROWS", SHARD)
    monkeypatch.setattr(storage, "WHOLE_ROWS", SHARD)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return rows, and the same in shards."""
    folder = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "SHARD_ROWS", SHARD)
        patch.setattr(storage, "WHOLE_ROWS", SHARD)
        rows = np.arange(2 * N_ROWS, dtype=np.float32).reshape(N_ROWS, 2)
        save_array(folder / "rows.npy", rows)
    return rows, StoredArray(*sorted((folder / "rows.npy").glob("*.npy")))


@given(
    index=st.slices(N_ROWS)
    | st.lists(st.integers(0, N_ROWS - 1)).map(lambda rows: np.array(rows, np.int64))
)
def test_whatever_is_indexed_is_as_of_the_array(stored, index):
    rows, shards = stored
    assert shards.shape == rows.shape
    assert len(shards) == len(rows)
    np.testing.assert_array_equal(shards[index], rows[index])
    assert shards[index].dtype == rows.dtype


@pytest.mark.usefixtures("small")
def test_a_manifest_says_what_the_shards_are(vouch):
    rows = np.arange(3 * N_ROWS).reshape(N_ROWS, 3)
    save_array("data/rows.npy", rows)
    about = json.loads(Path("data/rows.npy/manifest.json").read_text())
    assert (about["shape"], about["dtype"]) == ([N_ROWS, 3], "int64")
    assert [(shard["file"], shard["rows"]) for shard in about["shards"]] == [
        *(("00000.npy", 4), ("00001.npy", 4), ("00002.npy", 3))
    ]
    for shard in about["shards"]:
        assert shard["sha256"] == storage.sha256_of(Path("data/rows.npy") / shard["file"])
    vouch()
    np.testing.assert_array_equal(load_array("data/rows.npy"), rows)
    os.truncate("data/rows.npy/00001.npy", 130)
    with pytest.raises(ArtifactError, match=r"data/rows\.npy has the MD5 .*, but its stage wrote"):
        stored_array("data/rows.npy")


@pytest.mark.usefixtures("small")
def test_few_rows_and_columns_of_one_value_stay_one_file():
    for name, array in (("few", np.eye(SHARD)), ("labels", np.arange(N_ROWS))):
        save_array(f"{name}.npy", array)
        np.testing.assert_array_equal(np.load(f"{name}.npy"), array)


@pytest.mark.usefixtures("small")
def test_finished_parts_become_shards_and_take_the_place_of_what_was_there():
    rows = np.arange(2 * N_ROWS).reshape(N_ROWS, 2)
    save_array("expected.npy", rows)
    for n_before in (SHARD, N_ROWS):
        save_array("rows.npy", rows[:n_before])
        files = [Path(f"{part.start}.npy") for part in row_parts(N_ROWS)]
        for file, part in zip(files, row_parts(N_ROWS), strict=True):
            np.save(file, rows[part])
        save_shards("rows.npy", files)
        for file in Path("expected.npy").iterdir():
            assert (Path("rows.npy") / file.name).read_bytes() == file.read_bytes()
    np.save("one.npy", rows)
    save_shards("rows.npy", [Path("one.npy")])
    np.testing.assert_array_equal(np.load("rows.npy"), rows)
    assert sorted(path.name for path in Path().iterdir()) == ["expected.npy", "rows.npy"]


def test_the_pipeline_gives_the_same_on_shards(project, vouch, monkeypatch):
    monkeypatch.chdir(project.folder)
    whole = {path: np.load(path) for path in map(Path, locked_hashes()) if path.suffix == ".npy"}
    monkeypatch.setattr(storage, "SHARD_ROWS", 400)
    monkeypatch.setattr(storage, "WHOLE_ROWS", 400)
    params = read_params()
    for stage in ("download", "normalize", "embed", "graph", "cluster", "label", "spread"):
        importlib.import_module(f"stages.{stage}").main(params)
        vouch()
    for path, array in whole.items():
        sharded = load_array(path)
        if "embedded" in str(path):
            np.testing.assert_allclose(sharded, array, atol=1e-4)
        elif path.name != "confidence.npy" and "clusters/distance" not in str(path):
            assert np.mean(sharded == array) > 0.99, path
    assert Path("data/raw/train_images.npy").is_dir()
    assert Path("data/embedded/train_features.npy").is_dir()
    assert not any(engine.UNFINISHED.iterdir())
