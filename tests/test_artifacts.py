"""What a stage reads is what another stage wrote, or the run stops; writing is all or nothing."""

import ast
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ruamel.yaml import YAML
from scipy import sparse

from fewlabel import arrays
from fewlabel.storage import (
    ArtifactError,
    hash_of,
    load_graph,
    load_joblib,
    locked_hashes,
    save_array,
    save_graph,
    verified,
    write,
)

CHECKOUT = Path(__file__).parents[1]
LOADERS = {"joblib.load", "pickle.load", "pickle.loads", "pd.read_pickle", "torch.load"}


def read_by(stages):
    """Return stage -> its command and the data it depends on that another stage wrote."""
    outs = {out["path"] for stage in stages.values() for out in stage.get("outs", [])}
    return {
        name: (stage["cmd"], [dep["path"] for dep in stage["deps"] if dep["path"] in outs])
        for name, stage in stages.items()
    }


def flip_a_bit(path):
    """Change one bit in the middle of a file, or of the largest file of a folder."""
    if path.is_dir():
        path = max(path.iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # it may be a link to DVC's cache
    path.write_bytes(content)


def test_hashes_are_those_of_dvc(reproduced, monkeypatch):
    monkeypatch.chdir(reproduced.folder)
    hashes = locked_hashes()
    assert {path: hash_of(path) for path in hashes} == hashes
    assert any(digest.endswith(".dir") for digest in hashes.values())


def test_every_stage_refuses_every_input_that_was_changed(project):
    """Also those that DVC put there from its cache or from a remote."""
    stages = YAML(typ="safe").load(project.folder / "dvc.lock")["stages"]
    n_refused = 0
    kept = project.folder / ".git/kept"
    for stage, (command, inputs) in read_by(stages).items():
        if "@" in stage and "@propagated" not in stage:
            continue  # the training sets run the same code
        for name in inputs:
            path = project.folder / name
            before = project.hashes("metrics")
            project.run("cp", "-r", str(path), str(kept))
            flip_a_bit(path)
            done = subprocess.run(
                command.split(), cwd=project.folder, env=project.environment,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            project.run("rm", "-r", str(path))
            kept.rename(path)
            # One method reads what another does not.
            if done.returncode:
                n_refused += 1
                assert f"error: {name} has the MD5" in done.stderr, (command, name)
                assert "Traceback" not in done.stderr
                assert project.hashes("metrics") == before
            else:
                assert name in NOT_READ[stage], stage
    assert n_refused >= 30


NOT_READ = {  # With the settings of these tests.
    "label": {"data/raw/train_files.csv"},
    "spread": {
        "data/clusters/distance.npy",
        "data/embedded/train_features.npy",
        "data/raw/train_images.npy",
        "models/embedding.joblib",
        "models/normalization.joblib",
    },
    "train@propagated": {"data/raw/train_images.npy", "models/normalization.joblib"},
    "evaluate@propagated": {
        "data/raw/test_images.npy",
        "data/raw/train_images.npy",
        "models/normalization.joblib",
    },
    # Another training set's classifier is shipped.
    "package": {"metrics/representatives.json", "models/representatives"},
}


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return Path.touch, (Path(self.canary),)


def test_a_poisoned_file_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_array("data/a.npy", np.arange(3))
    content = pickle.dumps(Payload(tmp_path / "canary"))
    Path("model.joblib").write_bytes(b"what the stage wrote")
    outs = [{"path": "model.joblib", "md5": hash_of("model.joblib")}]
    Path("dvc.lock").write_text(json.dumps({"stages": {"train": {"outs": outs}}}))
    Path("model.joblib").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model\.joblib has the MD5 .* run `make verify`"):
        load_joblib("model.joblib")
    assert not Path("canary").exists()
    outs[0]["md5"] = hash_of("model.joblib")
    Path("dvc.lock").write_text(json.dumps({"stages": {"train": {"outs": outs}}}))
    load_joblib("model.joblib")
    assert Path("canary").exists()  # so it would have


@pytest.mark.parametrize(
    ("lock", "words"),
    [
        (None, "is no output in dvc.lock yet; run `dvc repro`"),
        ("stages: {a: {outs: [{path: other.npy, md5: a}]}}", "is no output in dvc.lock yet"),
        ("", "dvc.lock is not as DVC writes it"),
        ("<<<<<<< HEAD\nstages:\n=======\n>>>>>>> main\n", "dvc.lock is not as DVC writes it"),
        ("[" * 20_000, "dvc.lock is not as DVC writes it"),
        ("stages: 3", "dvc.lock is not as DVC writes it"),
        ("stages: {a: {outs: [{path: a.npy, md5: b}]}}", "a.npy has the MD5"),
        ("stages: {a: {outs: [{path: gone.npy, md5: b}]}}", "gone.npy is missing; run `dvc pull`"),
    ],
)
def test_what_dvc_lock_does_not_vouch_for_is_refused(tmp_path, monkeypatch, lock, words):
    monkeypatch.chdir(tmp_path)
    Path("a.npy").write_bytes(b"a")
    if lock is not None:
        Path("dvc.lock").write_text(lock)
    with pytest.raises(ArtifactError, match=words.replace("[", r"\[")) as raised:
        verified("gone.npy" if "gone" in words else "a.npy")
    assert len(str(raised.value)) < 600


def test_what_a_cloud_keeps_versions_of_has_no_hash(tmp_path):
    lock = tmp_path / "dvc.lock"
    lock.write_text("stages: {a: {outs: [{path: a.npy, md5: b}, {path: c.npy, etag: d}]}}")
    assert locked_hashes(lock) == {"a.npy": "b"}


def test_no_module_unpickles_but_the_loader():
    found = {}
    for folder in ("stages", "fewlabel", "study", "benchmarks", "docs"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            calls = {
                ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)
            }
            if calls & LOADERS:
                found[f"{folder}/{path.name}"] = calls & LOADERS
            assert "allow_pickle=True" not in ast.unparse(tree)
    assert found == {"fewlabel/storage.py": {"joblib.load"}}


def test_a_graph_comes_back_without_pickle_and_as_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph = sparse.random_array((30, 30), density=0.2, format="csr", rng=0, dtype=np.float32)
    save_graph("a.npz", graph)
    save_graph("b.npz", graph)
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()
    outs = [{"path": "a.npz", "md5": hash_of("a.npz")}]
    Path("dvc.lock").write_text(json.dumps({"stages": {"graph": {"outs": outs}}}))
    loaded = load_graph("a.npz")
    assert (loaded != graph).nnz == 0
    assert (type(loaded), loaded.dtype, loaded.indices.dtype) == (
        type(graph), graph.dtype, graph.indices.dtype,
    )  # fmt: skip
    with np.load("a.npz", allow_pickle=False) as arrays:
        assert set(arrays) >= {"data", "indices", "indptr"}


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    for name in (".1234.a.npy", ".99999.a.npy", ".1234.b.npy", "1.a.npy", ".x.a.npy"):
        (tmp_path / name).touch()
    save_array(tmp_path / "a.npy", np.arange(3))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a.npy", ".1234.b.npy", "1.a.npy", ".x.a.npy"}


def test_git_ignores_what_a_killed_process_left(project):
    for name in (
        "metrics/.123.propagated.json",
        "data/annotations/.123.labels.csv",
        ".123.README.md",
    ):
        (project.folder / name).touch()
    assert project.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize(
    "save",
    [
        "save_array('a.npy', np.zeros(100_000))",
        "save_joblib('a.joblib', np.zeros(100_000))",
        "save_graph('a.npz', sparse.eye_array(30_000).tocsr())",
        "save_table('a.csv', {'x': range(100_000)})",
        "save_json('a.json', list(range(100_000)))",
    ],
)
def test_a_disk_that_takes_no_more_is_said_in_one_sentence(tmp_path, save):
    # The limit is lifted again, as a tool that measures coverage writes a file when Python ends.
    script = (
        "import resource; import numpy as np; from scipy import sparse\n"
        "from fewlabel.errors import exit_on_error; from fewlabel.storage import *\n"
        "limits = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))\n"
        f"try:\n    with exit_on_error():\n        {save}\n"
        "finally:\n    resource.setrlimit(resource.RLIMIT_FSIZE, limits)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, check=False,
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("error: a")
    assert "cannot be written: " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_where_a_library_hides_it(tmp_path, monkeypatch):
    def fail(_):
        raise OSError("100000 requested and 3 written")

    with pytest.raises(ArtifactError, match="cannot be written: 100000 requested"):
        write(tmp_path / "a.npy", fail)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(ArtifactError, match=r"a\.npy cannot be written: no space is left"):
        write(tmp_path / "a.npy", fail)


@pytest.mark.parametrize("array", [np.arange(3), np.zeros((0, 4), np.float32), np.eye(7)[:, ::2]])
def test_an_array_is_written_as_numpy_does_it(array, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 40)
    save_array(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", np.ascontiguousarray(array))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
