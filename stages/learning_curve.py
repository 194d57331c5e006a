"""Learning curves, logged by DVCLive."""

from dvclive import Live


def fit_with_learning_curve(classifier, X, y, live: Live) -> None:
    """Fit; log loss and accuracy on the training images, a network's after each epoch.

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
    probabilities = classifier.predict_proba(X)
    live.log_metric("train/loss", float(log_loss(y, probabilities, labels=classifier.classes_)))
    live.log_metric("train/accuracy", float(classifier.score(X, y)))
    live.next_step()
