"""`python -m` and `python -c` for the tests, forked from a process that has imported libraries.

Importing is nearly all that DVC and a stage do on digits, and the tests run hundreds of them.

    warm_python.py SOCKET PID           serve, as long as the process PID lives
    warm_python.py SOCKET -m MODULE ... ask the server; exits as Python does

Beside the socket lies the script `python` that asks, so that what runs here starts others warm.
"""

import json
import os
import signal
import socket
import sys

OWN = ("fewlabel.engine", "fewlabel.normalization", "fewlabel.settings")
CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
own_code = {}
PATIENCE = 1  # seconds after which the server looks whether that process still lives
WARM = (
    "celery.app.control",
    "dulwich.porcelain",
    "dvc._debug",
    "dvc.cli.parser",
    "dvc.data_cloud",
    "dvc.render.convert",
    "dvc.render.match",
    "dvc.repo.artifacts",
    "dvc.repo.datasets",
    "dvc.repo.experiments.queue.celery",
    "dvc.repo.experiments.queue.tempdir",
    "dvc.repo.experiments.queue.workspace",
    "dvc.repo.experiments.run",
    "dvc.repo.experiments.show",
    "dvc.repo.graph",
    "dvc.repo.metrics.diff",
    "dvc.repo.open_repo",
    "dvc.repo.plots.diff",
    "dvc.repo.stage",
    "dvc.repo.trie",
    "dvc.repo.worktree",
    "dvc.ui.table",
    "dvc.utils.strictyaml",
    "dvc_data.hashfile.db.local",
    "dvc_data.hashfile.gc",
    "dvc_data.index.push",
    "dvc_task.app.filesystem",
    "dvclive",
    "filelock",
    "flask",
    "joblib",
    "keras",
    "matplotlib.pyplot",
    "networkx",
    "pandas",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "pydantic",
    "pydantic.main",
    "pygit2",
    "ruamel.yaml",
    "scipy.sparse.csgraph",
    "sklearn.cluster",
    "sklearn.datasets",
    "sklearn.decomposition",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.neighbors",
    "tensorflow",
)


def read_locks_fast() -> None:
    """Have DVC read a dvc.lock, which has no comments to keep, with the parser in C.

    After each stage it reads and writes all of the file. It writes the same bytes.
    """
    from dvc.utils.serialize import _yaml

    slow = _yaml.parse_yaml_for_update

    def parse(text, path):
        return (_yaml.parse_yaml if str(path).endswith(".lock") else slow)(text, path)

    _yaml.parse_yaml_for_update = parse


def code_in(folder: str) -> dict[str, bytes]:
    """Return path -> content of the files of the package in a checkout."""
    from pathlib import Path

    files = (path for path in Path(folder, "fewlabel").rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.parent.name != "__pycache__"
    }


def serve(path: str, pid: str) -> tuple[socket.socket, dict]:
    """Fork a process for each request; return its connection and the request, in the fork."""
    import gc
    import importlib

    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    for module in WARM:
        importlib.import_module(module)
    read_locks_fast()
    sys.path.insert(0, CHECKOUT)
    for module in OWN:
        importlib.import_module(module)
    sys.path.pop(0)
    sys.modules["fewlabel.kernels"].versions()  # looks through all that is installed
    own_code.update(code_in(CHECKOUT))
    gc.freeze()  # or each fork would visit, and so copy, all of their objects
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    server.settimeout(PATIENCE)
    while True:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            if not os.path.exists(f"/proc/{pid}"):  # noqa: PTH110
                sys.exit()
            continue
        if not os.fork():
            break
        connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.executable = os.path.join(os.path.dirname(path), "python")  # noqa: PTH118, PTH120
    server.close()
    connection.setblocking(True)
    message, descriptors, *_ = socket.recv_fds(connection, 2**20, 3)
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    return connection, json.loads(message)


def run(folder: str, environment: dict, arguments: list[str]) -> int:
    """Do what Python does with such arguments there; return its exit code."""
    import runpy
    import traceback

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0:1] = [folder, *environment.get("PYTHONPATH", "").split(os.pathsep)]
    if "TENSORFLOW_EAGERLY" in environment:
        sys.modules["tensorflow"].config.run_functions_eagerly(True)
    if code_in(folder) == own_code:
        sys.modules["fewlabel.kernels"].pin_kernels()  # as importing it does
    else:  # a copy with other code imports its own
        for name in [name for name in sys.modules if name.partition(".")[0] == "fewlabel"]:
            del sys.modules[name]
    option, code, *words = arguments
    sys.argv = [option, *words]
    try:
        if option == "-m":
            runpy.run_module(code, run_name="__main__", alter_sys=True)
        else:
            exec(code, {"__name__": "__main__"})
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def ask(path: str, arguments: list[str]) -> int:
    """Have the server run Python here, with this process's environment, input and outputs."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    request = [os.getcwd(), dict(os.environ), arguments]  # noqa: PTH109
    socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
    return (connection.recv(1) or b"\1")[0]  # it sends nothing if it was killed


if __name__ == "__main__":
    path, *arguments = sys.argv[1:]
    if len(arguments) > 1:
        sys.exit(ask(path, arguments))
    connection, request = serve(path, *arguments)
    code = run(*request)
    sys.stdout.flush()
    connection.send(bytes([code % 256]))
    os._exit(0)  # taking all modules down would last longer than most of what runs here
