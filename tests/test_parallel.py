"""Progress, in the form that a log can keep."""

import subprocess
import sys

import pytest

from fewlabel.parallel import for_each_block, progress

IMPORT = "from fewlabel.keras_session import import_keras; import_keras()"


def test_a_bar_within_another_writes_lines_only(caplog):
    caplog.set_level("INFO", "fewlabel")
    with progress(None, "outer", total=2) as outer, progress(None, "inner", total=2) as inner:
        outer.refresh()
        inner.refresh()
    assert [message.split(":")[0] for message in caplog.messages] == ["outer", "inner"]
    assert all(message.isprintable() for message in caplog.messages)


def test_a_bar_that_ends_writes_no_empty_line(caplog):
    caplog.set_level("INFO", "fewlabel")
    with progress(range(3), "embed") as bar:
        bar.delay = 0  # else so short a bar is not shown at all
        assert list(bar) == [0, 1, 2]
    assert caplog.messages[-1].startswith("embed: 100 % in ")
    assert all(caplog.messages)


@pytest.mark.parametrize("bad", [0, 3, 6])
def test_an_error_in_a_block_is_raised(bad):
    done = set()

    def work(rows):
        if rows.start == bad:
            raise MemoryError(f"of block {bad}")
        done.add((rows.start, rows.stop))

    with pytest.raises(MemoryError, match=f"of block {bad}"):
        for_each_block(work, 7, block_rows=3, description="rows")
    assert done <= {(0, 3), (3, 6), (6, 7)}
    assert bad not in {start for start, _ in done}


def test_networks_are_quiet():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""
