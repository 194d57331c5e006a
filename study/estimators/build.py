"""Estimators from settings, which name a class or a function of any package by its path."""

import inspect
from pydoc import locate
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer


def build(spec: str | dict | list, image_shape: tuple[int, ...], seed: int) -> Any:
    """Return the unfitted estimator that a row of the study names.

    Parameters
    ----------
    spec
        Path of what makes the estimator, or path -> its parameters, of which `estimator` is another
        spec; or a list of these, which is a pipeline. A classifier of this package is its module.
    image_shape
        Of the images that are the rows of X; whatever takes an `image_shape` gets it.
    seed
        Whatever takes a `random_state` gets it.

    Examples
    --------
    >>> build({"sklearn.svm.SVC": {"C": 2.0}}, (8, 8), 0)
    SVC(C=2.0, random_state=0)
    """
    if isinstance(spec, list):
        return make_pipeline(*(build(step, image_shape, seed) for step in spec))
    [(path, parameters)] = spec.items() if isinstance(spec, dict) else [(spec, {})]
    made = locate(path)
    if made is None:
        raise ValueError(f"study/params.yaml names {path}, which cannot be imported")
    if isinstance(made, ModuleType):
        return made.Settings(**parameters).build(image_shape, seed)
    if "estimator" in parameters:
        parameters = parameters | {"estimator": build(parameters["estimator"], image_shape, seed)}
    given = {"image_shape": image_shape, "random_state": seed}
    taken = given.keys() & inspect.signature(made).parameters
    return made(**parameters, **{name: given[name] for name in taken})


def in_float64() -> FunctionTransformer:
    """Return a transformer to float64: Newton's method fails on float32 of correlated columns."""
    return FunctionTransformer(np.asarray, kw_args={"dtype": np.float64})
