"""The classifiers that rows name."""

from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from fewlabel.methods import settings_of
from study.runner import settings


def build_model(row: dict, seed: int):
    """Unfitted classifier of the pixels, with the study's settings of `row["model"]`."""
    model = row["model"]
    model_settings = settings("models", model)
    match model:
        case "k_neighbors":
            return KNeighborsClassifier(**model_settings)
        case "random_forest":
            return RandomForestClassifier(**model_settings, random_state=seed)
        case "svc":
            return SVC(**model_settings)
        case "one_vs_rest_saga" | "one_vs_rest_newton":
            return OneVsRestClassifier(LogisticRegression(**model_settings, random_state=seed))
    model_settings |= {name: row[name] for name in ("epochs", "batch_size") if name in row}
    image_shape = model_settings.pop("image_shape", None)
    return settings_of("classifiers", model)(**model_settings).build(image_shape, seed)
