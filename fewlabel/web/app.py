"""The labeling page as a web application that only this machine's user can reach."""

import secrets
from collections.abc import Callable

from flask import Blueprint, Flask, Response, abort, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel

from fewlabel.annotation.annotations import ConflictError
from fewlabel.errors import FewlabelError
from fewlabel.web.server import harden
from fewlabel.web.session import LabelingSession


class _Sent(BaseModel):
    label: str | None
    seen: list[str]
    tab: str = ""


def create_app(
    session: LabelingSession,
    read_image: Callable[[int, bool], bytes],
    *,
    token: str,
    prefix: str,
    port: int,
) -> Flask:
    """Make the application.

    Parameters
    ----------
    session
    read_image
        Position of an image, whether a small one will do -> the image as PNG.
    token
        What the URL must have, as `?token=`, until a cookie has it.
    prefix
        First part of every path, as hard to guess as the token.
    port
        Where it is served, on loopback; requests that name another host are refused.
    """
    app = Flask(__name__, static_url_path=f"/{prefix}/static")
    site = Blueprint("site", __name__, url_prefix=f"/{prefix}")
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    # A cookie is sent to all ports of a host, but not to other paths than its own.
    cookie = f"fewlabel-{port}"
    position_in_path = f"<int(max={len(session.queries.names) - 1}):position>"

    @app.before_request
    def admit() -> None:
        # A foreign page may send requests here, by its own name for this machine or from its tab.
        if request.host not in hosts:
            abort(403, "another host")
        if request.origin and request.origin not in {f"http://{host}" for host in hosts}:
            abort(403, "another origin")
        given = request.args.get("token") or request.cookies.get(cookie, "")
        if not secrets.compare_digest(given.encode(), token.encode()):
            abort(403, "the URL must have the token that `make label` printed")

    @app.errorhandler(FewlabelError)
    def explain(error: FewlabelError) -> Response:
        status = 409 if isinstance(error, ConflictError) else 503
        return Response(str(error), status, mimetype="text/plain")

    app.after_request(harden)

    @site.get("/")
    def page() -> ResponseReturnValue:
        if "token" not in request.args:
            return render_template("page.html")
        response = redirect(f"/{prefix}/")  # no token in address bar and history
        response.set_cookie(cookie, token, path=f"/{prefix}/", httponly=True, samesite="Strict")
        return response

    @site.get("/state")
    def state() -> Response:
        return jsonify(session.state(request.args.get("tab", "")))

    @site.get(f"/query/{position_in_path}")
    def query(position: int) -> Response:
        return jsonify(session.query(position))

    @site.get(f"/image/{position_in_path}", defaults={"small": False})
    @site.get(f"/tile/{position_in_path}", defaults={"small": True})
    def image(position: int, small: bool) -> Response:
        # By its content, since after a change another image has this position.
        content = session.queries.sha256[position]
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

    @site.post(f"/annotation/{position_in_path}")
    def annotation(position: int) -> Response:
        try:
            sent = _Sent.model_validate(request.get_json())
            session.annotate(position, sent.label, sent.seen)
        except (ValueError, RecursionError) as error:
            abort(400, str(error))
        return jsonify(session.state(sent.tab))

    app.register_blueprint(site)
    return app
