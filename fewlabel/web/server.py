"""The server of the pages, which idle and slow connections do not block."""

import logging
import resource
import signal
import socket

import waitress
from flask import Flask, Response
from waitress.server import BaseWSGIServer

_MAX_FILES = 4096
_OWN_FILES = 64  # images, annotations and libraries that the process itself opens
_IDLE_SECONDS = 10
_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def harden(response: Response) -> Response:
    """Let the page of a response load, and be shown by, nothing but its own server."""
    response.headers.update(_SECURITY_HEADERS)
    return response


def create_server(
    app: Flask, listener: socket.socket, max_body_bytes: int = 2**16
) -> BaseWSGIServer:
    """Make a waitress server of the application, which `run` starts and `close` stops.

    It accepts as many connections as this process may open files, up to `_MAX_FILES`, and closes
    those that have been idle; a browser opens another one when it needs it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # a few hundred on some machines
    n_files = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < n_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, hard))
    # It reports each image of the page that waits for a thread.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    return waitress.create_server(
        app,
        sockets=[listener],
        threads=8,
        connection_limit=n_files - _OWN_FILES,
        channel_timeout=_IDLE_SECONDS,
        cleanup_interval=_IDLE_SECONDS // 2,
        asyncore_use_poll=True,  # select() cannot take file descriptors from 1024 up
        max_request_body_size=max_body_bytes,
    )


def run_until_stopped(server: BaseWSGIServer) -> None:
    """Answer requests until Ctrl-C or a termination, which counts as one."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.run()
    finally:
        server.close()
