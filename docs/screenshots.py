"""Take the pictures of the labeling page in docs/own-images.md: `python -m docs.screenshots`.

Labels the first images of the clusters in this checkout with a browser, in a temporary file.
"""

import shutil
import socket
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from fewlabel.annotation.queries import read_queries
from fewlabel.methods import chosen
from fewlabel.settings import read_params
from fewlabel.web.app import create_app
from fewlabel.web.images import png_reader
from fewlabel.web.server import create_server
from fewlabel.web.session import LabelingSession

N_LABELED = 30
VIEWS = {"desktop": {"width": 1100, "height": 800}, "phone": {"width": 390, "height": 844}}


def main() -> None:
    """Write docs/labeling_DEVICE.png."""
    params = read_params()
    queries = read_queries(params)
    truth = np.load("data/raw/train_labels.npy")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        queries = replace(queries, path=Path(folder, "labels.csv"))
        session = LabelingSession(queries, np.load("data/clusters/distance.npy"), "")
        for _ in range(N_LABELED):
            position = session.state("")["query"]["position"]
            session.annotate(position, queries.class_names[truth[position]], [])
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        read_image = png_reader(chosen("datasets", params.dataset), queries.names)
        app = create_app(session, read_image, token="t", prefix="p", port=port)
        server = create_server(app, listener)
        threading.Thread(target=server.run, daemon=True).start()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for device, viewport in VIEWS.items():
            page = browser.new_page(viewport=viewport)
            page.goto(f"http://127.0.0.1:{port}/p/?token=t")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=f"docs/labeling_{device}.png")
        browser.close()
        server.close()


if __name__ == "__main__":
    main()
