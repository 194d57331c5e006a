"""The canonical .keras file: the same bytes, the same model."""

import io
import json
import zipfile

import numpy as np
import pytest

from fewlabel.keras_format import canonical_keras
from fewlabel.keras_session import import_keras


def build():
    """Return a model with branches and a layer that is used twice."""
    keras = import_keras()
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 1))
    shared = keras.layers.Conv2D(3, 3, padding="same", activation="relu")
    x = keras.layers.BatchNormalization()(shared(keras.layers.Concatenate()([inputs] * 2)))
    x = keras.layers.Add()([x, shared(keras.layers.Conv2D(2, 1)(x))])
    outputs = keras.layers.Dense(4, "softmax")(keras.layers.Flatten()(x))
    return keras.Model(inputs, outputs)


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return (tmp_path / "model.keras").read_bytes()


def json_entries(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {n: json.loads(archive.read(n)) for n in archive.namelist() if n.endswith(".json")}


def values_of(value, key):
    """Yield what a key has anywhere inside."""
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from values_of(item, key)


def test_it_loads_as_the_same_model(model, saved, tmp_path):
    path = tmp_path / "canonical.keras"
    path.write_bytes(canonical_keras(saved))
    images = np.random.default_rng(0).random((20, 6, 6, 1), np.float32)
    loaded = import_keras().models.load_model(path)
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), model.predict(images, verbose=0)
    )
    # The layer that is used twice is one layer still.
    assert loaded.count_params() == model.count_params()


def test_built_again_elsewhere_and_saved_later_it_is_the_same_bytes(saved, tmp_path):
    # While `model` lives, another one's objects have other addresses; no clock gives that date.
    path = tmp_path / "again.keras"
    build().save(path)
    moved = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(moved, "w") as target:
        for name in reversed(source.namelist()):
            entry = source.read(name)
            if name == "metadata.json":
                entry = json.dumps(json.loads(entry) | {"date_saved": "2001-02-03@04:05:06"})
            target.writestr(zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, 6)), entry)
    assert moved.getvalue() != saved
    assert canonical_keras(moved.getvalue()) == canonical_keras(saved)


def test_neither_dates_nor_addresses_are_left(saved):
    content = canonical_keras(saved)
    assert b"date_saved" in saved
    assert b"date_saved" not in content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == sorted(archive.namelist())
    ids = list(values_of(list(json_entries(content).values()), "shared_object_id"))
    assert ids
    assert set(ids) == set(range(len(set(ids))))
    assert canonical_keras(content) == content


def test_weights_and_all_else_are_kept(saved):
    def read(content):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    before, after = read(saved), read(canonical_keras(saved))
    assert set(before) == set(after)
    assert before["model.weights.h5"] == after["model.weights.h5"]
    assert (
        json.loads(before["metadata.json"])["keras_version"]
        == (json.loads(after["metadata.json"])["keras_version"])
    )


def test_equal_ids_stay_equal_and_different_ones_different():
    config = {"b": {"shared_object_id": 9}, "a": [{"shared_object_id": 7, "x": 7}] * 2}
    source = io.BytesIO()
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    assert json_entries(canonical_keras(source.getvalue())) == {
        "config.json": {"a": [{"shared_object_id": 0, "x": 7}] * 2, "b": {"shared_object_id": 1}}
    }
