"""Clusters and representatives against brute force."""

import numpy as np
import pytest
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.datasets import make_blobs

from fewlabel.errors import FewlabelError
from fewlabel.methods import settings_of
from fewlabel.selection import kmeans as kmeans_module
from fewlabel.selection.kmeans import sampled_kmeans_plusplus

ALGORITHMS = {
    "kmeans": {"init": "random", "n_init": 2, "max_iter": 20},
    "minibatch": {"batch_size": 64, "max_iter": 20},
}


def select(algorithm, X, n_clusters=8, seed=0):
    method = settings_of("selection", algorithm)(**ALGORITHMS[algorithm])
    return method.select(X, n_clusters=n_clusters, seed=seed)


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(300, n_features=5, centers=8, random_state=0)[0].astype(np.float32)


def test_settings_are_passed_on(blobs):
    kmeans, minibatch = (select(name, blobs, seed=3).model for name in ("kmeans", "minibatch"))
    assert (type(kmeans), type(minibatch)) == (KMeans, MiniBatchKMeans)
    for clustering in (kmeans, minibatch):
        assert (clustering.n_clusters, clustering.max_iter, clustering.random_state) == (8, 20, 3)
    assert (kmeans.init, kmeans.n_init, minibatch.batch_size) == ("random", 2, 64)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_clusters_equal_a_loop(algorithm, blobs):
    clustering, assignment, distance, representatives = select(algorithm, blobs)
    to_all = np.linalg.norm(blobs[:, None] - clustering.cluster_centers_[None], axis=2)
    np.testing.assert_array_equal(assignment, to_all.argmin(axis=1))
    np.testing.assert_allclose(distance, to_all.min(axis=1), rtol=1e-5)
    for cluster in range(8):
        members = np.flatnonzero(assignment == cluster)
        assert representatives[cluster] == members[to_all[members, cluster].argmin()]
    assert (assignment.dtype, distance.dtype, representatives.dtype) == (
        np.int32,
        np.float32,
        np.int64,
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_first_of_equals_represents(algorithm):
    X = np.repeat(np.float32([[0, 0], [9, 9], [0, 9]]), 4, axis=0)
    _, assignment, distance, representatives = select(algorithm, X, 3)
    assert sorted(representatives) == [0, 4, 8]
    np.testing.assert_array_equal(assignment[representatives], range(3))
    np.testing.assert_allclose(distance, 0, atol=1e-6)


def test_more_clusters_than_samples_is_an_error():
    with pytest.raises(FewlabelError, match="label_budget is 5, but must be at most 4"):
        select("kmeans", np.eye(4, dtype=np.float32), 5)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_empty_cluster_is_an_error(algorithm):
    X = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    with pytest.raises(FewlabelError, match="left 2 of 5 clusters empty; lower label_budget"):
        select(algorithm, X, 5)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_seed_decides(algorithm):
    X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    one, same, other = (select(algorithm, X, 8, seed)[1:] for seed in (1, 1, 2))
    for array, again in zip(one, same, strict=True):
        np.testing.assert_array_equal(array, again)
    assert (one[2] != other[2]).any()


def test_seeds_of_kmeans_plusplus_are_apart(blobs):
    # Of so few, all are sampled; each blob gets a seed, which random ones fail to do.
    seeds = sampled_kmeans_plusplus(blobs, 8, 0)
    assert {tuple(seed) for seed in seeds} <= {tuple(row) for row in blobs}
    best = KMeans(8, n_init=20, random_state=0).fit(blobs)
    assert set(best.predict(seeds)) == set(range(8))
    settings = kmeans_module.Settings(init="k-means++", n_init=1, max_iter=20)
    kmeans = settings.select(blobs, n_clusters=8, seed=0).model
    assert kmeans.inertia_ == pytest.approx(best.inertia_)


def test_seeds_come_from_a_sample_that_grows_with_the_clusters(monkeypatch):
    monkeypatch.setattr(kmeans_module, "SEEDING_SAMPLES", 10)
    sampled = []
    monkeypatch.setattr(
        "sklearn.cluster.kmeans_plusplus",
        lambda X, n_clusters, random_state: (sampled.append(len(X)), X[:n_clusters])[1:],
    )
    for n_clusters in (2, 5, 30):
        sampled_kmeans_plusplus(np.zeros((100, 2)), n_clusters, 0)
    assert sampled == [10, 20, 100]
