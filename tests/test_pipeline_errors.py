"""Wrong settings stop a stage and DVC with one clear sentence, and leave the results alone."""

import re
import signal

import numpy as np
import pytest

from fewlabel.settings import PARAMS_FILE
from fewlabel.storage import save_array, write

WRITTEN = ("dvc.lock", "data", "metrics", "models")


def replace_line(pattern, line):
    """Return an edit of params.yaml that replaces the one line that matches."""

    def edit(text):
        edited, n = re.subn(f"^{pattern}$", line, text, flags=re.MULTILINE)
        assert n == 1
        return edited

    return edit


# What is wrong -> (edit of params.yaml, words that the message has to have).
WRONG = {
    "unknown key": (
        replace_line(r"  percentile: 80", "  percentile: 50\n  percentil: 50"),
        [
            "propagate.percentil ",
            "allowed here are method, percentile, label_weight, auto, cluster, graph, regression",
        ],
    ),
    "nothing kept": (
        replace_line(r"  percentile: 80", "  percentile: 0"),
        ["propagate.percentile", "0", "greater than 0"],
    ),
    "more than all": (
        replace_line(r"  percentile: 80", "  percentile: 150"),
        ["propagate.percentile", "150", "less than or equal to 100"],
    ),
    "more labels than images": (
        replace_line(r"label_budget: 40", "label_budget: 1438"),
        ["label_budget", "1438", "at most 1437"],
    ),
    "number as text": (
        replace_line(r"    C: 10", '    C: "1e-05"'),
        ["train.logistic_regression.C", "'1e-05'", "number"],
    ),
    "no value": (
        replace_line(r"  percentile: 80", "  percentile:"),
        ["propagate.percentile", "None", "number"],
    ),
    "number for a section": (
        replace_line(r"  kmeans:(\n    .*)+", "  kmeans: 3"),
        ["cluster.kmeans is 3", "a mapping of settings"],
    ),
    "unknown model": (
        replace_line(r"  model: logistic_regression", "  model: resnet"),
        [
            "train.model",
            "'resnet'",
            "'cnn', 'cnn_mlp_ensemble', 'logistic_regression', 'mlp', 'small_cnn' or 'wide_mlp'",
        ],
    ),
    "unknown embedding": (
        replace_line(r"  method: patches", "  method: umap"),
        ["embed.method", "'umap'", "'patches', 'pca', 'pixels' or 'pretrained'"],
    ),
    "missing key": (replace_line(r"  percentile: 80", ""), ["propagate.percentile is missing"]),
    "duplicate key": (lambda text: text + "seed: 3\n", ["seed", "3", "duplicate"]),
    "no mapping": (lambda _: "- a\n", ["the file is ['a']", "a mapping of settings"]),
    "empty": (lambda _: "", ["the file is None", "a mapping of settings"]),
}
# DVC itself refuses these, in its own words.
REFUSED_BY_DVC = {
    "unknown model": "fewlabel/classifiers/resnet.py",
    "unknown embedding": "fewlabel/embeddings/umap.py",
    "missing key": "'propagate.percentile' are missing from 'params.yaml'",
    "duplicate key": 'duplicate key "seed"',
    "no mapping": "expected a dictionary, got 'list' in file 'params.yaml'",
    "empty": "Could not find 'dataset.folder.path'",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_settings_stop_a_stage_and_dvc(project, wrong):
    edit, words = WRONG[wrong]
    params = project.folder / PARAMS_FILE
    right = params.read_text(encoding="utf-8")
    params.write_text(edit(right), encoding="utf-8")
    before = project.hashes(*WRITTEN)

    message = project.run("python", "-m", "stages.propagate", fails=True).stderr
    assert message.startswith("error: params.yaml")
    assert message.count("\n") == 1
    assert all(word in message for word in words), message
    assert project.hashes(*WRITTEN) == before

    shown = project.run("dvc", "repro", fails=True).stderr
    assert REFUSED_BY_DVC.get(wrong, message) in shown
    assert "Traceback" not in shown

    # DVC removes the outputs of a stage before it runs it; right settings bring them back.
    params.write_text(right, encoding="utf-8")
    assert project.repro() == []
    assert project.hashes(*WRITTEN) == before


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_write_that_is_stopped_leaves_the_old_file(tmp_path, stop):
    path = tmp_path / "folder" / "array.npy"
    save_array(path, np.arange(3))
    before = path.read_bytes()

    def half(temporary):
        temporary.write_bytes(before[:10])
        raise stop

    with pytest.raises(stop):
        write(path, half)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_stage_that_is_terminated_leaves_no_temporary_file(project):
    script = (
        "import os, signal\n"
        "from fewlabel import settings, storage\n"
        "def half(temporary):\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "settings.run_stage(lambda _: storage.write('data/new/file.txt', half))\n"
    )
    stopped = project.run("python", "-c", script, fails=True)
    assert (stopped.returncode, stopped.stderr) == (128 + signal.SIGTERM, "")
    assert list((project.folder / "data/new").iterdir()) == []
