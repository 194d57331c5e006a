"""A page and an endpoint that classify pictures: `fewlabel serve MODEL`."""

import socket
import threading

import numpy as np
from flask import Flask, Response, abort, jsonify, render_template, request

from fewlabel.datasets.decoding import fit_image
from fewlabel.errors import FewlabelError
from fewlabel.predict import most_probable
from fewlabel.predictor import PortableClassifier
from fewlabel.web.server import create_server, harden, run_until_stopped

MAX_IMAGE_BYTES = 2**25


def serve(model: str, host: str, port: int) -> None:
    """Serve a classifier until it is stopped.

    Parameters
    ----------
    model
        A file that the stage `package` wrote.
    host, port
        Where to listen. Whoever reaches it may classify; nothing is stored.

    Raises
    ------
    FewlabelError
        If the file is no classifier, or another program listens there.
    """
    classifier = PortableClassifier(model)
    try:
        listener = socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise FewlabelError(
            f"{host}:{port} cannot be listened on ({error}); name another"
        ) from error
    server = create_server(create_app(classifier), listener, MAX_IMAGE_BYTES)
    print(f"Classify at http://{host}:{listener.getsockname()[1]}/. Stop with Ctrl-C.", flush=True)
    run_until_stopped(server)


def create_app(classifier: PortableClassifier) -> Flask:
    """Make the application: GET / is the page, POST /classify takes a PNG or JPEG.

    The response is JSON: `label`, `probability` and `probabilities`, by the name of each class.
    """
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the most probable class first
    one_at_a_time = threading.Lock()  # which is faster than several on few cores

    app.after_request(harden)

    @app.get("/")
    def page() -> str:
        return render_template("classify.html", card=classifier.card)

    @app.post("/classify")
    def classify() -> Response:
        try:
            pixels = fit_image(request.get_data(), classifier.image_shape)
        except ValueError as error:
            abort(Response(f"{error}", 400, mimetype="text/plain"))
        with one_at_a_time:
            (row,) = classifier.predict_proba(pixels[None])
        if not np.isfinite(row).all():
            text = "the model gives probabilities that are not finite numbers; train it again"
            abort(Response(text, 500, mimetype="text/plain"))
        ranked = most_probable(row, classifier.class_names, len(row), 0)
        label, probability = ranked[0]
        return jsonify(label=label, probability=probability, probabilities=dict(ranked))

    return app
