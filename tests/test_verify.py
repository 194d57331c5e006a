"""`make verify` names what is not what its hash says; `make` mends what a killed DVC left."""

import os
import shutil
from dataclasses import replace

import pytest
from ruamel.yaml import YAML


def verify(project, **settings):
    return project.run("python", "-m", "fewlabel.verify", **settings)


def prepare(project):
    return project.run("python", "-m", "fewlabel.prepare").stdout


@pytest.fixture
def shared(reproduced, once, tmp_path):
    def make(folder):
        project = reproduced.copy(folder / "project")
        project.dvc("remote", "add", "--default", "team", "../storage")
        project.dvc("push", "--quiet")

    made = once("shared", make)
    shutil.copytree(made / "storage", tmp_path / "storage")
    return replace(reproduced, folder=made / "project").copy(tmp_path / "project")


def objects(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and len(path.name) >= 30)


def change(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)  # DVC takes a file of this mode as verified


def test_what_is_right_is_said_to_be(shared):
    said = verify(shared).stdout
    assert said == "workspace, cache, remote team: every file is what its hash says\n"


def test_what_is_no_object_and_what_is_not_there_are_no_faults(shared, tmp_path):
    (shared.folder / ".dvc/cache/files/md5/.left.tmp").write_text("x")
    shared.dvc("remote", "add", "empty", str(tmp_path / "nobody pushed here"))
    said = verify(shared).stdout
    assert said == (
        "workspace, cache, remote team, remote empty: every file is what its hash says\n"
    )


def test_an_object_of_another_commit_is_named_by_its_hash(shared):
    path = shared.folder / ".dvc/cache/files/md5/ab" / ("c" * 30)
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    (line,) = verify(shared, fails=True).stdout.splitlines()
    assert line.endswith(f"{path.name} has the MD5 9dd4e461268c8034f5c8564e155c67a6")


@pytest.mark.parametrize("place", ["workspace", "cache", "remote team"])
def test_what_was_changed_is_named(shared, tmp_path, place):
    folders = {"cache": shared.folder / ".dvc/cache/files", "remote team": tmp_path / "storage"}
    changed = [shared.folder / "models/kmeans.joblib"]
    if place in folders:
        changed = objects(folders[place])[::7]
    for path in changed:
        change(path)
    done = verify(shared, fails=True)
    lines = done.stdout.splitlines()
    assert {line.split(":")[0] for line in lines} == {place}
    assert len(lines) == len(changed)
    for path in changed:
        assert any(path.name in line for line in lines)
    assert done.stderr.splitlines()[-1].startswith(f"error: {len(changed)} files are not what")


def test_the_path_of_an_object_is_named(shared):
    lock = YAML(typ="safe").load(shared.folder / "dvc.lock")["stages"]
    (digest,) = [
        out["md5"] for out in lock["embed"]["outs"] if out["path"] == "models/embedding.joblib"
    ]
    change(shared.folder / f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}")
    assert ", models/embedding.joblib, has the MD5 " in verify(shared, fails=True).stdout


def test_own_photographs_are_named_one_by_one(shared):
    photos = shared.folder / "data/images/photos"
    photos.mkdir()
    for name in "abc":
        (photos / f"{name}.png").write_text(name)
    shared.dvc("add", "--quiet", "data/images/photos")
    assert "every file" in verify(shared).stdout
    for name, content in {"a": "changed", "d": "new"}.items():
        (photos / f"{name}.png").unlink(missing_ok=True)
        (photos / f"{name}.png").write_text(content)
    (photos / "b.png").unlink()
    lines = verify(shared, fails=True).stdout.splitlines()
    told = [line.removeprefix("workspace: data/images/photos/") for line in lines]
    assert [(line[:5], line.split(", ")[-1].split()[0]) for line in told] == [
        ("a.png", "not"),
        ("b.png", "b.png"),
        ("d.png", "and"),
    ]
    assert told[1] == "b.png is missing"


def test_a_folder_whose_listing_is_not_in_the_cache_is_named_as_one(shared):
    photos = shared.folder / "data/images/photos"
    photos.mkdir()
    (photos / "a.png").write_text("a")
    shared.dvc("add", "--quiet", "data/images/photos")
    (photos / "a.png").unlink()
    (photos / "a.png").write_text("b")
    for path in objects(shared.folder / ".dvc/cache/files"):
        path.unlink()
    assert "workspace: data/images/photos has the MD5" in verify(shared, fails=True).stdout


def test_a_remote_that_cannot_be_read_is_an_error(shared):
    shared.dvc("remote", "add", "other", "ssh://127.0.0.1:1/nowhere")
    done = verify(shared, fails=True)
    assert "error: not all could be read: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("left", ["", '{"write": {"a'])
def test_a_lock_file_that_was_cut_off_is_removed(project, left):
    rwlock = project.folder / ".dvc/tmp/rwlock"
    rwlock.write_text(left)
    assert "rwlock" in project.run("dvc", "repro", fails=True).stderr.lower()  # all of DVC fails
    assert (
        prepare(project) == ".dvc/tmp/rwlock was left cut off by a DVC that was killed: removed\n"
    )
    assert project.repro() == []
    assert prepare(project) == ""


def test_a_record_that_was_cut_off_is_taken_from_git(project):
    lock = project.folder / "dvc.lock"
    whole = lock.read_text()
    lock.write_text(whole[: whole.rindex(": ")])
    assert "dvc.lock" in project.run("dvc", "repro", fails=True).stderr
    assert "dvc.lock was left cut off by a DVC that was interrupted: it is as" in prepare(project)
    assert lock.read_text() == whole
    assert prepare(project) == ""


def test_a_record_that_was_cut_off_and_is_in_no_commit_is_removed(project):
    project.run("git", "rm", "--quiet", "--cached", "dvc.lock")
    project.run("git", "commit", "--quiet", "--message", "Forget dvc.lock")
    lock = YAML(typ="safe").load(project.folder / "dvc.lock")
    (project.folder / "dvc.lock").write_text("stages:\n  download:\n    outs: 3")
    assert "dvc.lock was left cut off by a DVC that was interrupted: removed" in prepare(project)
    assert "is cached - skipping run" in project.run("dvc", "repro").stdout
    assert YAML(typ="safe").load(project.folder / "dvc.lock") == lock


def test_a_record_with_a_conflict_is_left_to_people(project):
    lock = project.folder / "dvc.lock"
    lock.write_text(f"<<<<<<< HEAD\n{lock.read_text()}=======\n>>>>>>> other\n")
    assert prepare(project) == ""
    assert lock.read_text().startswith("<<<<<<<")


def test_what_dvc_would_read_without_end_is_refused(project):
    folder = project.folder / "data/images/photos"
    folder.mkdir()
    os.mkfifo(folder / "a.png")
    (folder / "b.png").symlink_to("/dev/zero")
    (folder / "c.png").symlink_to("nowhere")
    (folder / "d.png").touch()
    own = {
        "dataset.folder.path": "data/images/photos",
        "dataset.folder.class_names": ["cat", "dog"],
    }
    project.set(own | {"dataset.name": "folder", "label.source": "human"})
    message = project.run("python", "-m", "fewlabel.prepare", fails=True).stderr
    assert message.count("\n") == 1
    assert "photos/a.png is a pipe or a device (one of 2 in data/images/photos)" in message
    for name in ("a.png", "b.png"):
        (folder / name).unlink()
    assert prepare(project) == ""


def test_remotes_are_verified_unless_somebody_says_otherwise(project):
    project.dvc("remote", "add", "--default", "team", "storage")
    project.dvc("remote", "add", "trusting", "other")
    project.dvc("remote", "modify", "trusting", "verify", "false")
    project.dvc("remote", "add", "--local", "mine", "third")
    said = prepare(project)
    assert ".dvc/config: DVC now verifies what remote team gives" in said
    assert ".dvc/config.local: DVC now verifies what remote mine gives" in said
    listed = project.dvc("config", "--list").lower()
    assert "remote.team.verify=true" in listed
    assert "remote.mine.verify=true" in listed
    assert "remote.trusting.verify=false" in listed
    assert prepare(project) == ""
