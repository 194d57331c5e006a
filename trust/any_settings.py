"""Random settings, valid and not, through all stages."""

import json
import math
import shutil
from collections.abc import Iterator
from random import Random

from ruamel.yaml import YAML

from tests.conftest import TINY_NETWORKS, Project
from trust.processes import run
from trust.projects import lock, module, private_copy
from trust.promises import Promise

_CHOICES = {
    "normalize.method": ["unit", "minmax", "standard"],
    "embed.method": ["pixels", "pca", "patches"],
    "cluster.method": ["kmeans", "minibatch"],
    "cluster.kmeans.init": ["k-means++", "random"],
    "propagate.method": ["cluster", "graph", "regression"],
    "train.model": ["logistic_regression", "mlp", "small_cnn", "cnn", "cnn_mlp_ensemble"],
    "train.logistic_regression.features": ["pixels", "embedding"],
}
_SHARES = [0.0, 1e-300, 0.01, 0.5, 0.999999, 1.0]
_NUMBERS = [1, 2, 3, 7, 11, 40]
_LARGE = [79, 80, 81, 1000, 2**31, 2**63]  # 80 photos are trained on
_WRONG = [0, -1, 0.5, math.nan, math.inf, "1", "", None, True, [], {}, "no such"]
# What a large number makes long, and not wrong.
_WORK = ("n_init", "max_iter", "n_iterations", "epochs", "min_steps", "n_sampled_patches")


def set_anything(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Change some settings and run all stages; they finish with finite numbers, or say why not."""
    with private_copy(project) as copy:
        params = copy.folder / "params.yaml"
        copy.set(TINY_NETWORKS)
        right = params.read_text(encoding="utf-8")
        leaves = dict(_leaves(YAML(typ="safe").load(right)))
        commands = [module(stage["cmd"]) for stage in _in_order(lock(copy))]
        for _ in range(n):
            for folder in {"data", "models", "metrics"}:
                for path in (copy.folder / folder).iterdir():
                    if path.name not in ("images", "labels"):
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
            keys = rng.sample(list(leaves), rng.randint(1, 4))
            settings = {key: _value(key, leaves[key], rng) for key in keys}
            copy.set(settings)
            done = run(copy, *commands)
            params.write_text(right, encoding="utf-8")
            tried = ", ".join(f"{key}: {value!r}" for key, value in settings.items())
            if done.code == 0:
                wrong = [name for name in _metrics(copy) if not _is_finite(copy, name)]
                yield not wrong, tried, f"{wrong[0]} is not finite" if wrong else "finite numbers"
            else:
                yield done.has_refused, tried, done.last_line


def _in_order(stages):
    """Return the stages of dvc.lock, each after those whose outputs it reads."""
    made, left = set(), dict(stages)
    written = {out["path"] for stage in left.values() for out in stage["outs"]}
    while left:
        for name, stage in list(left.items()):
            if {dep["path"] for dep in stage["deps"]} & written <= made:
                made |= {out["path"] for out in left.pop(name)["outs"]}
                yield stage


def _leaves(settings, prefix=""):
    """Return pairs of a setting's name and value, but those of the data set."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        elif not prefix.startswith("dataset"):
            yield f"{prefix}{key}", value


def _value(key, value, rng):
    """Return another value for a setting: mostly of the right type, and often allowed."""
    if rng.random() < 0.1:
        return rng.choice(_WRONG)
    if key in _CHOICES:
        return rng.choice(_CHOICES[key])
    match value:
        case bool():
            return not value
        case str():
            return value
        case float():
            return rng.choice([*_SHARES, *_NUMBERS])
    if key == "embed.patches.n_sampled_patches":
        return rng.choice([99, 100, 101, 3000])
    is_work = key.rpartition(".")[2] in _WORK
    return rng.choice(_NUMBERS if is_work or rng.random() < 0.7 else _LARGE)


def _metrics(project):
    return sorted((project.folder / "metrics").glob("*.json"))


def _is_finite(project, path):
    values = json.loads(path.read_text(encoding="utf-8")).values()
    return all(math.isfinite(value) for value in values)


PROMISES = [
    Promise(
        "Settings",
        "With any settings, all stages finish with finite numbers, or one says in one sentence "
        "what is wrong.",
        set_anything,
        60,
        2,
    )
]
