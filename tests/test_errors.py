"""How a command ends: with one line, and an exit code that shells understand."""

import errno
import logging
import os
import signal
import subprocess
import sys

import pytest

from fewlabel.errors import FewlabelError, exit_on_error

pytestmark = pytest.mark.usefixtures("sigterm_as_before")


def test_what_an_encoding_lacks_is_printed_all_the_same():
    program = "from fewlabel.errors import exit_on_error\nwith exit_on_error(): print('\\u732b')"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "\\u732b\n"


def ended_by(error):
    with pytest.raises(SystemExit) as end, exit_on_error():
        raise error
    return end.value.code


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FewlabelError("seed is -1"), "error: seed is -1"),
        (
            ModuleNotFoundError("No module named 'flask.json'", name="flask.json"),
            "error: flask.json is not installed; pip install 'fewlabel[label]'",
        ),
        (
            ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow"),
            "error: tensorflow is not installed; pip install 'fewlabel[cpu]'",
        ),
        (
            MemoryError("7 GB\nfor an array"),
            "error: there is too little memory (7 GB for an array); lower what asks for it in "
            "params.yaml, such as label_budget, dataset.folder.image_size or a batch_size",
        ),
        (OSError(errno.ENOSPC, "No space left", "a/b.npy"), "error: a/b.npy: No space left"),
        (OSError("no answer\nfrom it"), "error: no answer from it"),
    ],
)
def test_an_error_of_the_user_or_the_machine_is_one_line(error, line):
    assert ended_by(error) == line


@pytest.mark.parametrize("name", ["fewlabel.gone", None])
def test_a_module_of_its_own_that_is_missing_is_a_fault_with_a_traceback(name):
    error = ModuleNotFoundError("No such module", name=name)
    with pytest.raises(ModuleNotFoundError) as raised, exit_on_error():
        raise error
    assert raised.value is error


def test_an_interrupt_and_a_termination_end_as_shells_count(capsys):
    assert ended_by(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "interrupted\n"
    with pytest.raises(SystemExit) as end, exit_on_error():
        signal.raise_signal(signal.SIGTERM)
    assert end.value.code == 143


def test_what_takes_long_is_told_only_meanwhile(capsys):
    logger = logging.getLogger("fewlabel.example")
    with exit_on_error():
        logger.info("embed ...")
    logger.info("later")
    ended_by(FewlabelError("x"))
    logger.info("after an error")
    assert capsys.readouterr().err == "embed ...\n"
