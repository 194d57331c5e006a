"""The labeling page as a web application that only this machine's user can reach."""

import secrets
from collections.abc import Callable

from flask import Flask, Response, abort, jsonify, make_response, redirect, render_template, request

from labeling.session import LabelingSession
from stages.answers import AnswersError, ConflictError

_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def create_app(
    session: LabelingSession, read_image: Callable[[int, bool], bytes], token: str, port: int
) -> Flask:
    """Make the application.

    Parameters
    ----------
    session
        Asks and saves.
    read_image
        Position of an image, whether a small one will do -> the image as PNG.
    token
        What the URL must have, as `?token=`, until a cookie has it.
    port
        Where it is served, on loopback; requests that name another host are refused.
    """
    app = Flask(__name__)
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    # A cookie is sent to all ports of a host.
    cookie = f"fewlabel-{port}"

    @app.before_request
    def admit():
        # A foreign page may send requests here, by its own name for this machine or from its tab.
        if request.host not in hosts:
            abort(403, "another host")
        origin = request.headers.get("Origin")
        if origin and origin not in {f"http://{host}" for host in hosts}:
            abort(403, "another origin")
        given = request.args.get("token") or request.cookies.get(cookie, "")
        if not secrets.compare_digest(given.encode(), token.encode()):
            abort(403, "the URL must have the token that `make label` printed")

    @app.errorhandler(AnswersError)
    def explain(error: AnswersError):
        return Response(str(error), status=500, mimetype="text/plain")

    @app.after_request
    def harden(response: Response):
        response.headers.update(_SECURITY_HEADERS)
        return response

    def check(position: int):
        if position >= len(session.questions.names):
            abort(404)

    @app.get("/")
    def page():
        if "token" not in request.args:
            return render_template("page.html")
        response = make_response(redirect("/"))  # out of the address bar and the history
        response.set_cookie(cookie, token, httponly=True, samesite="Strict")
        return response

    @app.get("/state")
    def state():
        return jsonify(session.state(request.args.get("tab", "")))

    @app.get("/question/<int:position>")
    def question(position: int):
        check(position)
        return jsonify(session.question(position))

    @app.get("/image/<int:position>", defaults={"small": False})
    @app.get("/tile/<int:position>", defaults={"small": True})
    def image(position: int, small: bool):
        check(position)
        # By its content, since after a change another image has this position.
        content = session.questions.sha256[position]
        if request.if_none_match.contains(content):
            response = Response(status=304)
        else:
            try:
                response = Response(read_image(position, small), mimetype="image/png")
            except (OSError, ValueError):
                abort(404, "the image is gone")
        response.set_etag(content)
        response.headers["Cache-Control"] = "private, no-cache"
        return response

    @app.post("/answer")
    def answer():
        sent = request.get_json()
        try:
            session.answer(sent["position"], sent["label"], sent["seen"])
        except (KeyError, TypeError, ValueError) as error:
            abort(400, str(error))
        except ConflictError as conflict:
            theirs = conflict.answer and conflict.answer.label
            return jsonify(theirs=theirs), 409
        return jsonify(session.state(str(sent.get("tab", ""))))

    return app
