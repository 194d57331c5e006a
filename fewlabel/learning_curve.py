"""Learning curves, logged by DVCLive."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path

from dvclive.live import Live
from scmrepo.exceptions import SCMError

from fewlabel.arrays import Classifier, Floats, Ints
from fewlabel.errors import FewlabelError
from fewlabel.methods import ClassifierMethod
from fewlabel.parallel import log_duration
from fewlabel.rows import Rows
from fewlabel.text import one_line


@contextmanager
def learning_curve(folder: str) -> Iterator[Live]:
    """Log to FOLDER/learning_curve, which is there if all that is done meanwhile succeeds."""
    curve = Path(folder, "learning_curve")
    # Git ignores this name, and what a killed process left there makes way.
    unfinished = curve.with_name(".0.learning_curve")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with Live(str(unfinished), dvcyaml=False, save_dvc_exp=False) as live:
            yield live
        shutil.rmtree(curve, ignore_errors=True)
        unfinished.replace(curve)
    except SCMError as error:
        raise FewlabelError(
            f"git is not ready ({one_line(error)}); `git add --all`, then `git commit` the project"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def fit_with_learning_curve(
    method: ClassifierMethod, classifier: Classifier, X: Rows, y: Ints, weights: Floats, live: Live
) -> None:
    """Fit and log loss and accuracy on the training images, a network's after each epoch.

    Parameters
    ----------
    method
        What the classifier was built from.
    classifier
        Unfitted; its `fit` takes Keras's callbacks if it is a network.
    X : ndarray or ImageRows of shape (n_images, n_columns)
    y, weights : ndarray of shape (n_images,)
        Labels, and how much each counts.
    live
        Logs `train/loss` (cross-entropy in nats) and `train/accuracy`, as DVCLive names Keras's.

    Raises
    ------
    FewlabelError
        If the model's numbers do not stay finite, or a setting needs more memory than there is;
        the message begins with the setting.
    """
    try:
        if "callbacks" in signature(classifier.fit).parameters:
            from fewlabel.keras_session import import_keras

            import_keras()
            from dvclive.keras import DVCLiveCallback

            classifier.fit(X, y, callbacks=[DVCLiveCallback(live=live)])
            return
        with log_duration(f"{type(classifier).__name__} on {len(X):,} images"):
            classifier.fit(X, y, **method.fit_arguments(weights))
        method.check(classifier)
    except FewlabelError as error:
        # It begins with a model, which may be within the chosen one, and its setting.
        within = "" if str(error).startswith(f"{method.name}.") else f"{method.name}."
        raise FewlabelError(f"train.{within}{error}") from error
    from sklearn.metrics import log_loss

    probabilities = classifier.predict_proba(X)
    live.log_metric("train/loss", float(log_loss(y, probabilities, labels=classifier.classes_)))
    live.log_metric("train/accuracy", float(classifier.score(X, y)))
    live.next_step()
