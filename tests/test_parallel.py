"""Progress, in the form that a log can keep."""

import subprocess
import sys

from fewlabel.parallel import progress

IMPORT = "from fewlabel.classifiers.networks import import_keras; import_keras()"


def test_a_bar_within_another_writes_lines_only(caplog):
    caplog.set_level("INFO", "fewlabel")
    with progress(None, "outer", total=2) as outer, progress(None, "inner", total=2) as inner:
        outer.refresh()
        inner.refresh()
    assert [message.split(":")[0] for message in caplog.messages] == ["outer", "inner"]
    assert all(message.isprintable() for message in caplog.messages)


def test_networks_are_quiet():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""
