"""Every command block of docs/own-images.md, run as written, one after the other."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML
from sklearn.datasets import load_sample_images

CHECKOUT = Path(__file__).parents[1]
N_PHOTOS = 120
# The page is a process of the group that Ctrl-C reaches, and so is not forked elsewhere.
PYTHON = """#!/bin/sh
case "$*" in "-m fewlabel.web") exec {cold} "$@";; *) exec {warm} "$@";; esac
"""


def blocks(document):
    """Return the language and the text of each fenced block of a document."""
    text = (CHECKOUT / document).read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(blocks):
    """Return the lines of all blocks, in order, without comments."""
    lines = (line.split("#")[0].strip() for _, block in blocks for line in block.splitlines())
    return [line for line in lines if line]


def photo(i, rng):
    """Cut a piece of one of two photographs, by turns."""
    image = load_sample_images().images[i % 2]
    top, left = (int(rng.integers(size - 80)) for size in image.shape[:2])
    return Image.fromarray(image[top : top + 80, left : left + int(rng.integers(40, 80))])


@pytest.fixture
def user(unreproduced, warm_environment, tmp_path):
    """Return a checkout with photographs in it and packages installed, as a user has it."""
    project = unreproduced.copy(tmp_path / "project")
    scripts = project.folder / ".venv/bin"
    scripts.mkdir(parents=True)
    python, dvc = (shutil.which(n, path=warm_environment["PATH"]) for n in ("python", "dvc"))
    for name, script in {
        "python": PYTHON.format(cold=sys.executable, warm=python),
        "dvc": f'#!/bin/sh\nexec {dvc} "$@"\n',
        "fewlabel": f'#!/bin/sh\nexec {python} -m fewlabel.cli "$@"\n',
    }.items():
        (scripts / name).write_text(script, encoding="utf-8")
        (scripts / name).chmod(0o755)
    for name in ("pinned-cpu", "installed-cpu"):  # or make would install again
        (project.folder / ".venv" / name).touch()
    rng = np.random.default_rng(0)
    for i in range(N_PHOTOS):
        path = project.folder / f"data/images/photos/{['cat', 'dog'][i % 2]}s/{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(i, rng).save(path)
    (project.folder / "new_photos").mkdir()
    for i, name in enumerate(("new_photos/0.jpg", "new_photos/1.jpg", "another.jpg")):
        photo(i, rng).save(project.folder / name)
    own_code = {"PYTHONPATH": str(project.folder), "BROWSER": "true"}
    own_code["PATH"] = os.pathsep.join([str(scripts), project.environment["PATH"]])
    return replace(project, environment=project.environment | own_code)


def label_on_the_page(project, command):
    """Run a command that serves the page, and answer all it asks; return what it said last."""
    process = subprocess.Popen(
        command, shell=True, cwd=project.folder, env=project.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        # A shell that runs these tests in its background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    said = ""
    while "Label at " not in said:
        line = process.stdout.readline()
        assert line, said  # else it ended
        said += line
    page, token = said.split()[-1].split("?token=")

    def call(path, body=None):
        data = body and json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{page}{path}?token={token}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    state = call("state")
    while asked := state["query"]:
        body = {"label": asked["name"][:3], "seen": [], "tab": "a"}
        state = call(f"annotation/{asked['position']}", body)
    os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=60)[0]


def test_readme_shows_the_same_commands():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    section = text.split("## Your own images\n")[1].split("\n## ")[0]
    [shown] = re.findall(r"^```bash\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    tested = iter(commands(blocks("docs/own-images.md")))
    assert [line for line in commands([("bash", shown)]) if line not in tested] == []


def test_every_block_runs_as_written(user):
    outputs = {}
    for language, block in blocks("docs/own-images.md"):
        if language == "python":  # of another machine, with PyTorch
            continue
        if language == "yaml":
            yaml = YAML()
            params = yaml.load(user.folder / "params.yaml")
            for section, settings in yaml.load(block).items():
                params[section].update(settings)
            yaml.dump(params, user.folder / "params.yaml")
        elif block.strip() == "make label":
            outputs[block] = label_on_the_page(user, block)
            assert "Traceback" not in outputs[block]
        else:
            outputs[block] = user.run("bash", "-ec", block).stdout
    assert len(outputs) == 5
    assert user.run("git", "status", "--porcelain").stdout.split() == [
        "??", "another.jpg", "??", "new_photos/",
    ]  # fmt: skip
    *_, predicted = outputs.values()
    lines = [line.split() for line in predicted.splitlines()]
    for name, label in (("new_photos/0.jpg", "cat"), ("new_photos/1.jpg", "dog")):
        assert sum(line[:2] == [name, label] for line in lines) == 2  # by folder, and by list
    assert any(line[0] == "another.jpg" for line in lines)
    assert user.repro() == []
