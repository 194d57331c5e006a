"""Classifiers that learn from labeled and unlabeled images: ``y`` is -1 where there is no label."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data


def encode_labels(y):
    """Replace classes by their numbers.

    Parameters
    ----------
    y : ndarray of shape (n_images,)
        -1 where unlabeled, if it is of numbers.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted, without -1.
    codes : ndarray of shape (n_images,), int
        Position in `classes`, -1 where unlabeled.

    Raises
    ------
    ValueError
        If no image is labeled.
    """
    check_classification_targets(y)
    labeled = y != -1 if y.dtype.kind in "if" else np.ones(len(y), bool)
    if not labeled.any():
        raise ValueError("y has no label: all of it is -1, and at least one class is needed")
    classes, codes_of_labeled = np.unique(y[labeled], return_inverse=True)
    codes = np.full(len(y), -1)
    codes[labeled] = codes_of_labeled
    return classes, codes


class FinalClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Predicts by ``classifier_``, a fitted copy of ``classifier``."""

    def predict(self, X):
        """Class of each image, of shape (n_images,)."""
        check_is_fitted(self)
        return self.classifier_.predict(validate_data(self, X, reset=False))

    @available_if(lambda self: hasattr(self._final, "predict_proba"))
    def predict_proba(self, X):
        """Class probabilities, of shape (n_images, n_classes), columns as in ``classes_``."""
        check_is_fitted(self)
        return self.classifier_.predict_proba(validate_data(self, X, reset=False))

    @property
    def classes_(self):
        """Classes that were learned, sorted; -1 is none."""
        return self.classifier_.classes_

    @property
    def _final(self):
        return LogisticRegression() if self.classifier is None else self.classifier

    def fit_final(self, X, y):
        """Fit the classifier that predicts, on images that all have a label; return self."""
        self.classifier_ = clone(self._final).fit(X, y)
        return self


class SupervisedClassifier(FinalClassifier):
    """A classifier of the labeled images alone: the baseline of every semi-supervised one.

    Parameters
    ----------
    classifier : scikit-learn classifier or None, default=None
        None is `LogisticRegression()`.

    Attributes
    ----------
    classifier_ : the fitted copy of `classifier`
    classes_ : ndarray of shape (n_classes,)
    """

    def __init__(self, classifier=None):
        self.classifier = classifier

    def fit(self, X, y):
        """Fit on the rows of X that have a label.

        Parameters
        ----------
        X : array-like of shape (n_images, n_features)
        y : array-like of shape (n_images,)
            -1 where unlabeled.
        """
        X, y = validate_data(self, X, y)
        labeled = encode_labels(y)[1] >= 0
        return self.fit_final(X[labeled], y[labeled])
