"""Commands from their words to what they print, where no longer test runs them."""

import csv
import json
import socket
import sys
import urllib.request

import pytest

from fewlabel import cli
from fewlabel.predictor import PortableClassifier, save_portable
from fewlabel.web import __main__ as labeling
from tests.test_browser import served
from tests.test_predictor import ABOUT, IMAGES, build


@pytest.mark.usefixtures("sigterm_as_before")
def test_a_model_is_exported_by_a_command(tmp_path, monkeypatch, capsys):
    import onnxruntime

    model, target = tmp_path / "classifier.keras", tmp_path / "m.onnx"
    save_portable(model, build(), ABOUT, "# Card")
    words = ["fewlabel", "export", str(model), "--format", "onnx", str(target)]
    monkeypatch.setattr(sys, "argv", words)
    cli.main()
    assert capsys.readouterr().out == f"{target} is written\n"
    session = onnxruntime.InferenceSession(target)
    (given,) = session.run(None, {session.get_inputs()[0].name: IMAGES})
    expected = PortableClassifier(model).predict_proba(IMAGES)
    assert given == pytest.approx(expected, abs=1e-6)


def test_the_page_for_labels_tells_what_the_pipeline_will_not_use(project):
    fewlabel = ("python", "-m", "fewlabel.cli")
    project.run(*fewlabel, "export-tasks", "tasks")
    tasks = json.loads((project.folder / "tasks/tasks.json").read_text(encoding="utf-8"))
    name = tasks[0]["data"]["name"]
    with (project.folder / "mine.csv").open("w", encoding="utf-8") as file:
        csv.writer(file).writerows([["image", "label"], [name, "3"]])
    project.run(*fewlabel, "import-labels", "mine.csv")
    project.run("git", "checkout", "--quiet", "--", "data/annotations")
    with served(project) as (address, process):
        told = [process.stdout.readline() for _ in range(3)]
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(address, timeout=60) as page:
            assert page.status == 200  # from here on, a termination counts as Ctrl-C
        process.terminate()
        last = process.stdout.read()
    assert told[0].startswith(f"{len(tasks)} of {len(tasks)} images are left to label; ")
    assert told[1:] == [
        "label.source in params.yaml is not human, so the pipeline will not use them.\n",
        "1 were labeled here before: `fewlabel restore-labels` brings them back.\n",
    ]
    assert last.startswith(f"{len(tasks)} images are left to label; `make label` resumes.")
    assert process.returncode == 0


def test_a_second_page_listens_elsewhere(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(labeling, "PORT", port)
        with labeling._listen() as listener:
            host, other = listener.getsockname()
            assert (host, other != port) == ("127.0.0.1", True)
