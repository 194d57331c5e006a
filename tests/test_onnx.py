"""A user's own network in ONNX: what it gives, what is refused, and how it is packaged."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pooch
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from fewlabel import safe_onnx
from fewlabel.calibration import tempered
from fewlabel.classifiers.files import classifier_input, load_classifier
from fewlabel.embeddings.frozen_network import FrozenNetwork, of_catalog, of_file
from fewlabel.embeddings.onnx_network import OnnxNetwork, of_onnx_file
from fewlabel.embeddings.pretrained import Settings
from fewlabel.errors import FewlabelError
from fewlabel.keras_format import model_bytes
from fewlabel.keras_session import import_keras, new_session
from fewlabel.predictor import ModelFileError, PortableClassifier, export
from fewlabel.safe_keras import UnsafeModelError
from fewlabel.safe_onnx import OnnxSession
from tests.conftest import EAGERLY, TINY_NETWORKS, Project, save_tiny_network
from tests.test_predictor import changed

FIRST, LAST = ("N", 3, 8, 8), ("N", 8, 8, 3)
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
IMAGES = np.random.default_rng(0).random((70, 8, 8, 3)).astype(np.float32)


def weight(name, dtype, *shape):
    values = np.random.default_rng(len(shape)).normal(size=shape) / 3
    return numpy_helper.from_array(values.astype(helper.tensor_dtype_to_np_dtype(dtype)), name)


def network(shape=FIRST, output="pooled", dtype=FLOAT, n_inputs=1, more=()):
    """Return a network whose patches of 2 x 2 pixels look at each other, and give two outputs."""
    last = shape[1:] == LAST[1:]
    nodes = [
        helper.make_node("Transpose", ["pixels"], ["first"], perm=[0, 3, 1, 2] if last else None),
        helper.make_node("Conv", ["first", "kernel"], ["conv"], strides=[2, 2]),
        helper.make_node("Transpose", ["conv"], ["maps"], perm=[0, 2, 3, 1] if last else None),
        helper.make_node("Reshape", ["conv", "shape"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["rows"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["rows", "columns"], ["alike"]),
        helper.make_node("Softmax", ["alike"], ["shares"]),
        helper.make_node("MatMul", ["shares", "rows"], ["mixed"]),
        helper.make_node("MatMul", ["mixed", "dense"], ["tokens"]),
        helper.make_node("ReduceMean", ["tokens", "axis"], ["pooled"], keepdims=0),
    ]
    if not last:
        for i in (0, 2):
            nodes[i] = helper.make_node("Identity", nodes[i].input, nodes[i].output)
    rank = {"pooled": 2, "tokens": 3, "maps": 4}[output]
    graph = helper.make_graph(
        [*nodes, *more],
        "network",
        [helper.make_tensor_value_info(f"pixels{i or ''}", dtype, shape) for i in range(n_inputs)],
        [
            helper.make_tensor_value_info(output, dtype, [None] * rank),
            helper.make_tensor_value_info("alike", dtype, [None] * 3),
        ],
        [
            weight("kernel", dtype, 6, 3, 2, 2),
            weight("dense", dtype, 6, 5),
            numpy_helper.from_array(np.array([0, 6, -1]), "shape"),
            numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("custom", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


@pytest.fixture
def saved(tmp_path):
    """Return a function that writes a network, or bytes, and returns the path."""

    def save(content, name="mine.onnx"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        return str(path)

    return save


@pytest.fixture
def content(saved):
    return of_onnx_file(saved(network()), None, "unit", "class")


def rows_of(images):
    return images.reshape(len(images), -1)


def forget():
    Path(pooch.os_cache("fewlabel"), "features.sqlite").unlink()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("tokens", ["class", "mean"])
@pytest.mark.parametrize("output", ["pooled", "tokens", "maps"])
@pytest.mark.parametrize("shape", [FIRST, LAST, (1, *FIRST[1:]), ("N", "C", "H", "W")])
def test_features_are_what_the_standard_says(shape, output, tokens, saved):
    model = network(shape, output)
    size = 8 if "H" in shape else None
    content = of_onnx_file(saved(model), size, "clip", tokens)
    given = OnnxNetwork(content, (8, 8, 3)).transform(rows_of(IMAGES[:5]))
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    images = ((IMAGES[:5] - mean) / std).astype(np.float32)
    last = shape == LAST
    images = images if last else images.transpose(0, 3, 1, 2)
    expected, _ = ReferenceEvaluator(model).run(None, {"pixels": images})
    if output == "tokens":
        expected = expected[:, 0] if tokens == "class" else expected.mean(axis=1)
    elif output == "maps":
        expected = expected.mean(axis=(1, 2) if last else (2, 3))
    np.testing.assert_allclose(given, expected, atol=1e-5)


def test_half_precision_is_read(saved):
    rows = rows_of(IMAGES[:5])
    half, single = (
        OnnxNetwork(of_onnx_file(saved(network(dtype=dtype)), None, "unit", "class"), (8, 8, 3))
        for dtype in (HALF, FLOAT)
    )
    np.testing.assert_allclose(half.transform(rows), single.transform(rows), atol=0.01)
    assert half.transform(rows).dtype == np.float32


def exported(model, path):
    model.predict(np.zeros((1, *model.input_shape[1:]), np.float32), verbose=0)
    model.export(path, format="onnx", verbose=False)
    return str(path)


@pytest.mark.parametrize("image_shape", [(8, 8, 3), (13, 10)])
def test_the_same_network_gives_what_it_gives_in_keras(image_shape, tmp_path):
    save_tiny_network(tmp_path / "mine.keras")
    model = import_keras().models.load_model(tmp_path / "mine.keras")
    path = exported(model, tmp_path / "mine.onnx")
    rows = np.random.default_rng(0).random((20, np.prod(image_shape))).astype(np.float32)
    settings = (None, "imagenet", "class")
    expected = FrozenNetwork(of_file(str(tmp_path / "mine.keras"), *settings), image_shape)
    given = OnnxNetwork(of_onnx_file(path, *settings), image_shape)
    np.testing.assert_allclose(given.transform(rows), expected.transform(rows), atol=1e-5)


@pytest.mark.network
def test_a_network_of_the_catalog_gives_what_it_gives_in_keras(tmp_path):
    from sklearn.datasets import load_sample_images

    from fewlabel.embeddings.catalog import CATALOG, fetch_weights
    from fewlabel.embeddings.inverted_residuals import inverted_residuals

    entry, weights = CATALOG["mobilenetv2"], fetch_weights("mobilenetv2")
    keras, _ = new_session(0)
    model = inverted_residuals(keras, entry.architecture, weights, 160)
    path = exported(model, tmp_path / "mobilenetv2.onnx")
    photos = np.stack([photo[:400, :400] for photo in load_sample_images().images])
    rows = rows_of(photos).astype(np.float32) / 255
    expected = FrozenNetwork(of_catalog("mobilenetv2", 160), (400, 400, 3)).transform(rows)
    content = of_onnx_file(path, None, entry.scaling, "class")
    given = OnnxNetwork(content, (400, 400, 3)).transform(rows)
    np.testing.assert_allclose(given, expected, atol=1e-4)


def test_features_depend_neither_on_images_beside_nor_on_cores(content, monkeypatch):
    rows = rows_of(IMAGES)
    together = OnnxNetwork(content, (8, 8, 3)).transform(rows)
    for n_cores, step in ((1, 1), (1, 7), (3, 49)):
        forget()
        monkeypatch.setattr(safe_onnx, "cpu_count", lambda n=n_cores: n)
        other = OnnxNetwork(content, (8, 8, 3))
        n = min(5 * step, len(rows))
        parts = [other.transform(rows[i : i + step]) for i in range(0, n, step)]
        assert np.vstack(parts).tobytes() == together[:n].tobytes()


def test_only_new_images_are_computed(content, monkeypatch):
    rows = rows_of(IMAGES)
    computed = []
    run = OnnxSession.__call__

    def count(self, images, shape):
        computed.append(len(images))
        return run(self, images, shape)

    monkeypatch.setattr(OnnxSession, "__call__", count)
    features = OnnxNetwork(content, (8, 8, 3)).transform(rows[:10])
    again = OnnxNetwork(content, (8, 8, 3)).transform(rows[:12])
    np.testing.assert_array_equal(again[:10], features)
    assert computed == [10, 2]


def test_a_fitted_embedding_is_the_same_bytes_and_works_after_it_was_stored(saved):
    settings = Settings(model=saved(network()), scaling="unit")
    rows = rows_of(IMAGES)

    def stored():
        fitted = settings.build((8, 8, 3), 0).fit(rows)
        fitted.transform(rows)
        joblib.dump(fitted, file := io.BytesIO())
        return file.getvalue(), fitted.transform(rows)

    (content, features), (again, _) = stored(), stored()
    assert content == again
    forget()
    np.testing.assert_array_equal(joblib.load(io.BytesIO(content)).transform(rows), features)


def elsewhere(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return model


def in_a_branch(inner):
    """Return a network with a node in a part that runs on a condition."""
    value = helper.make_tensor_value_info("of_branch", FLOAT, None)
    branch = helper.make_graph([inner], "branch", [], [value])
    true = helper.make_node("Constant", [], ["yes"], value_ints=[1])
    cast = helper.make_node("Cast", ["yes"], ["true"], to=TensorProto.BOOL)
    condition = helper.make_node("If", ["true"], ["x"], then_branch=branch, else_branch=branch)
    return network(more=[true, cast, condition])


def of_custom():
    return helper.make_node("Run", ["alike"], ["of_branch"], domain="custom")


def random_numbers():
    return helper.make_node("RandomNormalLike", ["alike"], ["of_branch"])


def dropout_in_training():
    return helper.make_node("Dropout", ["alike", "", "true"], ["of_branch"])


def with_function():
    model = network(more=[helper.make_node("Mine", ["alike"], ["y"], domain="custom")])
    body = [helper.make_node("Identity", ["a"], ["b"])]
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("custom", "Mine", ["a"], ["b"], body, opsets))
    return model


def flat(*shape):
    tensors = [helper.make_tensor_value_info(name, FLOAT, shape) for name in ("pixels", "y")]
    nodes = [helper.make_node("Relu", ["pixels"], ["y"])]
    return helper.make_model(
        helper.make_graph(nodes, "flat", tensors[:1], tensors[1:]), ir_version=9
    )


def polyglot():
    """Return ONNX that begins as ONNX Runtime's own format does."""
    model = network(more=[of_custom()])
    model.ClearField("producer_name")
    content = model.SerializeToString()
    assert content[:1] == b"\x08"
    return content[:2] + b"\x12\x04ORTM" + content[2:]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: elsewhere(network()), "has weights in other files, but a network in ONNX must be"),
        (lambda: network(more=[of_custom()]), "has Run of custom, but"),
        (lambda: in_a_branch(of_custom()), "has Run of custom, but"),
        (lambda: in_a_branch(random_numbers()), "has RandomNormalLike, but"),
        (lambda: in_a_branch(dropout_in_training()), "has Dropout, but"),
        (with_function, "has Mine of custom, but"),
        (polyglot, "has Run of custom, but"),
        (lambda: network(n_inputs=2), r"takes tensor\(float\), tensor\(float\), but must take one"),
        (lambda: network(("N", 1, 8, 8)), "must take square images with 3 channels"),
        (lambda: network(("N", 3, 8, 6)), "must take square images with 3 channels"),
        (lambda: network((4, 3, 8, 8)), "where N is 1 or free"),
        (lambda: flat("N", 192), "must take square images with 3 channels"),
        (lambda: flat("N", 3, 8, 8, 8), "must take square images with 3 channels"),
        (lambda: b"", "does not load in ONNX Runtime"),
        (lambda: b"PK no ONNX", "is no whole ONNX file"),
        (lambda: network(more=[helper.make_node("Mine", ["alike"], ["y"])]), "does not load in"),
    ],
)
def test_another_network_is_refused(make, words, saved, capfd):
    with pytest.raises(FewlabelError, match=words) as refused:
        of_onnx_file(saved(make()), None, "unit", "class")
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_other_numbers_are_refused(saved):
    model = network()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node.insert(0, helper.make_node("Cast", ["pixels"], ["cast"], to=FLOAT))
    model.graph.node[1].input[0] = "cast"
    with pytest.raises(FewlabelError, match=r"takes tensor\(uint8\), but must take one"):
        of_onnx_file(saved(model), None, "unit", "class")
    model = network()
    model.graph.node.append(helper.make_node("ArgMax", ["pooled"], ["best"]))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("best", TensorProto.INT64, None))
    with pytest.raises(FewlabelError, match="must give float32 or float16 first, a row for each"):
        of_onnx_file(saved(model), None, "unit", "class")


def test_a_size_that_does_not_fit_is_refused(saved):
    with pytest.raises(FewlabelError, match="image_size is 16, but must be 8 or null"):
        of_onnx_file(saved(network()), 16, "unit", "class")
    model = network(("N", 3, "H", "W"))
    model.graph.node[3].op_type = "Reshape"  # to 16 patches, as a network of positions has them
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.array([0, 6, 16]), "shape"))
    assert of_onnx_file(saved(model), 8, "unit", "class")
    with pytest.raises(FewlabelError, match=r"run on images of \(3, 160, 160\) .*image_size"):
        of_onnx_file(saved(model), None, "unit", "class")


def test_features_that_are_no_numbers_are_refused(saved):
    model = network()
    model.graph.initializer[1].CopyFrom(
        numpy_helper.from_array(np.full((6, 5), np.inf, np.float32), "dense")
    )
    network_ = OnnxNetwork(of_onnx_file(saved(model), None, "unit", "class"), (8, 8, 3))
    with pytest.raises(FewlabelError, match="features that are not finite numbers"):
        network_.transform(rows_of(IMAGES[:2]))


def test_damaged_bytes_are_refused_in_one_sentence(saved):
    whole = network().SerializeToString()
    rng = np.random.default_rng(0)
    refusals = []
    for i in range(150):
        damaged = bytearray(whole[: rng.integers(len(whole))] if i % 3 == 0 else whole)
        for place in rng.integers(len(damaged), size=i % 4) if damaged else ():
            damaged[place] = rng.integers(256)
        try:
            of_onnx_file(saved(bytes(damaged)), None, "unit", "class")
        except FewlabelError as error:
            refusals.append(str(error))
    assert len(refusals) > 50
    assert "\n" not in "".join(refusals)


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_missing_library_is_named(library, saved, monkeypatch):
    monkeypatch.setattr(safe_onnx, "find_spec", lambda name: None if name == library else name)
    with pytest.raises(FewlabelError, match=r"needs onnxruntime: pip install 'fewlabel\[onnx\]'"):
        of_onnx_file(saved(network()), None, "unit", "class")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FewlabelError, match="which cannot be read"):
        of_onnx_file(str(tmp_path / "gone.onnx"), None, "unit", "class")


@pytest.fixture(scope="module")
def of_features(reproduced, once):
    """Return a project with a network in ONNX and a classifier of its features."""

    def make(folder):
        project = reproduced.copy(folder / "project")
        path = project.folder / "data/networks/mine.onnx"
        path.write_bytes(network(("N", 3, "H", "W"), "tokens").SerializeToString())
        settings = {
            "embed.method": "pretrained",
            "embed.pretrained.model": "data/networks/mine.onnx",
            "embed.pretrained.image_size": 16,
            "embed.pretrained.scaling": "symmetric",
            "embed.pretrained.tokens": "mean",
            "train.model": "logistic_regression",
        }
        project.set(TINY_NETWORKS | settings)
        project.repro("package")

    return Project(once("onnx", make) / "project", reproduced.environment)


@pytest.fixture(scope="module", params=["logistic_regression", "cnn_mlp_ensemble"])
def packaged(request, of_features, once):
    """Return a project with a network in ONNX and a classifier of features, and maybe of pixels."""
    if request.param == "logistic_regression":
        return of_features
    environment = of_features.environment

    def make(folder):
        project = of_features.copy(folder / "project")
        project = replace(project, environment=environment | EAGERLY)
        project.set({"train.model": request.param})
        project.repro("package")

    return Project(once(f"onnx {request.param}", make) / "project", environment)


@pytest.mark.usefixtures("eager")
def test_the_packaged_classifier_gives_what_the_pipeline_gives(packaged, monkeypatch):
    monkeypatch.chdir(packaged.folder)
    images = np.load("data/raw/test_images.npy")
    about, predict = load_classifier("models/propagated", 10)
    expected = predict(classifier_input(about["features"], "test"))
    temperature = json.loads(Path("models/shipped.json").read_text(encoding="utf-8"))["temperature"]
    expected = tempered(expected, temperature)
    classifier = PortableClassifier("models/classifier.keras")
    np.testing.assert_allclose(classifier.predict_proba(images), expected, atol=1e-5)
    assert classifier.predict_proba(images[:0]).shape == (0, 10)
    assert "- It needs fewlabel and onnxruntime: pip install 'fewlabel[cpu,onnx]'. A part" in (
        classifier.card
    )
    with zipfile.ZipFile("models/classifier.keras") as archive:
        assert json.loads(archive.read("about.json"))["needs"] == ["fewlabel", "onnxruntime"]


def test_it_is_exported_to_no_other_format(packaged, tmp_path):
    path = str(packaged.folder / "models/classifier.keras")
    for file_format in ("onnx", "savedmodel"):
        with pytest.raises(FewlabelError, match="use it with fewlabel predict or fewlabel serve"):
            export(path, file_format, str(tmp_path / "exported"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("parts", "error", "words"),
    [
        ({"network.onnx": network(more=[of_custom()])}, UnsafeModelError, "has Run of custom"),
        ({"network.onnx": elsewhere(network())}, UnsafeModelError, "weights in other files"),
        ({"network.onnx": flat("N", 192)}, FewlabelError, "cannot run on images of"),
        ({"network.onnx": b"damaged"}, FewlabelError, r"network.onnx in .* is no whole ONNX file"),
        ({"network.onnx": None}, ModelFileError, "of other images or classes than it says"),
        ({"network.onnx": network(("N", 3, "H", "W"))}, ModelFileError, "of other images or"),
        ({"network.onnx": network()}, FewlabelError, r"cannot run on images of \(3, 16, 16\)"),
        ({"network_input.keras": None}, ModelFileError, "is no whole classifier"),
        ({"network_input.keras": b"damaged"}, ModelFileError, "is no whole classifier"),
    ],
)
@pytest.mark.parametrize("packaged", ["logistic_regression"], indirect=True)
def test_changed_parts_are_refused_in_one_sentence(packaged, tmp_path, parts, error, words):
    path = tmp_path / "classifier.keras"
    path.write_bytes((packaged.folder / "models/classifier.keras").read_bytes())
    parts = {n: p.SerializeToString() if hasattr(p, "graph") else p for n, p in parts.items()}
    changed(path, **parts)
    with pytest.raises(error, match=words) as refused:
        PortableClassifier(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("packaged", ["logistic_regression"], indirect=True)
def test_layers_before_the_network_that_do_more_than_arithmetic_are_refused(packaged, tmp_path):
    path = tmp_path / "classifier.keras"
    path.write_bytes((packaged.folder / "models/classifier.keras").read_bytes())
    keras = import_keras()
    rows = keras.Input((8, 8), dtype="uint8")
    changed(path, **{
        "network_input.keras": model_bytes(
            keras.Model(rows, keras.layers.Lambda(lambda x: x)(rows))
        )
    })  # fmt: skip
    with pytest.raises(UnsafeModelError, match="has Lambda, "):
        PortableClassifier(path)


@pytest.mark.parametrize("packaged", ["logistic_regression"], indirect=True)
def test_a_library_that_a_classifier_needs_is_named(packaged, monkeypatch):
    monkeypatch.setattr(safe_onnx, "find_spec", lambda name: None)
    with pytest.raises(FewlabelError, match=r"needs onnxruntime: pip install 'fewlabel\[onnx\]'"):
        PortableClassifier(packaged.folder / "models/classifier.keras")
