"""What every method of a kind must do, whatever it is: the module that is new is tested, too."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer

from fewlabel.keras_session import import_keras
from fewlabel.methods import CHOICES, Clusters, Pool, names, settings_of, suited_name
from fewlabel.propagation.knn_graph import affinity_graph, nearest_neighbors
from fewlabel.rows import ImageRows, transformed

SHAPE = (12, 12)
SMALL = {  # So that each fits 60 images of 12 x 12 pixels in a second.
    "patches": {
        "n_centroids": 16,
        "n_sampled_patches": 500,
        "n_components": 8,
        "n_leading_components": 4,
        "pooling_grid": 2,
    },
    "pca": {"n_components": 8},
    "pretrained": {"model": "data/networks/tiny.keras", "scaling": "unit"},
    "mlp": {"epochs": 1, "min_steps": 4},
    "wide_mlp": {"epochs": 1, "min_steps": 4},
    "cnn": {"epochs": 1, "min_steps": 4},
    "small_cnn": {"epochs": 1, "min_steps": 4},
    "cnn_mlp_ensemble": {
        "cnn": settings_of("classifiers", "cnn")(epochs=1, min_steps=4),
        "wide_mlp": settings_of("classifiers", "cnn_mlp_ensemble")().wide_mlp.model_copy(
            update={"epochs": 1, "min_steps": 4}
        ),
    },
}


def make(kind, name):
    return settings_of(kind, name)(**SMALL.get(name, {}))


def runs(kind):
    """Return the names of the methods of a kind that do not leave it to another."""
    return [name for name in names(kind) if not settings_of(kind, name).candidates]


def in_layers(to_keras, X):
    """Return what layers, built of rows, make of X."""
    keras = import_keras()
    rows = keras.Input((X.shape[1],))
    return keras.Model(rows, to_keras(keras, rows)).predict(X, verbose=0)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    bright = np.arange(60) % 3
    return (rng.random((60, *SHAPE)) / 2 + bright[:, None, None] / 6).astype(np.float32), bright


@pytest.mark.parametrize("kind", CHOICES)
def test_a_module_explains_itself_in_one_line(kind):
    for name in names(kind):
        module = inspect.getmodule(settings_of(kind, name))
        line = module.__doc__.splitlines()[0]
        assert line.endswith(".")
        assert len(line) < 100


@pytest.mark.parametrize("name", runs("embeddings"))
def test_an_embedding(name, images, tiny_network, monkeypatch):
    monkeypatch.chdir(tiny_network)
    method, (pixels, _) = make("embeddings", name), images
    rows = pixels.reshape(60, -1)
    assert method.problems(60, SHAPE) == []
    assert all(n > 0 for n in method.memory_needed(SHAPE, [60, 10], 2).values())
    features = method.build(SHAPE, seed=3).fit(rows).transform(rows)
    assert features.shape[0] == 60
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features, method.build(SHAPE, seed=3).fit(rows).transform(rows))
    # As the pipeline does: pixels are made a block at a time.
    pixels = ImageRows(images=pixels, normalization=FunctionTransformer())
    fitted = method.build(SHAPE, seed=3).fit(pixels)
    np.testing.assert_allclose(transformed(fitted, pixels), features, atol=1e-4)
    in_keras = in_layers(lambda keras, rows: method.to_keras(keras, fitted, rows), rows)
    np.testing.assert_allclose(in_keras, features, atol=1e-5)
    leading = method.leading(features)
    assert len(leading) == 60
    assert leading.shape[1] <= features.shape[1]
    if method.ordered_components:
        variance = features.var(axis=0)
        assert variance[0] == variance.max()


@pytest.mark.parametrize("name", names("selection"))
def test_a_selection(name, images):
    rows = images[0].reshape(60, -1)
    clusters = make("selection", name).select(rows, n_clusters=5, seed=3)
    assert isinstance(clusters, Clusters)
    assert len(set(clusters.representatives)) == 5
    np.testing.assert_array_equal(clusters.assignment[clusters.representatives], range(5))
    assert clusters.distance.shape == clusters.assignment.shape == (60,)
    assert (clusters.distance >= 0).all()
    again = make("selection", name).select(rows, n_clusters=5, seed=3)
    for array, same in zip(clusters[1:], again[1:], strict=True):
        np.testing.assert_array_equal(array, same)


@pytest.mark.parametrize("n_labels", [0, 1, 6])
@pytest.mark.parametrize("name", runs("propagation"))
def test_a_propagation(name, n_labels, images):
    pixels, classes = images
    rows = pixels.reshape(60, -1)
    y = np.full(60, -1)
    y[:n_labels] = classes[:n_labels]
    embedding = make("embeddings", "pca").build(SHAPE, 0).fit(rows)
    features = embedding.transform(rows).astype(np.float32)
    pool = Pool(
        y=y,
        n_classes=3,
        assignment=np.arange(60) % 6,
        distance=lambda: np.linspace(0, 1, 60, dtype=np.float32),
        affinity=lambda: affinity_graph(*nearest_neighbors(features, 5)),
        images=lambda: ImageRows(images=pixels, normalization=FunctionTransformer()),
        features=features,
        embedding=lambda: embedding,
        facts=make("embeddings", "pca"),
    )
    pseudo_labels, confidence = make("propagation", name).propagate(pool)
    assert pseudo_labels.shape == confidence.shape == (60,)
    assert pseudo_labels.dtype.kind == "i"
    assert set(pseudo_labels) <= {-1, *y[:n_labels]}
    np.testing.assert_array_equal(pseudo_labels[:n_labels], y[:n_labels])
    assert np.isposinf(confidence[:n_labels]).all()
    assert np.isfinite(confidence[n_labels:]).all()


@pytest.mark.parametrize("kind", ["embeddings", "classifiers"])
def test_a_choice_is_of_methods_that_run(kind):
    shapes = [(28, 28), (64, 64), (65, 64), (8, 8, 3)]
    for name in set(names(kind)) - set(runs(kind)):
        method = make(kind, name)
        assert set(method.candidates) <= set(runs(kind))
        assert {suited_name(kind, name, shape) for shape in shapes} == set(method.candidates)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", runs("classifiers"))
def test_a_classifier(name, images):
    pixels, classes = images
    method = make("classifiers", name)
    rows = pixels.reshape(60, -1)
    X = {
        "pixels": rows,
        "embedding": rows[:, :20],
        "pixels and embedding": np.hstack([rows, rows[:, :20]]),
    }[method.reads]
    classifier = method.build(None if method.reads == "embedding" else SHAPE, seed=3)
    assert clone(classifier).get_params().keys() == classifier.get_params().keys()
    classifier.fit(X, classes * 2)
    method.check(classifier)
    np.testing.assert_array_equal(classifier.classes_, [0, 2, 4])
    probabilities = classifier.predict_proba(X)
    pixels = ImageRows(images=pixels, normalization=FunctionTransformer())
    lazy = {
        "pixels": pixels,
        "embedding": rows[:, :20],
        "pixels and embedding": replace(pixels, features=rows[:, :20]),
    }[method.reads]
    same = method.build(None if method.reads == "embedding" else SHAPE, seed=3)
    same.fit(lazy, classes * 2)
    np.testing.assert_allclose(same.predict_proba(X), probabilities, atol=1e-6)
    model = getattr(classifier, "model_", classifier)
    in_keras = in_layers(lambda keras, rows: method.to_keras(keras, model, rows), X)
    np.testing.assert_allclose(in_keras, probabilities, atol=1e-5)
    assert probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert set(classifier.predict(X)) <= {0, 2, 4}


@pytest.mark.parametrize("name", names("datasets"))
def test_what_is_known_of_a_data_set(name):
    dataset = make("datasets", name)
    if dataset.facts is None:
        assert dataset.no_oracle
        assert dataset.own_files is not None
    else:
        assert min(dataset.facts[:2]) > 0
        assert len(set(dataset.names_of_classes())) >= 2
        assert dataset.problems() == []
