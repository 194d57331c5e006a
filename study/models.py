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
    of_model = settings("models", model)
    match model:
        case "k_neighbors":
            return KNeighborsClassifier(**of_model)
        case "random_forest":
            return RandomForestClassifier(**of_model, random_state=seed)
        case "svc":
            return SVC(**of_model)
        case "one_vs_rest_saga" | "one_vs_rest_newton":
            return OneVsRestClassifier(LogisticRegression(**of_model, random_state=seed))
    of_model |= {name: row[name] for name in ("epochs", "batch_size") if name in row}
    image_shape = of_model.pop("image_shape", None)
    return settings_of("classifiers", model)(**of_model).build(image_shape, seed)
