"""What pip installs: one package, with all that the command and the labeling page need."""

import re
import subprocess
import sys
import tomllib
import zipfile

import pytest
from PIL import Image
from ruamel.yaml import YAML

from fewlabel.predictor import save_portable
from tests.conftest import CHECKOUT, copy_checkout
from tests.test_predictor import ABOUT, build

WITHOUT_PIPELINE = """
import sys
import tomllib
for name in "dvc dvclive filelock matplotlib pandas pooch".split():
    sys.modules[name] = None  # so that importing it fails
"""
WITHOUT_EXTRAS = f"""{WITHOUT_PIPELINE}
sys.modules |= dict.fromkeys(["flask", "waitress", "tf2onnx"])
sys.argv[0] = "fewlabel"
from fewlabel.cli import main
main()
"""
SERVE = f"""{WITHOUT_PIPELINE}
from fewlabel.web.classify import create_app
from fewlabel.predictor import PortableClassifier
create_app(PortableClassifier("m.keras"))
"""
PAGE = """
import pathlib, numpy as np, fewlabel
from fewlabel.annotation.queries import Queries
from fewlabel.web.app import create_app
from fewlabel.web.session import LabelingSession
queries = Queries(
    names=["a", "b"], sha256=["1", "2"], class_names=["cat", "dog"],
    assignment=np.array([0, 1]), representatives=np.array([0, 1]), path=pathlib.Path("labels.csv"),
)
session = LabelingSession(queries, np.zeros(2), "somebody")
app = create_app(session, lambda position, small: b"", token="token", prefix="path", port=8080)
client = app.test_client()
page = client.get("/path/?token=token", base_url="http://127.0.0.1:8080", follow_redirects=True)
assert page.status_code == 200, page.status
assert b"<html" in page.data
print(pathlib.Path(fewlabel.__file__).parents[1])
"""


def test_a_release_has_one_version():
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
    cited = YAML(typ="safe").load(CHECKOUT / "CITATION.cff")["version"]
    changes = (CHECKOUT / "CHANGELOG.md").read_text()
    newest, *_ = re.findall(r"^## (.+)$", changes, re.MULTILINE)
    assert cited == version
    assert newest == "Unreleased" or re.fullmatch(
        rf"{re.escape(version)} - 20\d\d-\d\d-\d\d", newest
    )


def test_git_holds_no_data():
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--long", "HEAD"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    sizes = {line.split("\t")[1]: int(line.split()[3]) for line in listed.splitlines()}
    assert [name for name, size in sizes.items() if size > 2**20] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    copy_checkout(source)  # since building leaves files behind
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", *build, "--wheel-dir", str(built), str(source)], check=True
    )
    [wheel] = built.iterdir()
    return wheel


def test_the_wheel_has_one_package_and_its_files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "fewlabel"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    there = [name for name in tracked if (CHECKOUT / name).exists()]
    assert sorted(names) == sorted(there)


def test_what_is_installed_serves_the_page_and_the_command(wheel, tmp_path):
    place = tmp_path / "installed"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(place)]
    subprocess.run([sys.executable, "-m", "pip", *install, str(wheel)], check=True)
    # Not from the checkout, which is on the path where its package is installed to be edited.
    environment = {"PYTHONPATH": str(place), "PATH": "/usr/bin:/bin"}

    def run(*command):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(sys.executable, "-P", "-c", PAGE).strip() == str(place)
    assert "import-labels" in run(sys.executable, "-P", str(place / "bin/fewlabel"), "--help")

    save_portable(tmp_path / "m.keras", build(), ABOUT, "")
    Image.new("L", (5, 6)).save(tmp_path / "a.png")
    predicted = run(sys.executable, "-P", "-c", WITHOUT_EXTRAS, "predict", "m.keras", "a.png")
    assert predicted.splitlines()[1].startswith("a.png")
    run(sys.executable, "-P", "-c", SERVE)
    command = [sys.executable, "-P", "-c", WITHOUT_EXTRAS, "serve", "m.keras"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "error: flask is not installed; pip install 'fewlabel[label]'" in done.stderr
