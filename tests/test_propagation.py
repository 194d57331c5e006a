"""The most confident pseudo-labels, and labels propagated over clusters and over the graph."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.preprocessing import FunctionTransformer

from fewlabel.methods import Pool, names, settings_of
from fewlabel.propagation.cluster import spread_over_clusters
from fewlabel.propagation.graph import spread_over_graph
from fewlabel.propagation.kernel_regression import MIN_COMPONENTS
from fewlabel.propagation.knn_graph import affinity_graph, nearest_neighbors, spread_labels
from fewlabel.propagation.percentile import most_confident
from fewlabel.propagation.regression import combine_with_graph
from fewlabel.rows import ImageRows

# Few different values, so that ties are common; the infinities are what labeled images have.
CONFIDENCES = st.sampled_from([-np.inf, -2.5, -1.0, 0.0, 1e-7, 1.0, np.inf])
PERCENTILES = st.one_of(
    st.integers(1, 100), st.integers(1, 1000).map(lambda tenths: tenths / 10), st.just(1e-3)
)


@st.composite
def clusters_with_confidence(draw):
    n_images = draw(st.integers(1, 40))
    confidence = draw(arrays(np.float32, n_images, elements=CONFIDENCES))
    # Clusters may be missing and far apart: nothing says that they are numbered without gaps.
    clusters = st.sampled_from([0, 1, 2, 5, 100])
    return confidence, draw(arrays(np.int32, n_images, elements=clusters))


def exact_quota(n_images, percentile):
    """In decimal arithmetic: the percentile that the user wrote, not its nearest float."""
    return math.ceil(n_images * Fraction(str(percentile)) / 100)


@given(clusters_with_confidence(), PERCENTILES)
def test_most_confident_equals_a_loop(clusters, percentile):
    confidence, assignment = clusters
    expected = np.zeros(len(confidence), bool)
    for cluster in set(assignment):
        members = [i for i in range(len(confidence)) if assignment[i] == cluster]
        members.sort(key=lambda i: (-confidence[i], i))
        expected[members[: exact_quota(len(members), percentile)]] = True
    np.testing.assert_array_equal(most_confident(confidence, assignment, percentile), expected)


@given(clusters_with_confidence(), PERCENTILES)
def test_most_confident_leaves_out_only_what_is_no_more_confident(clusters, percentile):
    confidence, assignment = clusters
    chosen = most_confident(confidence, assignment, percentile)
    for cluster in np.unique(assignment):
        kept, left = (confidence[(assignment == cluster) & mask] for mask in (chosen, ~chosen))
        assert len(kept) == exact_quota(len(kept) + len(left), percentile) >= 1
        assert not len(left) or kept.min() >= left.max()


@given(clusters_with_confidence(), PERCENTILES, PERCENTILES)
def test_a_smaller_percentile_keeps_a_subset(clusters, one, other):
    few, many = (most_confident(*clusters, p) for p in sorted([one, other]))
    assert (many | ~few).all()


@given(clusters_with_confidence())
def test_percentile_100_keeps_all(clusters):
    assert most_confident(*clusters, 100).all()


@given(st.integers(1, 100_000), st.integers(1, 1000))
def test_quota_is_exact_in_large_clusters(n_images, tenths):
    chosen = most_confident(np.zeros(n_images), np.zeros(n_images, int), tenths / 10)
    quota = -(-n_images * tenths // 1000)
    np.testing.assert_array_equal(np.flatnonzero(chosen), np.arange(quota))


@pytest.mark.parametrize(
    # The product of a percentile and a number of images lies above a whole number by rounding.
    ("n_images", "percentile", "quota"),
    [(375, 8.8, 33), (1500, 2.2, 33), (11_000, 5.9, 649)],
)
def test_rounding_adds_no_image(n_images, percentile, quota):
    assert n_images * percentile / 100 > quota
    assert most_confident(np.zeros(n_images), np.zeros(n_images, int), percentile).sum() == quota


def test_spread_over_clusters_by_hand():
    pseudo_labels, confidence = spread_over_clusters(
        assignment=np.array([0, 1, 0, 3, 1, 3]),
        distance=np.array([0.5, 0.25, 1.0, 0.0, 2.0, 3.0]),
        y=np.array([-1, 4, 7, -1, -1, -1]),
    )
    np.testing.assert_array_equal(pseudo_labels, [7, 4, 7, -1, 4, -1])
    np.testing.assert_array_equal(
        confidence, np.float32([-0.5, np.inf, np.inf, 0, -2, -3]), strict=True
    )


@given(st.data())
def test_spread_over_clusters_equals_a_loop(data):
    n_images = data.draw(st.integers(1, 30))
    assignment = data.draw(arrays(np.int32, n_images, elements=st.integers(0, 6)))
    distance = data.draw(arrays(np.float32, n_images, elements=st.floats(0, 9, width=32)))
    before = distance.copy()
    y = np.full(n_images, -1)
    for cluster in np.unique(assignment):
        if data.draw(st.booleans()):
            y[data.draw(st.sampled_from(np.flatnonzero(assignment == cluster).tolist()))] = cluster
    pseudo_labels, confidence = spread_over_clusters(assignment, distance, y)
    for i in range(n_images):
        asked = any(y[j] >= 0 for j in range(n_images) if assignment[j] == assignment[i])
        assert pseudo_labels[i] == (assignment[i] if asked else -1)
        assert confidence[i] == (np.inf if y[i] >= 0 else -distance[i])
    np.testing.assert_array_equal(distance, before)


@pytest.fixture(scope="module")
def blobs():
    """Return affinity, cluster and true class of two blobs of unlike size, too far apart to touch.

    The third blob has no label, so nothing may reach it.
    """
    rng = np.random.default_rng(0)
    sizes = (40, 20, 12)
    truth = np.repeat([0, 1, 2], sizes)
    X = (rng.normal(size=(len(truth), 2)) + 100 * truth[:, None]).astype(np.float32)
    return affinity_graph(*nearest_neighbors(X, 5)), truth


def test_spread_over_graph_labels_what_it_reaches(blobs):
    affinity, truth = blobs
    y = np.full(len(truth), -1)
    y[[3, 50]] = 0, 1
    pseudo_labels, confidence = spread_over_graph(
        affinity, truth, y, n_classes=4, alpha=0.9, n_iterations=100
    )
    np.testing.assert_array_equal(pseudo_labels, np.where(truth < 2, truth, -1))
    assert np.isposinf(confidence[[3, 50]]).all()
    unlabeled = np.delete(np.arange(len(truth)), [3, 50])
    # Only one class arrives in each blob, so its probability is one and the second's zero.
    np.testing.assert_allclose(confidence[unlabeled], truth[unlabeled] < 2)


def test_confidence_is_the_margin_and_labels_weigh_as_their_clusters():
    # A path of five images; its ends are labeled, and stand for clusters of two and three.
    path = sparse.csr_array(np.diag(np.full(4, 0.5), 1) + np.diag(np.full(4, 0.5), -1))
    assignment, y = np.array([0, 0, 1, 1, 1]), np.array([0, -1, -1, -1, 1])
    pseudo_labels, confidence = spread_over_graph(
        path, assignment, y, n_classes=3, alpha=0.5, n_iterations=60
    )
    weights = np.array([2, 0, 0, 0, 3])
    probabilities = spread_labels(path, y, weights, n_classes=3, alpha=0.5, n_iterations=60)
    ordered = np.sort(probabilities, axis=1)
    expected = ordered[:, -1] - ordered[:, -2]
    np.testing.assert_allclose(confidence, [np.inf, *expected[1:4], np.inf])
    # By symmetry the middle one has scores in proportion 2 to 3.
    np.testing.assert_allclose(confidence[2], 3 / 5 - 2 / 5, rtol=1e-5)
    np.testing.assert_array_equal(pseudo_labels, [0, 0, 1, 1, 1])


def test_an_image_keeps_its_own_label():
    # A light label among heavy neighbors of the other class.
    complete = sparse.csr_array((1 - np.eye(4)) / 3)
    pseudo_labels, confidence = spread_over_graph(
        complete,
        assignment=np.array([0, 1, 1, 1]),
        y=np.array([0, 1, 1, -1]),
        n_classes=2,
        alpha=0.99,
        n_iterations=50,
    )
    np.testing.assert_array_equal(pseudo_labels, [0, 1, 1, 1])
    assert np.isposinf(confidence[:3]).all()


def test_a_tie_between_classes_is_no_label():
    path = sparse.csr_array(np.array([[0, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0]]))
    y = np.array([0, -1, 1])
    pseudo_labels, confidence = spread_over_graph(
        path, np.zeros(3, int), y, 2, alpha=0.5, n_iterations=20
    )
    assert pseudo_labels[1] == -1
    assert confidence[1] == 0


@pytest.mark.parametrize("n_labels_a_side", [1, 7])
@pytest.mark.parametrize(
    ("graph_half_weight", "neighbor_half_weight"), [(0, 2.0), (1e-30, 2.0), (6.0, 30.0)]
)
def test_combined_scores_solve_the_linear_systems(
    blobs, n_labels_a_side, graph_half_weight, neighbor_half_weight
):
    affinity, assignment = blobs
    n_images, n_classes, alpha = len(assignment), 3, 0.8
    rng = np.random.default_rng(0)
    scores = rng.normal(0.3, 0.4, (n_images, n_classes)).astype(np.float32)
    y = np.full(n_images, -1)
    y[: 3 * n_labels_a_side : 3], y[40 : 40 + n_labels_a_side] = 0, 1
    labeled = y >= 0
    one_hot = np.where(labeled[:, None], np.eye(n_classes)[y], 0)

    def smoothed(own, alpha):
        solution = np.linalg.solve(np.eye(n_images) - alpha * affinity.toarray(), own)
        total = solution.sum(axis=1, keepdims=True)
        return np.where(total > 0, solution / np.where(total > 0, total, 1), 1 / n_classes)

    size = np.array([40, 20, 12])[assignment][:, None]
    spread = smoothed(one_hot * size / n_labels_a_side, alpha)
    exponent = graph_half_weight / (graph_half_weight + labeled.sum())
    own = np.maximum(scores, 0) * spread**exponent
    own = np.where(labeled[:, None], one_hot, own / np.maximum(own.sum(1, keepdims=True), 1e-30))
    expected = smoothed(own, neighbor_half_weight / (neighbor_half_weight + labeled.sum()))
    # Each class as varied as before.
    expected -= expected.mean(axis=0)
    expected *= own.std(axis=0) / np.maximum(expected.std(axis=0), 1e-30)
    expected = np.maximum(expected + own.mean(axis=0), 0)

    pseudo_labels, confidence = combine_with_graph(
        affinity,
        assignment,
        scores,
        y,
        alpha=alpha,
        n_iterations=400,
        graph_half_weight=graph_half_weight,
        neighbor_half_weight=neighbor_half_weight,
    )
    ordered = np.sort(expected, axis=1)
    margin = np.where(labeled, np.inf, ordered[:, -1] - ordered[:, -2])
    np.testing.assert_allclose(confidence, margin, atol=1e-4)
    np.testing.assert_array_equal(pseudo_labels, np.where(labeled, y, expected.argmax(axis=1)))


def pool_of(features, facts, affinity):
    n_images = len(features)
    images = np.zeros((n_images, 2, 2), np.uint8)
    pixels = ImageRows(images=images, normalization=FunctionTransformer(np.float32))
    embedding = FunctionTransformer()
    return Pool(
        y=np.where(np.arange(n_images) < 4, np.arange(n_images) % 2, -1),
        n_classes=2,
        assignment=np.zeros(n_images, int),
        distance=lambda: np.zeros(n_images),
        affinity=lambda: affinity,
        images=lambda: pixels,
        features=features,
        embedding=lambda: embedding,
        facts=facts,
    )


@pytest.mark.parametrize("name", names("embeddings"))
def test_a_regression_reads_the_first_components_only_where_they_tell_most(name):
    facts = settings_of("embeddings", name)()

    unconnected = sparse.csr_array((30, 30), dtype=np.float32)

    def propagated(features):
        pool = pool_of(features, facts, unconnected)
        return settings_of("propagation", "regression")().propagate(pool)[1]

    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, MIN_COMPONENTS + 1)).astype(np.float32)
    others = features.copy()
    others[:, -1] += rng.normal(5, 1, 30)
    assert np.array_equal(propagated(features), propagated(others)) == facts.ordered_components


@pytest.mark.parametrize("name", names("embeddings"))
def test_labels_spread_over_the_graph_count_where_features_do_not_separate_classes(name):
    facts = settings_of("embeddings", name)()
    features = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    pool = pool_of(features, facts, affinity_graph(*nearest_neighbors(features, 3)))

    def propagated(**settings):
        return settings_of("propagation", "regression")(**settings).propagate(pool)[1]

    is_the_same = np.array_equal(propagated(), propagated(graph_half_weight=0))
    assert is_the_same == facts.separates_classes == (name == "pretrained")
