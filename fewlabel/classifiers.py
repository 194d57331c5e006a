"""The models to choose from."""

from sklearn.linear_model import LogisticRegression

from fewlabel.networks import NetworkClassifier, TwoViewClassifier


def build_classifier(model, image_shape, seed, **settings):
    """Unfitted classifier of rows of features, with ``predict_proba``.

    Parameters
    ----------
    model : {"logistic_regression", "mlp", "wide_mlp", "small_cnn", "cnn", "two_views"}
    image_shape : tuple of ints or None
        Of the images whose pixels are the rows, or with "two_views" begin the rows; None for other
        rows, which no CNN takes.
    seed : int
    **settings
        The model's own, as its class spells them.
    """
    if model == "logistic_regression":
        max_iterations = settings.pop("max_iterations")
        return LogisticRegression(max_iter=max_iterations, random_state=seed, **settings)
    if model == "two_views":
        return TwoViewClassifier(image_shape, random_state=seed, **settings)
    return NetworkClassifier(model, image_shape, random_state=seed, **settings)
