"""The classifier in one file: it needs nothing of this project, and nothing in it can run."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from fewlabel.errors import FewlabelError
from fewlabel.keras_format import canonical_zip
from fewlabel.keras_session import import_keras, new_session
from fewlabel.predictor import (
    ModelFileError,
    PortableClassifier,
    classifier_model,
    export,
    save_portable,
)
from fewlabel.safe_keras import UnsafeModelError
from fewlabel.storage import ArtifactError

ABOUT = {"class_names": ["cat", "dog", "owl"], "image_shape": [6, 5]}
IMAGES = np.random.default_rng(0).integers(256, size=(50, 6, 5), dtype=np.uint8)
KERAS_ALONE = """
import sys, keras, numpy as np
model = keras.models.load_model(sys.argv[1], compile=False, safe_mode=True)
np.save(sys.argv[2], model.predict(np.load(sys.argv[3]), verbose=0))
assert "fewlabel" not in sys.modules
"""


def build():
    keras, _ = new_session(0)

    def to_probabilities(rows):
        hidden = keras.layers.Dense(7, "relu")(rows / 255.0)
        return keras.layers.Dense(2, "softmax")(hidden), [0, 2]

    return classifier_model(keras, to_probabilities, (6, 5), 3)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "classifier.keras"
    save_portable(path, build(), ABOUT, "# Card")
    return path


def test_a_class_without_a_label_has_no_probability(model):
    classifier = PortableClassifier(model)
    assert (classifier.class_names, classifier.image_shape) == (["cat", "dog", "owl"], (6, 5))
    assert classifier.card == "# Card"
    probabilities = classifier.predict_proba(IMAGES)
    assert not probabilities[:, 1].any()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert classifier.predict_proba(IMAGES[:0]).shape == (0, 3)


def test_keras_reads_it_without_this_package(model, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    files = [str(tmp_path / name) for name in ("classifier.keras", "out.npy", "images.npy")]
    subprocess.run([sys.executable, "-c", KERAS_ALONE, *files], check=True, cwd=tmp_path)
    expected = PortableClassifier(model).predict_proba(IMAGES)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)


def test_the_same_model_is_the_same_bytes(model, tmp_path):
    save_portable(tmp_path / "again.keras", build(), ABOUT, "# Card")
    assert (tmp_path / "again.keras").read_bytes() == model.read_bytes()


def changed(model, **parts):
    """Write the file with other parts; None drops one."""
    with zipfile.ZipFile(model) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries |= {name.replace("__", "."): part for name, part in parts.items()}
    model.write_bytes(canonical_zip({k: v for k, v in entries.items() if v is not None}))


def config_of(model):
    with zipfile.ZipFile(model) as archive:
        return json.loads(archive.read("config.json"))


@pytest.mark.parametrize(
    ("module", "layer"),
    [
        *(("keras.layers", name) for name in ("Lambda", "TFSMLayer", "TextVectorization", "RNN")),
        ("keras.src.ops.core", "WhileLoop"),
        ("os", "system"),
        ("a_module_of_theirs", "Dense"),
    ],
)
def test_a_layer_that_does_more_than_arithmetic_is_refused(model, module, layer):
    config = config_of(model)
    config["config"]["layers"][1] |= {"module": module, "class_name": layer}
    changed(model, config__json=json.dumps(config).encode())
    words = f"has {layer}, but a model may have layers of arithmetic only; nothing of it was"
    with pytest.raises(UnsafeModelError, match=words):
        PortableClassifier(model)


@pytest.mark.parametrize("link", [h5py.SoftLink("/x"), h5py.ExternalLink("/etc/passwd", "/x")])
def test_weights_elsewhere_are_refused(model, link):
    content = io.BytesIO()
    with h5py.File(content, "w") as weights:
        weights.create_group("layers")["dense"] = link
    changed(model, **{"model.weights.h5": content.getvalue()})
    with pytest.raises(UnsafeModelError, match="has weights in other files"):
        PortableClassifier(model)


@pytest.mark.parametrize("kind", ["external", "virtual"])
def test_values_of_weights_in_other_files_are_refused(model, kind):
    content = io.BytesIO()
    with h5py.File(content, "w") as weights:
        group = weights.create_group("layers/dense/vars")
        if kind == "external":
            group.create_dataset("0", (4,), "u1", external=[("/etc/passwd", 0, 4)])
        else:
            layout = h5py.VirtualLayout((4,), "u1")
            layout[:] = h5py.VirtualSource("/etc/theirs.h5", "x", (4,))
            group.create_virtual_dataset("0", layout)
    changed(model, **{"model.weights.h5": content.getvalue()})
    with pytest.raises(UnsafeModelError, match="has weights in other files"):
        PortableClassifier(model)


@pytest.mark.parametrize(
    "parts",
    [
        {"about__json": None},
        {"README.md": None},
        {"config__json": None},
        {"config__json": b"[]"},
        {"model.weights.h5": b""},
        {"about__json": b"[]"},
        {"about__json": b'{"class_names": 5, "image_shape": "a"}'},
        {"about__json": b'{"class_names": ["a"], "image_shape": [6, 5]}'},
        {"about__json": b'{"class_names": ["a", "b", "c"], "image_shape": [5, 6]}'},
        {"about__json": b'{"class_names": ["a", "b", "c"], "image_shape": [6, 5, 1]}'},
        {"about__json": b'{"class_names": ["a", "b", "c"], "image_shape": [30]}'},
    ],
)
def test_what_is_damaged_is_refused_in_one_sentence(model, parts):
    changed(model, **parts)
    with pytest.raises(ModelFileError, match=r"is no whole classifier|of other images or classes"):
        PortableClassifier(model)


def test_what_is_no_file_is_refused(model, tmp_path):
    model.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="is no whole classifier"):
        PortableClassifier(model)
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(ModelFileError, match="cannot be read"):
            PortableClassifier(path)


def test_what_the_pipeline_made_must_be_what_it_made(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digest = hashlib.md5(model.read_bytes()).hexdigest()
    outs = [{"path": "classifier.keras", "md5": digest}]
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": {"package": {"outs": outs}}}))
    PortableClassifier("classifier.keras")
    changed(model, README__md=b"Another card")
    with pytest.raises(FewlabelError, match=r"classifier\.keras has the MD5"):
        PortableClassifier(tmp_path / "classifier.keras")
    (tmp_path / "dvc.lock").unlink()
    assert PortableClassifier("classifier.keras").card == "Another card"


def test_a_method_cannot_package_other_than_arithmetic(tmp_path):
    keras = import_keras()
    rows = keras.Input((6, 5), dtype="uint8")
    model = keras.Model(rows, keras.layers.Lambda(lambda x: x)(rows))
    with pytest.raises(UnsafeModelError, match="has Lambda"):
        save_portable(tmp_path / "m.keras", model, ABOUT, "")


def test_exported_models_give_the_same_probabilities(model, tmp_path):
    import onnxruntime
    import tensorflow as tf

    expected = PortableClassifier(model).predict_proba(IMAGES)
    export(model, "onnx", tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    (given,) = session.run(None, {session.get_inputs()[0].name: IMAGES})
    np.testing.assert_allclose(given, expected, atol=1e-6)
    export(model, "savedmodel", tmp_path / "m")
    loaded = tf.saved_model.load(tmp_path / "m")
    np.testing.assert_allclose(loaded.serve(tf.constant(IMAGES)), expected, atol=1e-6)
    with pytest.raises(FewlabelError, match="is there already; name another, or delete it"):
        export(model, "onnx", tmp_path / "m.onnx")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"classifier.keras", "m.onnx", "m"}


def test_onnx_needs_its_library(model, tmp_path, monkeypatch):
    monkeypatch.setattr("fewlabel.predictor.find_spec", lambda name: None)
    with pytest.raises(FewlabelError, match=r"pip install 'fewlabel\[onnx\]'"):
        export(model, "onnx", tmp_path / "m.onnx")


@pytest.mark.parametrize("file_format", ["onnx", "savedmodel"])
def test_an_export_that_fails_leaves_nothing(model, tmp_path, monkeypatch, file_format):
    def half(self, path, **options):
        if file_format == "savedmodel":
            path.mkdir()
            path = path / "saved_model.pb"
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(import_keras().Model, "export", half)
    with pytest.raises(ArtifactError, match="m cannot be written: no space left"):
        export(model, file_format, tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["classifier.keras"]
