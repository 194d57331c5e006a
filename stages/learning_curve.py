"""Learning curves, logged by DVCLive."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from dvclive import Live

from fewlabel.errors import FewlabelError


@contextmanager
def new_learning_curve(folder: str) -> Iterator[Live]:
    """Yield what logs a learning curve; its folder gets its name when all is logged."""
    # Under a name that git ignores, so that a curve that was cut off is no metric.
    unfinished = Path(folder).with_name(".0.learning_curve")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with Live(str(unfinished), dvcyaml=False, save_dvc_exp=False) as live:
            yield live
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def fit_with_learning_curve(classifier, X, y, live: Live) -> None:
    """Fit and log loss and accuracy on the training images, a network's after each epoch.

    Parameters
    ----------
    classifier
        Unfitted; a `KerasClassifier` where its `fit` takes callbacks.
    X
        Of shape (n_images, n_features).
    y
        Of shape (n_images,).
    live
        Logs `train/loss` (cross-entropy in nats) and `train/accuracy`, as DVCLive names Keras's.

    Raises
    ------
    FewlabelError
        If the model's numbers do not stay finite; the message begins with model and setting.
    """
    from fewlabel.networks import KerasClassifier, import_keras

    if isinstance(classifier, KerasClassifier):
        import_keras()
        from dvclive.keras import DVCLiveCallback

        classifier.fit(X, y, callbacks=[DVCLiveCallback(live=live)])
        return
    from sklearn.metrics import log_loss

    from fewlabel.parallel import announced

    with announced(f"{type(classifier).__name__} on {len(X):,} images"):
        classifier.fit(X, y)
    if not np.isfinite(classifier.coef_).all():
        raise FewlabelError(
            f"logistic_regression.C is {classifier.C:g}, but the coefficients became infinite or "
            "not a number in training; choose one nearer to 1"
        )
    probabilities = classifier.predict_proba(X)
    live.log_metric("train/loss", float(log_loss(y, probabilities, labels=classifier.classes_)))
    live.log_metric("train/accuracy", float(classifier.score(X, y)))
    live.next_step()
