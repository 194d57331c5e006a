"""Work in parts: what is kept, what is made again, and the same bytes on Dask's workers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cluster import cluster
from fewlabel import engine
from fewlabel.engine import Shared, finish, loaded, run_parts
from fewlabel.errors import FewlabelError
from fewlabel.storage import ArtifactError, StoredArray

PARTS = [slice(0, 3), slice(3, 5)]


pytestmark = pytest.mark.usefixtures("here")


def squares(part, log, offset=0):
    """Return squares, and write a line about it."""
    with Path(log).open("a") as file:
        file.write(f"{part.start}\n")
    return np.arange(part.start, part.stop) ** 2 + offset


def made(log="log"):
    lines = Path(log).read_text().split() if Path(log).exists() else []
    Path(log).unlink(missing_ok=True)
    return lines


def test_each_part_is_a_file():
    files = run_parts("squares", squares, PARTS, "log")
    np.testing.assert_array_equal(np.load(files[0]), [0, 1, 4])
    np.testing.assert_array_equal(StoredArray(*files)[:], [0, 1, 4, 9, 16])
    finish("squares")
    assert not files[0].exists()


def test_what_is_finished_is_kept_while_nothing_else_is_asked_for():
    Path("input").write_text("a")

    def run(*arguments, parts=PARTS):
        run_parts("squares", squares, parts, "log", *arguments, inputs=["input"])
        return made()

    assert run() == ["0", "3"]
    assert run() == []
    assert run(parts=[PARTS[0], slice(3, 6)]) == ["3"]
    assert run(1) == ["0", "3"]
    Path("input").write_text("b")
    assert run(1) == ["0", "3"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: os.truncate(file, file.stat().st_size - 1),
        lambda file: file.write_bytes(file.read_bytes()[:-1] + b"x"),
        lambda file: file.unlink(),
        lambda file: file.with_suffix(".json").unlink(),
        lambda file: file.with_suffix(".json").write_text('{"key'),
    ],
)
def test_a_part_that_is_not_whole_is_made_again(damage):
    _, second = run_parts("squares", squares, PARTS, "log")
    content = second.read_bytes()
    made()
    damage(second)
    run_parts("squares", squares, PARTS, "log")
    assert made() == ["3"]
    assert second.read_bytes() == content


def test_a_shared_value_is_read_once_and_refused_if_it_was_changed():
    shared = Shared("squares/value", {"a": 1})
    assert shared.get() == {"a": 1}
    assert shared.get() is shared.get()
    assert repr(shared) == repr(Shared("squares/value", {"a": 1}))
    assert repr(shared) != repr(Shared("squares/value", {"a": 2}))
    with pytest.raises(FewlabelError, match=r"value.joblib was changed meanwhile"):
        shared.get()


def test_a_file_is_loaded_again_once_it_was_changed():
    Path("text").write_text("a")
    assert loaded(Path.read_text, "text") == "a"
    Path("text").write_text("ab")
    assert loaded(Path.read_text, "text") == "ab"


@pytest.mark.parametrize("value", ["dask", "dask:0", "dask:x", "ray", "tcp://host", "host:8786"])
def test_another_engine_is_refused(value, monkeypatch):
    monkeypatch.setenv(engine.ENGINE, value)
    with pytest.raises(FewlabelError, match=f"FEWLABEL_ENGINE is '{value}', but must be threads"):
        run_parts("squares", squares, PARTS, "log")


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv(engine.ENGINE, "tcp://127.0.0.1:9")
    monkeypatch.setattr(engine, "_TIMEOUT", 1)
    with pytest.raises(FewlabelError, match=r"tcp://127.0.0.1:9, but no scheduler answers"):
        run_parts("squares", squares, PARTS, "log")


def test_a_scheduler_behind_tls_needs_certificates(monkeypatch):
    monkeypatch.setenv(engine.ENGINE, "tls://127.0.0.1:9")
    with pytest.raises(FewlabelError, match=r"FEWLABEL_ENGINE is tls://127.0.0.1:9, but"):
        run_parts("squares", squares, PARTS, "log")


def test_what_is_finished_needs_no_scheduler(monkeypatch):
    run_parts("squares", squares, PARTS, "log")
    monkeypatch.setenv(engine.ENGINE, "tcp://127.0.0.1:9")
    monkeypatch.setattr(engine, "_TIMEOUT", 1)
    run_parts("squares", squares, PARTS, "log")
    assert made() == ["0", "3"]


def killed_once(part, log):
    """End this process, the first time."""
    lines = squares(part, log)
    if part.start and not Path("killed").exists():
        Path("killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return lines


def killed_always(part, log):
    """End this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def disk_full(part, log):
    """Fail as `fewlabel.storage.write` does."""
    raise ArtifactError("data/x.npy cannot be written: no space is left on the disk")


def test_workers_write_the_same_and_one_that_is_killed_costs_time_only(monkeypatch):
    expected = [file.read_bytes() for file in run_parts("squares", squares, PARTS, "log")]
    finish("squares")
    monkeypatch.setenv(engine.ENGINE, "dask:2")
    made()
    files = run_parts("squares", killed_once, PARTS, "log")
    assert [file.read_bytes() for file in files] == expected
    assert made().count("3") == 2
    with pytest.raises(FewlabelError, match="no space is left on the disk"):
        run_parts("full", disk_full, PARTS, "log")
    with pytest.raises(FewlabelError, match="workers were killed at the same part again and again"):
        run_parts("killed", killed_always, PARTS, "log")


def test_a_scheduler_and_workers_of_their_own(monkeypatch):
    checkout = Path(__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # of `squares`
    monkeypatch.setattr(engine, "_TIMEOUT", 1)
    with cluster(checkout, 0) as (address, processes):
        monkeypatch.setenv(engine.ENGINE, address)
        with pytest.raises(FewlabelError, match=f"{address} has no worker; start some by"):
            run_parts("squares", squares, PARTS, "log")
        monkeypatch.setattr(engine, "_TIMEOUT", 30)
        worker = [sys.executable, "-m", "fewlabel.worker", address]
        processes += [
            subprocess.Popen(worker, cwd=checkout, stderr=subprocess.DEVNULL) for _ in range(2)
        ]
        files = run_parts("squares", squares, PARTS, "log")
        np.testing.assert_array_equal(StoredArray(*files)[:], [0, 1, 4, 9, 16])
        with pytest.raises(FewlabelError, match="a worker cannot use nowhere/log: No such file"):
            run_parts("squares", squares, PARTS, "nowhere/log")
        with monkeypatch.context() as patch:
            patch.setattr(engine, "pinned", dict)
            with pytest.raises(FewlabelError, match="would give other bytes; start it again"):
                run_parts("others", squares, PARTS, "log")
        monkeypatch.setattr(engine._client(), "_timeout", 1)  # so long it looks for it again
        processes[0].kill()
        with pytest.raises(FewlabelError, match="which keeps what is finished"):
            run_parts("cubes", squares, PARTS, "log")
