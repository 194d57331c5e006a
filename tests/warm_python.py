"""`python -m MODULE` for the tests, forked from a process that has imported scikit-learn.

Importing is nearly all that a stage does on digits, and the tests run hundreds of stages.

    warm_python.py SOCKET               serve
    warm_python.py SOCKET -m MODULE ... ask the server; exits as the module does
"""

import importlib
import json
import os
import runpy
import socket
import sys
from pathlib import Path

WARM = (
    "dvclive",
    "matplotlib.pyplot",
    "pandas",
    "pydantic",
    "pydantic.main",
    "ruamel.yaml",
    "sklearn.cluster",
    "sklearn.decomposition",
    "sklearn.linear_model",
    "sklearn.metrics",
)


def serve(path: str) -> dict:
    """Fork a process for each request, one after the other; return the request, in the fork."""
    for module in WARM:
        importlib.import_module(module)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    while True:
        connection, _ = server.accept()
        message, descriptors, *_ = socket.recv_fds(connection, 2**20, 3)
        if pid := os.fork():
            for descriptor in descriptors:
                os.close(descriptor)
            _, status = os.waitpid(pid, 0)
            connection.send(bytes([os.waitstatus_to_exitcode(status) % 256]))
            connection.close()
        else:
            for target, descriptor in enumerate(descriptors):
                os.dup2(descriptor, target)
            return json.loads(message)


def ask(path: str, arguments: list[str]) -> int:
    """Have the server run a module here, with this process's environment, input and outputs."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    request = {"folder": str(Path.cwd()), "environment": dict(os.environ), "arguments": arguments}
    socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
    return connection.recv(1)[0]


if __name__ == "__main__":
    path, *arguments = sys.argv[1:]
    if arguments:
        sys.exit(ask(path, arguments))
    request = serve(path)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["folder"]
    _, module, *sys.argv[1:] = request["arguments"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.stdout.flush()
    os._exit(0)  # taking all modules down would last longer than the stage
