"""The recipe as one classifier: cluster, propagate the labels of a few images, learn from them."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.propagation.cluster import spread_over_clusters
from fewlabel.propagation.percentile import most_confident
from study.estimators.labels import encode_labels


class PropagationClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """A classifier of images to which the labels of a few have been propagated.

    Every image of a cluster gets the label of its labeled image. Of each cluster, the percentile
    nearest to the centroid teaches the classifier, which then predicts images it has not seen.

    Parameters
    ----------
    classifier : scikit-learn classifier or None, default=None
        None is `LogisticRegression()`.
    clustering : fitted or unfitted scikit-learn clustering with `cluster_centers_`, default=None
        None is `KMeans()`; `sklearn.frozen.FrozenEstimator` keeps a fitted one.
    percentile : float, 0 < percentile <= 100, default=100

    Attributes
    ----------
    classifier_, clustering_ : the fitted copies
    classes_ : ndarray of shape (n_classes,)
    transduction_ : ndarray of shape (n_images,)
        Label of each image that was fitted; -1 where it got none (for classes that are numbers).
    propagated_ : ndarray of shape (n_images,), bool
        Which of them taught the classifier.
    """

    def __init__(self, classifier=None, clustering=None, percentile=100):
        self.classifier = classifier
        self.clustering = clustering
        self.percentile = percentile

    def fit(self, X, y):
        """Propagate the labels and fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_images, n_features)
        y : array-like of shape (n_images,)
            -1 where unlabeled.
        """
        X, y = validate_data(self, X, y, ensure_min_samples=2)
        classes, codes = encode_labels(y)
        unfitted = KMeans(min(8, len(X))) if self.clustering is None else self.clustering
        self.clustering_ = clone(unfitted).fit(X, None)
        assignment = self.clustering_.predict(X)
        offsets = X - self.clustering_.cluster_centers_[assignment]
        distance = np.sqrt(np.einsum("ij,ij->i", offsets, offsets))
        spread, confidence = spread_over_clusters(assignment, distance, codes)
        reached = spread >= 0
        self.transduction_ = np.where(reached, classes[spread], y)
        self.propagated_ = reached & most_confident(confidence, assignment, self.percentile)
        taught = self.propagated_
        self.classifier_ = clone(self._unfitted).fit(X[taught], self.transduction_[taught])
        return self

    def predict(self, X):
        """Class of each image, of shape (n_images,)."""
        check_is_fitted(self)
        return self.classifier_.predict(validate_data(self, X, reset=False))

    @available_if(lambda self: hasattr(self._unfitted, "predict_proba"))
    def predict_proba(self, X):
        """Class probabilities, of shape (n_images, n_classes), columns as in ``classes_``."""
        check_is_fitted(self)
        return self.classifier_.predict_proba(validate_data(self, X, reset=False))

    @property
    def classes_(self):
        """Classes that were learned, sorted; -1 is none."""
        return self.classifier_.classes_

    @property
    def _unfitted(self):
        return LogisticRegression() if self.classifier is None else self.classifier
