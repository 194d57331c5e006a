"""scikit-learn's label propagation, refused where its graph cannot fit."""

from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from sklearn import semi_supervised
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from fewlabel.errors import FewlabelError
from study.estimators.dense_graph import LabelPropagation, LabelSpreading


@parametrize_with_checks([LabelPropagation(max_iter=5), LabelSpreading(max_iter=5)])
@pytest.mark.filterwarnings("ignore:max_iter=")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300].astype(np.float32), np.where(np.arange(300) < 100, y[:300], -1)


@pytest.mark.parametrize("name", ["LabelPropagation", "LabelSpreading"])
@pytest.mark.filterwarnings("ignore:max_iter=")
@pytest.mark.parametrize("kernel", ["rbf", "knn"])
def test_it_is_what_scikit_learn_does(digits, name, kernel):
    ours, theirs = (
        getattr(module, name)(kernel=kernel, gamma=0.01).fit(*digits)
        for module in (SimpleNamespace(**globals()), semi_supervised)
    )
    np.testing.assert_array_equal(ours.transduction_, theirs.transduction_)


@pytest.mark.filterwarnings("ignore:max_iter=")
@pytest.mark.parametrize("kind", [LabelPropagation, LabelSpreading])
def test_a_graph_that_cannot_fit_is_refused(digits, kind, monkeypatch):
    free = SimpleNamespace(available=2 * 300**2 * 4)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    kind(kernel="rbf", gamma=0.01).fit(*digits)
    free.available -= 1
    with pytest.raises(FewlabelError, match="dense graph of 300 images needs"):
        kind(kernel="rbf").fit(*digits)
    kind(kernel="knn").fit(*digits)


def test_60_000_images_in_double_precision_need_58_gb(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=24e9))
    X = np.broadcast_to(np.float64(0), (60_000, 2))
    with pytest.raises(FewlabelError, match="60,000 images needs 58 GB, and 24 GB are free; use"):
        LabelSpreading().fit(X, np.zeros(60_000, int))
