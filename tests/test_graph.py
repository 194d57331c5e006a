"""The kNN graph and the spreading of labels against slow references."""

import resource
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors
from sklearn.semi_supervised import LabelSpreading

from fewlabel import engine, parallel
from fewlabel.errors import FewlabelError
from fewlabel.propagation.approximate_neighbors import MIN_RECALL, approximate_neighbors
from fewlabel.propagation.knn_graph import (
    affinity_graph,
    in_order,
    nearest_neighbors,
    spread_labels,
)
from fewlabel.propagation.smoothed_features import SmoothedFeatures
from fewlabel.settings import read_params
from fewlabel.storage import ArtifactError, StoredArray, load_json, save_array, save_graph
from stages import graph as graph_stage

CHECKOUT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("n_samples", "n_features", "n_neighbors"),
    [
        (2, 1, 1),
        (31, 4, 30),
        (32, 4, 31),
        (33, 4, 32),
        (64, 3, 5),
        (100, 7, 98),
        (100, 7, 99),
        (1000, 16, 1),
        (3001, 20, 15),
        (3000, 20, 200),
    ],
)
def test_nearest_neighbors_are_exact(n_samples, n_features, n_neighbors):
    rng = np.random.default_rng(n_samples)
    X = rng.normal(5, 1, size=(n_samples, n_features)).astype(np.float32)
    reference = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(X.astype(float))
    expected_distances, expected = reference.kneighbors()
    neighbors, distances = nearest_neighbors(X, n_neighbors)
    assert neighbors.dtype == np.int32
    assert distances.dtype == np.float32
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-4)
    # Two neighbors may change places where float32 cannot tell their distances apart.
    swapped = neighbors != expected
    offsets = X[neighbors].astype(float) - X[:, None]
    actual_distances = np.linalg.norm(offsets, axis=2)
    np.testing.assert_allclose(actual_distances[swapped], expected_distances[swapped], rtol=1e-5)
    assert swapped.mean() < 1e-3
    assert (np.diff(np.sort(neighbors, axis=1), axis=1) > 0).all()
    assert (neighbors != np.arange(n_samples)[:, None]).all()


@pytest.mark.parametrize(("n_samples", "n_neighbors"), [(90, 7), (500, 40), (40, 39)])
def test_nearest_neighbors_among_duplicates(n_samples, n_neighbors):
    # Points of a small grid, each many times over: ties everywhere, also with the point itself.
    X = np.random.default_rng(0).integers(0, 3, size=(n_samples, 3)).astype(np.float32)
    reference = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(X)
    neighbors, distances = nearest_neighbors(X, n_neighbors)
    np.testing.assert_allclose(distances, reference.kneighbors()[0], atol=1e-5)
    np.testing.assert_allclose(
        np.linalg.norm(X[neighbors] - X[:, None], axis=2), distances, atol=1e-5
    )
    assert (np.diff(np.sort(neighbors, axis=1), axis=1) > 0).all()
    assert (neighbors != np.arange(n_samples)[:, None]).all()


def test_small_distances_far_from_the_origin_keep_their_digits():
    # |a|^2 + |b|^2 - 2ab of these points has no right digit in float32.
    X = 1000 + np.arange(200, dtype=np.float32)[:, None] / 64
    _, distances = nearest_neighbors(X, 2)
    np.testing.assert_allclose(distances[1:-1], 1 / 64, rtol=1e-3)


def random_graph(n_samples=60, n_neighbors=4):
    X = np.random.default_rng(1).normal(size=(n_samples, 2)).astype(np.float32)
    neighbors, distances = nearest_neighbors(X, n_neighbors)
    return neighbors, distances, affinity_graph(neighbors, distances)


def test_affinity_graph_equals_a_loop():
    neighbors, distances, graph = random_graph()
    n_samples, n_neighbors = neighbors.shape
    weights = np.zeros((n_samples, n_samples))
    for i in range(n_samples):
        for j in range(n_neighbors):
            weight = np.exp(-4 * distances[i, j] ** 2 / distances[i, -1] ** 2)
            weights[i, neighbors[i, j]] += weight
            weights[neighbors[i, j], i] += weight
    degree = weights.sum(axis=1)
    expected = weights / np.sqrt(np.outer(degree, degree))
    np.testing.assert_allclose(graph.toarray(), expected, rtol=1e-5)
    assert graph.dtype == np.float32


def test_affinity_graph_is_symmetric_and_normalized():
    _, _, graph = random_graph()
    dense = graph.toarray()
    np.testing.assert_allclose(dense, dense.T, rtol=1e-6)
    assert (dense >= 0).all()
    assert not dense.diagonal().any()
    # The spectrum of D^-1/2 W D^-1/2 lies in [-1, 1] and reaches 1: spreading neither grows nor
    # dies out.
    np.testing.assert_allclose(np.abs(np.linalg.eigvalsh(dense)).max(), 1, rtol=1e-5)


def test_no_more_neighbors_than_there_are_other_images(tmp_path, monkeypatch, vouch):
    monkeypatch.chdir(tmp_path)
    params = read_params(CHECKOUT / "tests/params.yaml")
    assert params.graph.n_neighbors == 10
    save_array("data/embedded/train_embedding.npy", np.eye(10, dtype=np.float32))
    vouch()
    with pytest.raises(FewlabelError, match=r"^graph\.n_neighbors is 10, but must be at most 9, "):
        graph_stage.main(params)
    save_array("data/embedded/train_embedding.npy", np.eye(11, dtype=np.float32))
    vouch()
    graph_stage.main(params)
    assert sparse.load_npz("data/graph/affinity.npz").shape == (11, 11)


def test_affinity_graph_of_equal_images():
    # All distances are 0, and so is the kernel's width.
    neighbors = np.array([[1, 2], [0, 2], [0, 1]])
    graph = affinity_graph(neighbors, np.zeros((3, 2), np.float32))
    np.testing.assert_allclose(graph.toarray(), (1 - np.eye(3)) / 2, rtol=1e-6)


def test_spread_labels_equals_the_iteration_in_float64():
    *_, graph = random_graph()
    rng = np.random.default_rng(2)
    y = np.where(rng.random(graph.shape[0]) < 0.2, rng.integers(0, 3, graph.shape[0]), -1)
    weights = rng.integers(1, 50, len(y))
    seeds = np.zeros((len(y), 3))
    for i, label in enumerate(y):
        if label >= 0:
            seeds[i, label] = weights[i]
    scores = seeds
    for _ in range(7):
        scores = 0.8 * graph.toarray().astype(float) @ scores + (1 - 0.8) * seeds
    reached = scores.sum(axis=1) > 0
    expected = np.full_like(scores, 1 / 3)
    expected[reached] = scores[reached] / scores[reached].sum(axis=1, keepdims=True)
    spread = spread_labels(graph, y, weights, n_classes=3, alpha=0.8, n_iterations=7)
    np.testing.assert_allclose(spread, expected, rtol=1e-4, atol=1e-6)
    assert spread.dtype == np.float32


def test_spread_labels_converges_to_the_closed_form():
    # Zhou et al.: F* is proportional to (I - alpha S)^-1 Y.
    *_, graph = random_graph()
    y = np.full(graph.shape[0], -1)
    y[:6] = [0, 1, 2, 0, 1, 2]
    scores = np.linalg.solve(np.eye(len(y)) - 0.5 * graph.toarray(), np.eye(4)[y][:, :3])
    reached = scores.sum(axis=1) > 1e-12
    spread = spread_labels(graph, y, np.ones(len(y)), n_classes=3, alpha=0.5, n_iterations=80)
    np.testing.assert_allclose(
        spread[reached], scores[reached] / scores[reached].sum(axis=1, keepdims=True), atol=1e-5
    )


@pytest.mark.filterwarnings("ignore:max_iter=50 was reached")
def test_spread_labels_agrees_with_scikit_learn():
    *_, graph = random_graph()
    y = np.full(graph.shape[0], -1)
    y[:9] = [0, 1, 2] * 3

    class OnOurGraph(LabelSpreading):
        def _build_graph(self):
            return graph.tocsr()

    reference = OnOurGraph(alpha=0.9, max_iter=50, tol=0).fit(np.zeros((len(y), 1)), y)
    spread = spread_labels(graph, y, np.ones(len(y)), n_classes=3, alpha=0.9, n_iterations=50)
    component = connected_components(graph)[1]
    reached = np.isin(component, component[:9])
    np.testing.assert_array_equal(spread.argmax(axis=1)[reached], reference.transduction_[reached])
    np.testing.assert_allclose(
        spread[reached], reference.label_distributions_[reached], rtol=1e-3, atol=1e-5
    )


def test_what_no_label_reaches_is_uniform():
    neighbors = np.array([[1], [0], [3], [2]])
    graph = affinity_graph(neighbors, np.ones((4, 1), np.float32))
    y = np.array([2, -1, -1, -1])
    spread = spread_labels(graph, y, np.ones(4), n_classes=5, alpha=0.9, n_iterations=30)
    np.testing.assert_allclose(spread[:2], np.eye(5)[[2, 2]])
    np.testing.assert_allclose(spread[2:], 1 / 5)


def test_the_order_of_images_changes_no_bit():
    *_, graph = random_graph()
    rng = np.random.default_rng(0)
    y = np.where(rng.random(graph.shape[0]) < 0.2, rng.integers(0, 3, graph.shape[0]), -1)
    settings = {"n_classes": 3, "alpha": 0.9, "n_iterations": 30}
    order, weights = rng.permutation(len(y)), np.ones(len(y))
    plain = spread_labels(graph, y, weights, **settings)
    ordered = np.empty_like(plain)
    ordered[order] = spread_labels(in_order(graph, order), y[order], weights[order], **settings)
    np.testing.assert_array_equal(ordered, plain)
    assert len(np.unique(plain[:, 0])) > 10


@pytest.fixture
def smoothed(tmp_path, monkeypatch, vouch):
    """Return a function from a graph and features to all rows of `SmoothedFeatures`."""
    monkeypatch.chdir(tmp_path)

    def rows(graph, X, **settings):
        save_graph("data/affinity.npz", graph)
        save_array("data/features.npy", X)
        vouch()
        features = SmoothedFeatures(
            "data/affinity.npz", StoredArray(Path("data/features.npy")), **settings
        )
        some = np.array([5, 1])
        np.testing.assert_array_equal(features[some], features[:][some])
        assert features.shape == features[:].shape
        return features[:]

    return rows


def test_graph_smoothed_features_equal_the_iteration_in_float64(smoothed):
    *_, graph = random_graph()
    X = np.random.default_rng(1).normal(size=(graph.shape[0], 37)).astype(np.float32)
    X[3] = 0
    diffused = exact = X.astype(float)
    for _ in range(4):
        diffused = 0.7 * (graph.toarray() @ diffused) + 0.3 * exact
    length = np.linalg.norm(exact, axis=1) / np.linalg.norm(diffused, axis=1)
    expected = np.hstack([diffused * length[:, None], exact / 2])
    features = smoothed(graph, X, alpha=0.7, n_iterations=4)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)
    assert features.dtype == np.float32


def test_no_share_of_neighbors_leaves_the_features_as_they_are(smoothed):
    *_, graph = random_graph()
    X = np.random.default_rng(1).normal(size=(graph.shape[0], 5)).astype(np.float32)
    features = smoothed(graph, X, alpha=0, n_iterations=4)
    np.testing.assert_allclose(features, np.hstack([X, X / 2]), rtol=1e-6)


@pytest.fixture(scope="module")
def many():
    """Return rows of more structure than noise, as embeddings have it; some are equal."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 4)) @ rng.normal(size=(4, 16)) + 0.1 * rng.normal(size=(4000, 16))
    X[:60] = X[60]
    return X.astype(np.float32)


@pytest.fixture
def approximate(tmp_path, monkeypatch):
    """Return `approximate_neighbors` of an array, whose file it needs."""
    monkeypatch.chdir(tmp_path)

    def find(X, n_neighbors):
        save_array("X.npy", X)
        found = approximate_neighbors(StoredArray(Path("X.npy")), n_neighbors)
        engine.finish("graph")
        return found

    return find


def test_approximate_neighbors_are_nearly_the_exact_ones(many, approximate):
    neighbors, distances, recall = approximate(many, 7)
    expected, _ = nearest_neighbors(many, 7)
    found = [len(np.intersect1d(*pair)) for pair in zip(neighbors, expected, strict=True)]
    different = slice(61, None)  # any of equal rows will do
    assert recall >= MIN_RECALL
    assert np.mean(found[different]) / 7 == pytest.approx(recall, abs=0.03)
    assert (neighbors != np.arange(len(many))[:, None]).all()
    assert (np.diff(np.sort(neighbors, axis=1), axis=1) > 0).all()
    offsets = many[neighbors].astype(float) - many[:, None]
    np.testing.assert_allclose(distances, np.linalg.norm(offsets, axis=2), atol=1e-5)


def test_approximate_neighbors_do_not_depend_on_the_number_of_cores(many, approximate, monkeypatch):
    results = []
    for n_cores in (1, 4):
        monkeypatch.setattr(parallel, "cpu_count", lambda n=n_cores: n)
        neighbors, distances, _ = approximate(many, 7)
        results.append(neighbors.tobytes() + distances.tobytes())
    assert results[0] == results[1]


def test_lists_whose_last_byte_finds_no_space_end_in_one_sentence(many, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_array("X.npy", many)
    lists = engine.UNFINISHED / "graph/lists.faiss"
    approximate_neighbors(StoredArray(Path("X.npy")), 7)
    n_bytes = lists.stat().st_size
    engine.finish("graph")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes - 1, most))
    try:
        with pytest.raises(ArtifactError, match=r"lists\.faiss cannot be written: File too large"):
            approximate_neighbors(StoredArray(Path("X.npy")), 7)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert list(lists.parent.iterdir()) == []


def test_a_row_with_too_few_rows_in_its_lists_is_compared_with_all(approximate):
    X = np.repeat(np.float32([[0], [1000], [2000], [3000]]), 4, axis=0)
    X += np.tile(np.float32([[0], [1], [2], [3]]), (4, 1))
    neighbors, _, recall = approximate(X, 5)
    assert recall == 1
    assert [sorted(row[:3]) for row in neighbors[:2].tolist()] == [[1, 2, 3], [0, 2, 3]]


def test_many_images_get_approximate_neighbors_and_few_get_exact_ones(
    many, tmp_path, monkeypatch, vouch
):
    monkeypatch.chdir(tmp_path)
    save_array("data/embedded/train_embedding.npy", many)
    vouch()
    recalls = []
    for n_exact in (len(many), len(many) - 1):
        monkeypatch.setattr(graph_stage, "MAX_EXACT", n_exact)
        graph_stage.main(read_params(CHECKOUT / "tests/params.yaml"))
        recalls.append(load_json("metrics/graph.json")["neighbor_recall"])
    assert recalls[0] == 1
    assert MIN_RECALL <= recalls[1] < 1
