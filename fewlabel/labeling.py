"""Who labels which images."""

import numpy as np

from fewlabel.errors import FewlabelError


def random_subset(n_images, size, seed):
    """Draw `size` different images, each set of them as likely as any other.

    A larger subset of the same seed contains the smaller one.
    """
    return np.random.default_rng([seed, 1]).permutation(n_images)[:size]


def still_to_ask(assignment, representatives, answered):
    """Choose the representatives that are left to ask about, those of large clusters first.

    As many as complete the budget, which is the number of clusters: an image that was asked about
    under another clustering counts, and speaks for the cluster that it is now in.

    Parameters
    ----------
    assignment : ndarray of shape (n_images,), int
        Cluster of each image.
    representatives : ndarray of shape (n_clusters,), int
        One image of each cluster.
    answered : ndarray of int
        Images that were asked about.

    Returns
    -------
    ndarray of int
        Images.
    """
    left = max(len(representatives) - len(answered), 0)
    silent = representatives[~np.isin(assignment[representatives], assignment[answered])]
    sizes = np.bincount(assignment)[assignment[silent]]
    return silent[np.argsort(-sizes, kind="stable")][:left]


def human_labels(assignment, answered, labels, not_sure, no_class):
    """Turn what people answered into labels, and images that get none.

    Parameters
    ----------
    assignment : ndarray of shape (n_images,), int
    answered : ndarray of shape (n_answers,), int
        Images.
    labels : ndarray of shape (n_answers,), int
        Their classes; any where there is none.
    not_sure, no_class : ndarray of shape (n_answers,), bool
        Where there is none.

    Returns
    -------
    labels : ndarray of shape (n_images,), int64
        -1 where unlabeled.
    excluded : ndarray of shape (n_images,), bool
        Images of no class, and clusters of which no one was sure.
    """
    of_images = np.full(len(assignment), -1)
    known = ~(not_sure | no_class)
    of_images[answered[known]] = labels[known]
    unsure = np.setdiff1d(assignment[answered[not_sure]], assignment[answered[known]])
    excluded = np.isin(assignment, unsure)
    excluded[answered[no_class]] = True
    return of_images, excluded


def oracle_labels(labels, chosen, error_rate, seed):
    """Answer as a person would who is asked for the chosen images and errs at `error_rate`.

    An image gets the same answer whoever chose it, so that two ways of choosing meet the same
    person.

    Parameters
    ----------
    labels : ndarray of shape (n_images,), int
        The true classes.
    chosen : ndarray of int
        Indices of the images to ask for.
    error_rate : float in [0, 1]
        Probability of a wrong class, each of the others as likely.
    seed : int

    Returns
    -------
    ndarray of shape (n_images,), int64
        The answers, -1 where nobody was asked.

    Raises
    ------
    FewlabelError
        Where all images are of one class, so that no answer can be wrong.
    """
    rng = np.random.default_rng([seed, 2])
    errs = rng.random(len(labels)) < error_rate
    n_classes = labels.max() + 1
    if n_classes < 2 and error_rate > 0:
        raise FewlabelError("an oracle that errs needs at least two classes")
    shift = rng.integers(1, max(n_classes, 2), size=len(labels))
    answers = np.where(errs, (labels + shift) % n_classes, labels)
    asked = np.full(len(labels), -1)
    asked[chosen] = answers[chosen]
    return asked
