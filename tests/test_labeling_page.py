"""The labeling page's server: who it lets in, and what it does with answers."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import waitress
from flask.testing import FlaskClient

from labeling.app import create_app
from labeling.session import LEASE_SECONDS, LabelingSession
from stages.answers import NO_CLASS, NOT_SURE, Questions, read_answers

TOKEN, PORT = "secret", 8642


def questions(n_clusters=4, of_each=16):
    n = n_clusters * of_each
    return Questions(
        names=[f"{i}.png" for i in range(n)],
        sha256=[f"{i:064}" for i in range(n)],
        class_names=["cat", "dog", "Zoë's <b>"],
        assignment=np.repeat(np.arange(n_clusters), of_each),
        representatives=np.arange(0, n, of_each),
    )


def start(tmp_path, of=None, port=PORT):
    of = of or questions()
    distance = np.arange(len(of.names)) % 16
    session = LabelingSession(of, distance, tmp_path / "labels.csv")
    return create_app(
        session, lambda i, small: f"{'tile' if small else 'image'} {i}".encode(), TOKEN, port
    )


class LocalClient(FlaskClient):
    """Calls the server as this machine's browser does."""

    def open(self, *arguments, **settings):
        """Send a request."""
        return super().open(*arguments, base_url=f"http://127.0.0.1:{PORT}", **settings)


@pytest.fixture
def client(tmp_path):
    app = start(tmp_path)
    app.test_client_class = LocalClient
    return app.test_client()


@pytest.fixture
def admitted(client):
    assert client.get(f"/?token={TOKEN}").status_code == 302
    return client


def send(client, position, label, seen=None, tab="a"):
    body = {"position": position, "label": label, "seen": seen, "tab": tab}
    return client.post("/answer", json=body)


def seen(state, position):
    return next(a["seen"] for a in state["answers"] if a["position"] == position)


@pytest.mark.parametrize("path", ["/", "/state", "/image/0", "/question/0", "/static/page.js"])
@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=sécret"])
def test_nobody_gets_in_without_the_token(client, path, query):
    assert client.get(path + query).status_code == 403
    assert send(client, 0, "cat").status_code == 403


def test_the_token_becomes_a_cookie(client):
    response = client.get(f"/?token={TOKEN}")
    assert (response.status_code, response.headers["Location"]) == (302, "/")
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    page = client.get("/")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "//" not in page.text.replace("<!doctype", "")  # nothing from another machine


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": f"evil.example:{PORT}"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://127.0.0.1:{PORT}"},
    ],
)
def test_foreign_hosts_and_origins_are_refused(admitted, headers):
    assert admitted.get("/state", headers=headers).status_code == 403
    body = {"position": 0, "label": "cat", "seen": None}
    assert admitted.post("/answer", json=body, headers=headers).status_code == 403
    assert admitted.get("/state").json["answers"] == []


def test_the_own_origin_is_let_in(admitted):
    body = {"position": 0, "label": "cat", "seen": None}
    headers = {"Origin": f"http://127.0.0.1:{PORT}"}
    assert admitted.post("/answer", json=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/image/../../etc/passwd", "/image/..%2f..%2fetc%2fpasswd", "/static/../app.py",
        "/static/..%2fapp.py", "/image/-1", "/image/64", "/image/0.png", "/question/64", "/nothing",
    ],
)  # fmt: skip
def test_no_path_of_the_disk_is_served(admitted, path):
    assert admitted.get(path).status_code == 404


def test_an_image_whose_file_is_gone(tmp_path):
    def gone(position, small):
        raise FileNotFoundError(position)

    session = LabelingSession(questions(), np.zeros(64), tmp_path / "labels.csv")
    app = create_app(session, gone, TOKEN, PORT)
    app.test_client_class = LocalClient
    assert app.test_client().get(f"/image/0?token={TOKEN}").status_code == 404


def test_a_question_shows_who_the_image_stands_for(admitted):
    question = admitted.get("/state?tab=a").json["question"]
    assert question["position"] == 0
    assert question["cluster_size"] == 16
    assert question["nearest"] == [1, 2, 3, 4, 5, 6]
    assert question["farthest"] == [10, 11, 12, 13, 14, 15]
    assert admitted.get("/question/17").json["nearest"] == [16, 18, 19, 20, 21, 22]
    image = admitted.get("/image/17")
    assert image.data == b"image 17"
    assert admitted.get("/tile/17").data == b"tile 17"
    # The browser asks again each time, since another image may have this position by then.
    assert image.headers["Cache-Control"] == "private, no-cache"
    again = {"If-None-Match": image.headers["ETag"]}
    assert admitted.get("/image/17", headers=again).status_code == 304
    assert admitted.get("/image/18", headers=again).status_code == 200


def test_labels_are_saved_changed_and_undone(admitted, tmp_path):
    state = send(admitted, 0, "cat").json
    assert (state["left"], state["question"]["position"]) == (3, 16)
    state = send(admitted, 16, NOT_SURE).json
    state = send(admitted, 32, NO_CLASS).json
    state = send(admitted, 0, "dog", seen(state, 0)).json
    state = send(admitted, 16, None, seen(state, 16)).json
    assert (state["left"], state["question"]["position"]) == (2, 16)
    saved = {a.image: a.label for a in read_answers(tmp_path / "labels.csv").values()}
    assert saved == {"32.png": NO_CLASS, "0.png": "dog"}


def test_a_tab_is_not_shown_what_another_one_shows(admitted, monkeypatch):
    assert admitted.get("/state?tab=a").json["question"]["position"] == 0
    assert admitted.get("/state?tab=b").json["question"]["position"] == 16
    assert admitted.get("/state?tab=a").json["question"]["position"] == 0
    later = time.monotonic() + LEASE_SECONDS + 1
    monkeypatch.setattr("time.monotonic", lambda: later)
    assert admitted.get("/state?tab=c").json["question"]["position"] == 0


def test_who_comes_second_overwrites_nothing(admitted, tmp_path):
    first = send(admitted, 0, "cat", tab="a").json
    second = send(admitted, 0, "dog", tab="b")
    assert (second.status_code, second.json) == (409, {"theirs": "cat"})
    send(admitted, 0, None, seen(first, 0))
    late = send(admitted, 0, "dog", seen(first, 0), tab="b")
    assert (late.status_code, late.json) == (409, {"theirs": None})
    assert read_answers(tmp_path / "labels.csv") == {}


@pytest.mark.parametrize(
    "body",
    [
        {"position": 0, "label": "cow", "seen": None},
        {"position": 64, "label": "cat", "seen": None},
        {"position": -1, "label": "cat", "seen": None},
        {"position": "x", "label": "cat", "seen": None},
        {"position": 1e999, "label": "cat", "seen": None},
        {"position": 0, "label": ["cat"], "seen": None},
        {"position": 0, "label": "cat"},
        ["position"],
    ],
)
def test_what_is_no_answer_is_refused(admitted, body):
    assert admitted.post("/answer", json=body).status_code == 400
    assert admitted.get("/state").json["answers"] == []


def test_a_thousand_labels_from_four_clients_at_once(tmp_path):
    of = questions(n_clusters=1000, of_each=1)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = waitress.create_server(start(tmp_path, of, port), sockets=[listener], threads=8)
    threading.Thread(target=server.run, daemon=True).start()
    url = f"http://127.0.0.1:{port}"

    def call(path, body=None):
        data = body and json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}{path}?token={TOKEN}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def label_all(tab):
        n_saved = 0
        state = call("/state")
        while question := state["question"]:
            body = {"position": question["position"], "label": tab, "seen": None, "tab": tab}
            try:
                state = call("/answer", body)
                n_saved += 1
            except urllib.error.HTTPError as error:
                if error.code != 409:  # another client was first
                    raise
                state = call("/state")
        return n_saved

    with ThreadPoolExecutor(4) as pool:
        saved = list(pool.map(label_all, ["cat", "dog", "cat", "dog"]))
    server.close()
    lines = (tmp_path / "labels.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert sum(saved) == len(lines) == 1000
    assert {line.split(",")[0] for line in lines} == set(of.names)
