"""Remotes to share through: a folder, and a real SSH server on this machine."""

import getpass
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import Project

_SSHD = "/usr/sbin/sshd"  # which insists on its whole path
_OBJECTS = "files/md5"


@contextmanager
def folder_remote(project: Project) -> Iterator[Path]:
    """Push a project to a folder; yield where its objects are."""
    with tempfile.TemporaryDirectory() as folder:
        project.dvc("remote", "add", "--default", "storage", folder)
        yield _pushed(project, folder)


@contextmanager
def ssh_remote(project: Project) -> Iterator[Path]:
    """Push a project to an SSH server that only this machine reaches; yield its objects."""
    with tempfile.TemporaryDirectory() as folder, _ssh_server(Path(folder)) as port:
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{folder}/storage"
        project.dvc("remote", "add", "--default", "storage", url)
        project.dvc("remote", "modify", "storage", "keyfile", f"{folder}/key")
        yield _pushed(project, f"{folder}/storage")


REMOTES = {"a folder": folder_remote, "SSH": ssh_remote}


def _pushed(project, folder):
    project.commit("Add a remote")
    project.dvc("push", "--quiet")
    return Path(folder, _OBJECTS)


@contextmanager
def _ssh_server(folder):
    for name in ("key", "host_key"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(key, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\n"
        f"HostKey {folder}/host_key\n"
        f"AuthorizedKeysFile {folder}/key.pub\n"
        f"PidFile {folder}/pid\n"
        "PasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
        "StrictModes no\n"  # the folder is below one that everybody may write to
        "Subsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # which a service manager would have made
    server = subprocess.Popen([_SSHD, "-D", "-e", "-f", folder / "config"], stderr=subprocess.PIPE)
    try:
        _wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait()


def _wait_for(port, server):
    while True:
        if server.poll() is not None:
            raise OSError(f"sshd ended: {server.stderr.read().decode()}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
