"""What dvc.yaml declares of each stage is what its code imports and reads, no more and no less."""

import ast
import importlib
import json
import os
import shlex
import shutil
import sys
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dvc.dependency import ParamsDependency
from dvc.repo import Repo

from fewlabel import engine, storage
from fewlabel.methods import CHOICES, names, settings_of
from fewlabel.settings import read_params
from study.code import all_imports, file_of, section_of
from tests.conftest import TINY_NETWORKS, save_tiny_network

RESULTS = ("data", "models", "metrics")
TRAINING_SET = "@propagated"

# One after the other, so that each setting that chooses a method is once all that it can be.
VARIANTS = [
    {
        "embed.method": "pretrained",
        "embed.pretrained.model": "data/networks/tiny.keras",
        "embed.pretrained.scaling": "unit",
        "train.model": "wide_mlp",
        "train.wide_mlp.features": "pixels",
    },
    {"embed.method": "pixels", "propagate.method": "cluster", "train.model": "mlp"},
    {"embed.method": "pca", "propagate.method": "graph", "train.model": "small_cnn"},
    {"embed.method": "patches", "cluster.method": "minibatch", "train.model": "cnn"},
    {"propagate.method": "regression", "train.model": "cnn_mlp_ensemble"},
    {"train.model": "wide_mlp", "train.wide_mlp.features": "embedding"},
    {"train.model": "logistic_regression", "label.check_size": 40},
    {"train.model": "logistic_regression", "train.logistic_regression.features": "pixels"},
    {"embed.method": "auto", "propagate.method": "auto", "train.model": "auto"},
    {"label.source": "human"},
    {
        "dataset.name": "folder",
        "dataset.folder.path": "data/images/digits.npz",
        "dataset.folder.class_names": list("0123456789"),
    },
]


FACTS = ("candidates", "needs_unit_pixels", "ordered_components", "separates_classes")


# DVC cannot know which of them `auto` takes.
MAYBE_CHOSEN = [
    f"{section_of(kind)}.{candidate}"
    for kind in CHOICES
    for name in names(kind)
    for candidate in settings_of(kind, name).candidates
]


class Recorder:
    """Stands in for settings, and notes each leaf that is read."""

    def __init__(self, settings, read, prefix=""):
        self._settings, self._read, self._prefix = settings, read, prefix

    def __getattr__(self, name):
        value = getattr(self._settings, name)
        if name in type(self._settings).model_fields:
            return self._note(name, value)
        if not name.startswith("_") and name not in FACTS:
            self._read.update(
                leaves(self._settings, self._prefix)
            )  # a method's function sees them all
        return value

    def __iter__(self):
        return ((name, self._note(name, value)) for name, value in self._settings)

    def _note(self, name, value):
        key = self._prefix + name
        if hasattr(value, "model_fields_set"):
            return Recorder(value, self._read, f"{key}.")
        self._read.add(key)
        return value


class ReadFiles(set):
    """Names of the files that this process opens to read, relative to its folder, while on."""

    on = False

    def note(self, event, arguments):
        """Take an audit event of Python."""
        if event == "open" and self.on:
            path, _, flags = arguments
            if isinstance(path, str | PathLike) and flags & os.O_ACCMODE != os.O_WRONLY:
                self.add(os.path.relpath(path))


read_files = ReadFiles()
sys.addaudithook(read_files.note)  # here, and not in a test, since a hook cannot be taken away


def leaves(settings, prefix=""):
    """Return key -> value of all settings in a section."""
    values = {}
    for name, value in settings:
        is_section = hasattr(value, "model_fields_set")
        values |= leaves(value, f"{prefix}{name}.") if is_section else {prefix + name: value}
    return values


def label_all(project):
    """Answer for all digits, and keep their images as a user's own, which are then the same."""
    raw = {path.stem: np.load(path) for path in (project.folder / "data/raw").glob("*.npy")}
    np.savez(
        project.folder / "data/images/digits.npz",
        images=raw["train_images"],
        test_images=raw["test_images"],
        test_labels=raw["test_labels"],
    )
    answers = pd.read_csv(project.folder / "data/raw/train_files.csv")
    answers.assign(label=raw["train_labels"], labeled_at="").to_csv(
        project.folder / "data/annotations/labels.csv", index=False
    )


def vouch_for_outputs(stages):
    """Write a dvc.lock of the outputs that are there, and of no more: each stage parses it."""
    outs = sorted(out for stage in stages for out in stage.outs if Path(out).exists())
    entries = [{"path": out, "md5": storage.hash_of(out)} for out in outs]
    Path("dvc.lock").write_text(json.dumps({"stages": {"all": {"outs": entries}}}))


def declarations(project):
    """Return the stages of dvc.yaml as DVC understands them."""
    with Repo(str(project.folder)) as repo:
        return [Declaration(stage) for stage in repo.index.stages]


class Declaration:
    """A stage: its command, the modules, data and settings it declares to read, its outputs."""

    def __init__(self, stage):
        self.name = stage.name
        self.command = shlex.split(stage.cmd)
        self.outs = {out.def_path for out in stage.outs}
        on_settings = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
        self.settings = {key for dep in on_settings for key in dep.params}
        files = {dep.def_path for dep in stage.deps if dep not in on_settings}
        self.modules = {file for file in files if file.endswith(".py")}
        self.data = files - self.modules


def kinds_of_methods(modules: set[str]) -> set[str]:
    """Return the kinds of methods that modules choose from, of which none is imported by name.

    The settings, which all stages read, choose from all kinds only to check them.
    """
    trees = (
        ast.parse(Path(file_of(name)).read_text(encoding="utf-8"))
        for name in modules - {"fewlabel.settings"}
    )
    return {
        node.args[0].value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "")
        in ("chosen", "settings_of", "possible", "suited", "suited_facts")
        and isinstance(node.args[0], ast.Constant)
    }


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def within(name, places, separator="/"):
    """Whether the name is one of the places, or of something in one."""
    return any(name == place or name.startswith(place + separator) for place in places)


@pytest.fixture(scope="module")
def stages(reproduced):
    return declarations(reproduced)


def test_declared_modules_are_the_imported_and_the_chosen_ones(reproduced, stages):
    settings = read_params(reproduced.folder / "params.yaml")
    for stage in stages:
        python, option, module, *_ = stage.command
        assert (python, option) == ("python", "-m")
        expected = all_imports(module)
        for kind in kinds_of_methods(expected):
            methods = {f"fewlabel.{kind}.{name}" for name in names(kind)}
            # What one method needs, a stage declares whichever is chosen.
            expected |= set().union(*(all_imports(method) - {method} for method in methods))
            expected |= {
                f"fewlabel.{kind}.{candidate}"
                for name in names(kind)
                for candidate in settings_of(kind, name).candidates
            }
            section = getattr(settings, section_of(kind))
            expected.add(f"fewlabel.{kind}.{getattr(section, CHOICES[kind])}")
        assert stage.modules == {file_of(name) for name in expected}, stage.name


def test_only_who_asks_or_measures_reads_true_labels(stages):
    readers = {
        stage.name.split("@")[0]
        for stage in stages
        if any(name.startswith("data/raw/") and "labels" in name for name in stage.data)
    }
    assert readers == {"select", "label", "evaluate", "evaluate_propagation"}


@pytest.mark.usefixtures("eager")
def test_declared_settings_and_data_are_those_read(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    never_read, ran = {}, []
    label_all(project)
    save_tiny_network(project.folder / "data/networks/tiny.keras")
    for variant in VARIANTS:
        project.set(TINY_NETWORKS | variant)
        params = read_params()
        Path("dvc.lock").unlink()  # ours is none of DVC's, which can do without
        stages = declarations(project)
        for stage in stages:
            if (
                params.train.model != "logistic_regression"
                and "@" in stage.name
                and TRAINING_SET not in stage.name
            ):
                continue  # the training sets run the same code, and networks are slow
            declared = {k: v for k, v in leaves(params).items() if within(k, stage.settings, ".")}
            # What `evaluate` reads is up to the model that it finds.
            case = (stage.name, declared, params.train if "@" in stage.name else None)
            if case in ran:
                continue
            ran.append(case)
            for out in stage.outs:
                remove(project.folder / out)  # as DVC does, before it runs a stage
            vouch_for_outputs(stages)
            main = importlib.import_module(stage.command[2]).main
            read_settings = set()
            read_files.clear()
            read_files.on = True
            engine._loaded.cache_clear()  # a stage is a process of its own
            storage._md5.cache_clear()
            try:
                main(Recorder(params, read_settings), *stage.command[3:])
            finally:
                read_files.on = False
            needed = {key for key in declared if not within(key, MAYBE_CHOSEN, ".")}
            assert needed <= read_settings <= declared.keys(), (stage.name, variant)
            read_data = {
                name
                for name in read_files
                if within(name, RESULTS)
                and not within(name, stage.outs)
                and "/." not in name  # what is written under a temporary name
                and not within(name, {str(engine.UNFINISHED)})
            }
            undeclared = {name for name in read_data if not within(name, stage.data)}
            assert not undeclared, (stage.name, variant)
            unread = {name for name in stage.data if not any(within(r, [name]) for r in read_data)}
            never_read[stage.name] = unread & never_read.get(stage.name, unread)
    # Where they are shipped: see test_check.py.
    never_read["package"] -= {"metrics/representatives.json", "models/representatives"}
    # One method may need a file that another does not, but some method needs it.
    assert not any(never_read.values()), never_read


def test_no_stage_without_a_network_imports_tensorflow(project, stages):
    # The packaged classifier is a Keras model, whatever was trained.
    commands = [stage.command[2:] for stage in stages if stage.name != "package"]
    script = (
        "import runpy, sys\n"
        f"for sys.argv[:] in {commands!r}:\n"
        "    runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
        "    assert not {'keras', 'tensorflow'} & set(sys.modules), sys.argv\n"
    )
    project.run(sys.executable, "-c", script)
