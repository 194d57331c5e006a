"""Label representatives in a browser: `python -m fewlabel.web`."""

import html
import secrets
import socket
import tempfile
import threading
import webbrowser
from pathlib import Path

from fewlabel.annotation.person import current_person
from fewlabel.annotation.queries import read_queries
from fewlabel.methods import chosen
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array
from fewlabel.web.app import create_app
from fewlabel.web.images import png_reader
from fewlabel.web.server import create_server, run_until_stopped
from fewlabel.web.session import LabelingSession

PORT = 8642


def main(params: Params) -> None:
    """Serve the page until it is stopped."""
    queries = read_queries(params)
    distance = load_array("data/clusters/distance.npy")
    session = LabelingSession(queries, distance, current_person(), _last_verdict())
    # Before the address is printed: errors are the page's from then on.
    n_pending, n_lost = session.n_pending(), len(queries.lost())
    listener = _listen()
    port = listener.getsockname()[1]
    token, prefix = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    read_image = png_reader(chosen("datasets", params.dataset), queries.names, queries.sha256)
    app = create_app(session, read_image, token=token, prefix=prefix, port=port)
    server = create_server(app, listener)
    url = f"http://127.0.0.1:{port}/{prefix}/?token={token}"
    print(
        f"Label at {url}\n{n_pending} of {queries.n_asked} images are left to label; "
        "every annotation is saved at once. Stop with Ctrl-C.",
        flush=True,
    )
    if params.label.source != "human":
        print("label.source in params.yaml is not human, so the pipeline will not use them.")
    if n_lost:
        print(f"{n_lost} were labeled here before: `fewlabel restore-labels` brings them back.")
    with tempfile.TemporaryDirectory() as folder:
        # A browser that runs in a terminal does not return, and the server has to answer it.
        threading.Thread(target=_open, args=(Path(folder, "page.html"), url), daemon=True).start()
        run_until_stopped(server)
    n_pending = session.n_pending()
    what = f"{n_pending} images are left to label; `make label`"
    print(f"{what if n_pending else 'All are labeled: `dvc repro`'} resumes.", end=" ")
    print(f"Commit {queries.path} to keep the labels.")


def _last_verdict() -> tuple[str, ...]:
    """Return the sentences that the last run printed, if one got as far."""
    path = Path("models/verdict.md")
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return tuple(line.removeprefix("- ") for line in text.splitlines())


def _open(file: Path, url: str) -> None:
    """Open the page by way of a private file, since every user sees a command line's token."""
    file.write_text(
        f'<meta http-equiv="refresh" content="0; url={html.escape(url)}">', encoding="utf-8"
    )
    webbrowser.open(file.as_uri())


def _listen() -> socket.socket:
    """Listen on the usual port of loopback, or any that is free if another page has it."""
    try:
        return socket.create_server(("127.0.0.1", PORT))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))


if __name__ == "__main__":
    run_stage(main)
