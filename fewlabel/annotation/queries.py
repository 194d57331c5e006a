"""Which images to ask people about, and what their answers say of all images."""

import numpy as np


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
