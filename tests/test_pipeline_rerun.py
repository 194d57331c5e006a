"""Which stages run again when a setting changes: exactly those that it touches."""

import json
from contextlib import chdir
from dataclasses import replace

import networkx as nx
import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from fewlabel.settings import PARAMS_FILE
from tests.conftest import EAGERLY

TRAINING_SETS = ("random_subset", "representatives", "propagated")


def classifiers(*training_sets):
    return {f"{stage}@{name}" for stage in ("train", "evaluate") for name in training_sets}


PROPAGATE = {
    *("propagate", "evaluate_propagation", "verdict", "package"),
    *classifiers("propagated"),
}
SPREAD = {"spread", *PROPAGATE}
LABEL = {"label", *classifiers("representatives"), "evaluate@random_subset", *SPREAD}
CLUSTER = {"cluster", *LABEL}
GRAPH = {"graph", *CLUSTER}
EMBED = {"embed", *classifiers(*TRAINING_SETS), *GRAPH}
TRAIN = {*classifiers(*TRAINING_SETS), "verdict", "package"}
SELECT = {"select", *classifiers("random_subset")}

# Setting -> another value, and the stages that it may reach.
RERUNS = {
    "seed": (1, EMBED | SELECT),
    "label_budget": (30, CLUSTER | SELECT),
    "normalize.method": ("minmax", EMBED | {"normalize"}),
    "embed.method": ("pca", EMBED),
    "embed.patches.patch_size": (4, EMBED),
    "embed.patches.n_centroids": (24, EMBED),
    "embed.patches.n_sampled_patches": (4000, EMBED),
    "embed.patches.pooling_grid": (2, EMBED),
    "embed.patches.n_components": (40, EMBED),
    "embed.patches.variance_power": (0.5, EMBED),
    "embed.patches.n_leading_components": (16, EMBED),
    "cluster.alpha": (0.5, CLUSTER),
    "cluster.n_iterations": (3, CLUSTER),
    "cluster.method": ("minibatch", CLUSTER),
    "cluster.kmeans.init": ("k-means++", CLUSTER),
    "cluster.kmeans.n_init": (5, CLUSTER),
    "cluster.kmeans.max_iter": (2, CLUSTER),
    "label.check_size": (20, LABEL),
    "label.oracle_error_rate": (0.5, LABEL | SELECT),
    "graph.n_neighbors": (5, GRAPH),
    "propagate.method": ("cluster", SPREAD),
    "propagate.graph.alpha": (0.5, SPREAD),
    "propagate.graph.n_iterations": (2, SPREAD),
    "propagate.label_weight": (3, PROPAGATE),
    "propagate.percentile": (50, PROPAGATE),
    "train.max_images": (200, PROPAGATE),
    "train.logistic_regression.features": ("pixels", TRAIN),
    "train.logistic_regression.C": (1.0, TRAIN),
    "train.logistic_regression.max_iter": (5, TRAIN),
}

# Setting -> the stages that ran; DVC stops where an output is the same bytes.
RAN = {
    # No image only measures, so the labels of these stay the same bytes.
    "embed.patches.n_leading_components": {"embed", *GRAPH} - {"evaluate@random_subset"},
}

# Of a method that `auto` may choose: DVC cannot know that it is not chosen, and runs the stage that
# may read it, which gives the same bytes.
NEEDLESS = {
    "embed.pretrained.model": "mobilenetv2",
    "embed.pretrained.image_size": 64,
    "embed.pretrained.scaling": "unit",
    "embed.pretrained.tokens": "mean",
    "embed.pretrained.variance_power": 0.5,
    "propagate.regression.alpha": 0.5,
    "propagate.regression.n_iterations": 3,
    "propagate.regression.graph_half_weight": 10,
    "propagate.regression.neighbor_half_weight": 10,
}

# Of another method that is not chosen.
IDLE = {
    "embed.pca.n_components": 24,
    "cluster.minibatch.batch_size": 512,
    "cluster.minibatch.max_iter": 5,
}

STEPS = {"epochs": 2, "min_steps": 4, "batch_size": 16, "learning_rate": 0.002}
NETWORKS = {
    "mlp": STEPS | {"label_smoothing": 0.2, "features": "pixels"},
    "wide_mlp": STEPS | {"label_smoothing": 0.2, "features": "pixels"},
    "small_cnn": STEPS | {"label_smoothing": 0.2},
    "cnn": STEPS | {"label_smoothing": 0.2, "augment": False},
}
NETWORKS["cnn_mlp_ensemble"] = {
    f"{network}.{key}": value
    for network in ("cnn", "wide_mlp")
    for key, value in NETWORKS[network].items()
    if key != "features"
}
MAYBE_CHOSEN = "cnn_mlp_ensemble"
IDLE_NETWORKS = {
    f"train.{network}.{key}": value
    for network, settings in NETWORKS.items()
    for key, value in settings.items()
    if network != MAYBE_CHOSEN
}
NEEDLESS |= {f"train.{MAYBE_CHOSEN}.{key}": value for key, value in NETWORKS[MAYBE_CHOSEN].items()}

# These have no second value, or one that needs data from elsewhere.
NOT_RUN = {
    "dataset.name": (
        "mnist",
        {"download": {"dataset.mnist", "dataset.name"}, "package": {"dataset.name"}},
    ),
    "dataset.folder.path": ("data/annotations", {"download": set()}),  # another dependency
    "label.source": (
        "human",
        {stage: {"label.source"} for stage in ("select", "label", "package")},
    ),
}
OF_A_FOLDER = {
    "dataset.folder.image_size": (16, 24),
    "dataset.folder.class_names": (["cat", "dog"], ["cat", "cow"]),
    "dataset.folder.test_labels": ("test.csv", "other.csv"),
    "dataset.folder.train_labels": ("train.csv", "other.csv"),
}
NETWORK_RUN = "train.model"


def leaves(settings, prefix=""):
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def stale(project):
    """Return stage -> keys of the settings because of which DVC calls it changed."""
    with chdir(project.folder), Repo() as repo:  # which names stages by where it is
        status = repo.status()
    return {
        stage: {key for change in changes for key in change["changed deps"].get("params.yaml", ())}
        for stage, changes in status.items()
    }


def test_every_setting_is_in_a_table_here(reproduced):
    params = YAML(typ="safe").load(reproduced.folder / PARAMS_FILE)
    tables = [*RERUNS, *NEEDLESS, *IDLE, *IDLE_NETWORKS, *NOT_RUN, *OF_A_FOLDER, NETWORK_RUN]
    assert sorted(leaves(params)) == sorted(tables)


def test_a_setting_makes_stale_what_it_touches(project):
    with chdir(project.folder), Repo() as repo:
        stages = {stage.name: stage for stage in repo.index.stages}
        graph = repo.index.graph
        after = {
            name: {name, *(other.name for other in nx.ancestors(graph, stage))}
            for name, stage in stages.items()
        }
    before = (project.folder / PARAMS_FILE).read_text(encoding="utf-8")
    for key, (value, expected) in RERUNS.items():
        project.set({key: value})
        assert set().union(*(after[stage] for stage in stale(project))) == expected, key
        (project.folder / PARAMS_FILE).write_text(before, encoding="utf-8")


@pytest.mark.parametrize("key", RAN)
def test_a_setting_reruns_what_it_touches(project, key):
    project.set({key: RERUNS[key][0]})
    assert sorted(project.repro()) == sorted(RAN[key])


def test_a_percentile_reruns_what_it_touches(halved):
    ran = json.loads((halved.folder / ".git/ran.json").read_text(encoding="utf-8"))
    assert sorted(ran) == sorted(PROPAGATE)


def test_settings_of_what_is_not_chosen_rerun_nothing(project):
    project.set(IDLE | IDLE_NETWORKS)
    assert project.repro() == []


def test_settings_of_what_could_be_chosen_rerun_no_more_than_who_may_read_them(project):
    project.set(NEEDLESS)
    training = {f"train@{name}" for name in TRAINING_SETS}
    assert set(project.repro()) == {"embed", "spread", *training}


@pytest.mark.parametrize("key", NOT_RUN)
def test_a_setting_makes_only_its_stages_stale(project, key):
    value, expected = NOT_RUN[key]
    project.set({key: value})
    assert stale(project) == expected


def test_settings_of_a_folder_make_only_its_download_stale(project):
    project.set({key: value for key, (value, _) in OF_A_FOLDER.items()})
    assert stale(project) == {}
    project.set({"dataset.name": "folder"})
    project.dvc("commit", "--force")
    assert stale(project) == {}
    for key, (_, other) in OF_A_FOLDER.items():
        project.set({key: other})
        assert stale(project) == {"download": {"dataset.folder"}}


def test_a_network_reruns_what_its_settings_touch(project):
    target = "evaluate@random_subset"
    steps = {"train.mlp.epochs": 1, "train.mlp.min_steps": 2}
    project = replace(project, environment=project.environment | EAGERLY)
    project.set({NETWORK_RUN: "mlp"} | steps)
    assert project.repro(target) == ["train@random_subset", target]
    project.set({"train.mlp.learning_rate": 0.01})
    assert project.repro(target) == ["train@random_subset", target]


@pytest.mark.parametrize("network", NETWORKS)
def test_each_setting_of_a_chosen_network_makes_training_stale(project, network):
    project.set({NETWORK_RUN: network})
    project.dvc("commit", "--force")  # as if it were trained, which takes long
    assert stale(project) == {}
    before = (project.folder / PARAMS_FILE).read_text(encoding="utf-8")
    for key, value in NETWORKS[network].items():
        project.set({f"train.{network}.{key}": value})
        assert stale(project) == {f"train@{name}": {f"train.{network}"} for name in TRAINING_SETS}
        (project.folder / PARAMS_FILE).write_text(before, encoding="utf-8")
