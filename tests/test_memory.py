"""Settings that ask for more memory than there is."""

import psutil
import pytest

from fewlabel import memory
from fewlabel.errors import FewlabelError
from fewlabel.memory import available_memory, require_memory


@pytest.fixture
def limit(monkeypatch, tmp_path):
    """Return a function that sets the container's limit, as its file says it."""

    def set_limit(text):
        path = tmp_path / "memory.max"
        path.write_text(f"{text}\n")
        monkeypatch.setattr(memory, "_CGROUP_LIMIT", path)

    return set_limit


def test_what_fits_is_allowed_and_what_does_not_is_refused(limit):
    limit(1000)
    require_memory(1000, "a.b", 7)
    with pytest.raises(FewlabelError) as error:
        require_memory(1001, "a.b", 7)
    assert str(error.value) == (
        "a.b is 7, which needs 1 kB of memory, but 1 kB are available; lower it"
    )


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (999, "999 bytes"),
        (5_800_000, "5.8 MB"),
        (21 * 10**9, "21 GB"),
        (58 * 10**20, "5,800,000 PB"),
    ],
)
def test_sizes_are_readable(limit, n_bytes, text):
    limit(10)
    with pytest.raises(FewlabelError, match=f"needs {text} of memory, but 10 bytes are"):
        require_memory(n_bytes, "a", 1)


def test_the_lower_of_machine_and_container_counts(limit, tmp_path, monkeypatch):
    limit("max")
    machine_memory = available_memory()
    assert 0 < machine_memory <= psutil.virtual_memory().total
    limit(10**18)
    assert available_memory() < 10**18
    limit(10**6)
    assert available_memory() == 10**6
    monkeypatch.setattr(memory, "_CGROUP_LIMIT", tmp_path / "missing")
    assert available_memory() > 10**6
