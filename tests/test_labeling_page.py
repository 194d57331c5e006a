"""The labeling page's server: who it lets in, and what it does with annotations."""

import hashlib
import io
import json
import resource
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from fewlabel.annotation.annotations import NO_CLASS, NOT_SURE, Annotation, AnnotationsError
from fewlabel.annotation.queries import Queries
from fewlabel.methods import settings_of
from fewlabel.storage import save_array
from fewlabel.web.app import create_app
from fewlabel.web.images import png_reader
from fewlabel.web.server import create_server
from fewlabel.web.session import LEASE_SECONDS, LabelingSession

TOKEN, PREFIX, PORT = "secret", "hidden", 8642
SECONDS = 5  # in which the page must answer
N_LABELS = 250


def make_queries(n_clusters=4, n_each=16):
    n = n_clusters * n_each
    return Queries(
        names=[f"{i}.png" for i in range(n)],
        sha256=[f"{i:064}" for i in range(n)],
        class_names=["cat", "dog", "Zoë's <b>"],
        assignment=np.repeat(np.arange(n_clusters), n_each),
        representatives=np.arange(0, n, n_each),
    )


def start(tmp_path, queries=None, port=PORT, read=None):
    queries = replace(queries or make_queries(), path=tmp_path / "labels.csv")
    session = LabelingSession(queries, np.arange(len(queries.names)) % 16, "Ann")
    return create_app(session, read or read_image, token=TOKEN, prefix=PREFIX, port=port)


def read_image(position, small):
    return f"{'tile' if small else 'image'} {position}".encode()


def labels_in(tmp_path):
    """Return image -> label and who gave it."""
    given = replace(make_queries(), path=tmp_path / "labels.csv").read_agreed()
    return {image: (a.label, a.labeled_by) for image, a in given.items()}


class LocalClient(FlaskClient):
    """Calls the server as this machine's browser does that has opened the page."""

    def open(self, path, prefix=f"/{PREFIX}", **settings):
        """Send a request."""
        return super().open(prefix + path, base_url=f"http://127.0.0.1:{PORT}", **settings)


@pytest.fixture
def client(tmp_path):
    app = start(tmp_path)
    app.test_client_class = LocalClient
    return app.test_client()


@pytest.fixture
def admitted(client):
    assert client.get(f"/?token={TOKEN}").status_code == 302
    return client


def send(client, position, label, seen=(), tab="a"):
    body = {"label": label, "seen": seen, "tab": tab}
    return client.post(f"/annotation/{position}", json=body)


def seen(state, position):
    return [a["labeled_at"] for a in state["annotations"] if a["position"] == position]


@pytest.mark.parametrize("path", ["/", "/state", "/image/0", "/query/0", "/static/page.js"])
@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=sécret"])
def test_nobody_gets_in_without_the_token(client, path, query):
    assert client.get(path + query).status_code == 403
    assert send(client, 0, "cat").status_code == 403


def test_the_token_becomes_a_cookie(client):
    response = client.get(f"/?token={TOKEN}")
    assert (response.status_code, response.headers["Location"]) == (302, f"/{PREFIX}/")
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert f"Path=/{PREFIX}/" in cookie  # other ports of this host do not get it
    page = client.get("/")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "//" not in page.text  # nothing from another machine
    assert '="/' not in page.text  # nor from outside the prefix


@pytest.mark.parametrize(
    "path",
    ["/", "/state", "/image/0", "/static/page.js", "/hidde", "/hidden2/", "//", "/x/../", "/%00"],
)
@pytest.mark.parametrize("query", ["", f"?token={TOKEN}"])
def test_nothing_outside_the_prefix_is_served(admitted, path, query):
    response = admitted.get(path + query, prefix="")
    assert response.status_code in (403, 404)
    assert PREFIX not in response.text + str(response.headers)
    body = {"label": "cat", "seen": []}
    response = admitted.post(f"{path}annotation/0{query}", prefix="", json=body)
    assert response.status_code in (403, 404)
    assert PREFIX not in response.text + str(response.headers)


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
    body = {"label": "cat", "seen": []}
    assert admitted.post("/annotation/0", json=body, headers=headers).status_code == 403
    assert admitted.get("/state").json["annotations"] == []


def test_the_own_origin_is_let_in(admitted):
    body = {"label": "cat", "seen": []}
    headers = {"Origin": f"http://127.0.0.1:{PORT}"}
    assert admitted.post("/annotation/0", json=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/image/../../etc/passwd", "/image/..%2f..%2fetc%2fpasswd", "/static/../app.py",
        "/static/..%2fapp.py", "/image/-1", "/image/64", "/image/0.png", "/query/64", "/nothing",
    ],
)  # fmt: skip
def test_no_path_of_the_disk_is_served(admitted, path):
    assert admitted.get(path).status_code == 404


def test_an_image_whose_file_is_gone(tmp_path):
    def gone(position, small):
        raise FileNotFoundError(position)

    app = start(tmp_path, read=gone)
    app.test_client_class = LocalClient
    assert app.test_client().get(f"/image/0?token={TOKEN}").status_code == 404


def test_a_question_shows_who_the_image_stands_for(admitted):
    query = admitted.get("/state?tab=a").json["query"]
    assert query["position"] == 0
    assert query["cluster_size"] == 16
    assert query["nearest"] == [1, 2, 3, 4, 5, 6]
    assert query["farthest"] == [10, 11, 12, 13, 14, 15]
    assert admitted.get("/query/17").json["nearest"] == [16, 18, 19, 20, 21, 22]
    image = admitted.get("/image/17")
    assert image.data == b"image 17"
    assert admitted.get("/tile/17").data == b"tile 17"
    # The browser asks again each time, since another image may have this position by then.
    assert image.headers["Cache-Control"] == "private, no-cache"
    again = {"If-None-Match": image.headers["ETag"]}
    assert admitted.get("/image/17", headers=again).status_code == 304
    assert admitted.get("/image/18", headers=again).status_code == 200


def test_an_image_that_only_measures_is_shown_alone(tmp_path):
    queries = replace(make_queries(), check_images=np.array([5]), path=tmp_path / "labels.csv")
    session = LabelingSession(queries, np.arange(64) % 16, "Ann", ("It is good.",))
    for position in (0, 16, 32, 48):
        assert not session.query(position)["only_measures"]
        session.annotate(position, "cat", [])
    state = session.state("a")
    assert (state["pending"], state["budget"], state["verdict"]) == (1, 5, ("It is good.",))
    asked = state["query"]
    assert (asked["position"], asked["only_measures"]) == (5, True)
    assert asked["nearest"] == asked["farthest"] == []


def test_labels_are_saved_changed_and_undone(admitted, tmp_path):
    state = send(admitted, 0, "cat").json
    assert (state["pending"], state["query"]["position"]) == (3, 16)
    state = send(admitted, 16, NOT_SURE).json
    state = send(admitted, 32, NO_CLASS).json
    state = send(admitted, 0, "dog", seen(state, 0)).json
    state = send(admitted, 16, None, seen(state, 16)).json
    assert (state["pending"], state["query"]["position"]) == (2, 16)
    assert [a["position"] for a in state["annotations"]] == [32, 0]  # oldest first
    assert labels_in(tmp_path) == {"32.png": (NO_CLASS, "Ann"), "0.png": ("dog", "Ann")}


def test_a_tab_is_not_shown_what_another_one_shows(admitted, monkeypatch):
    assert admitted.get("/state?tab=a").json["query"]["position"] == 0
    assert admitted.get("/state?tab=b").json["query"]["position"] == 16
    assert admitted.get("/state?tab=a").json["query"]["position"] == 0
    later = time.monotonic() + LEASE_SECONDS + 1
    monkeypatch.setattr("time.monotonic", lambda: later)
    assert admitted.get("/state?tab=c").json["query"]["position"] == 0


def test_who_comes_second_overwrites_nothing(admitted, tmp_path):
    first = send(admitted, 0, "cat", tab="a").json
    second = send(admitted, 0, "dog", tab="b")
    assert (second.status_code, "changed 0.png (cat by Ann) meanwhile" in second.text) == (
        409,
        True,
    )
    send(admitted, 0, None, seen(first, 0))
    late = send(admitted, 0, "dog", seen(first, 0), tab="b")
    assert (late.status_code, "0.png, which has no label now" in late.text) == (409, True)
    assert labels_in(tmp_path) == {}


def contradict(tmp_path):
    """Write what a merge leaves where Ann and another person disagree on images 17 and 40."""
    of = make_queries()
    lines = [
        Annotation(of.names[i], of.sha256[i], label, f"2026-01-0{day}T00:00:00+00:00", by)
        for i in (17, 40)
        for label, day, by in (("dog", 1, "Bob"), ("cat", 2, ""))
    ]
    text = "".join(",".join(line) + "\n" for line in [Annotation._fields, *lines])
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    return [a.labeled_at for a in lines[:2]]


def test_contradictions_are_asked_about_first_and_settled(admitted, tmp_path):
    times = contradict(tmp_path)
    state = admitted.get("/state?tab=a").json
    assert (state["pending"], state["budget"], state["annotations"]) == (4, 4, [])
    query = state["query"]
    assert query["position"] == 17
    assert [(a["label"], a["labeled_by"]) for a in query["annotations"]] == [
        ("dog", "Bob"),
        ("cat", ""),
    ]
    assert [a["labeled_at"] for a in query["annotations"]] == times
    assert admitted.get("/query/17").json == query
    late = send(admitted, 17, "cat", times[1:])
    assert (late.status_code, "(dog by Bob, cat by somebody)" in late.text) == (409, True)
    state = send(admitted, 17, NOT_SURE, times).json
    assert state["query"]["position"] == 40
    seen = [a["labeled_at"] for a in state["query"]["annotations"]]
    state = send(admitted, 40, "cat", seen).json
    assert state["query"]["position"] == 0
    assert state["query"]["annotations"] == []
    assert labels_in(tmp_path) == {"17.png": (NOT_SURE, "Ann"), "40.png": ("cat", "Ann")}


def test_the_page_starts_and_continues_with_contradictions(admitted, tmp_path):
    contradict(tmp_path)
    start(tmp_path)
    state = send(admitted, 0, "cat").json
    assert state["pending"] == 3
    with pytest.raises(AnnotationsError, match=r"17\.png \(dog by Bob, cat by somebody\), 40\.png"):
        labels_in(tmp_path)


@pytest.mark.parametrize("content", ["image\n", b"\xff", "<<<<<<< HEAD\n", None])
def test_an_unreadable_file_is_told_until_it_is_mended(admitted, tmp_path, content):
    path = tmp_path / "labels.csv"
    first = send(admitted, 0, "cat").json
    whole = path.read_bytes()
    if content is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for response in (send(admitted, 16, "dog"), admitted.get("/state")):
        assert response.status_code == 503
        assert response.text.startswith(f"{path} ")
    if content is None:
        path.rmdir()
    path.write_bytes(whole)
    state = send(admitted, 16, "dog").json
    assert state["pending"] == first["pending"] - 1


@pytest.mark.parametrize(
    "body",
    [
        {"label": "cow", "seen": []},
        {"label": ["cat"], "seen": []},
        {"label": "cat"},
        {"label": "cat", "seen": None, "tab": "a"},
        {"label": "cat", "seen": [], "tab": 1},
        ["label"],
        1e999,
    ],
)
def test_what_is_no_annotation_is_refused(admitted, body):
    assert admitted.post("/annotation/0", json=body).status_code == 400
    assert admitted.get("/state").json["annotations"] == []


@pytest.mark.parametrize("position", ["64", "-1", "x", "1e999", "", "9" * 5000])
def test_an_annotation_of_no_image_is_refused(admitted, position):
    assert send(admitted, position, "cat").status_code == 404
    assert admitted.get("/state").json["annotations"] == []


def test_hugely_nested_json_is_refused(admitted):
    settings = {"data": "[" * 50_000, "content_type": "application/json"}
    assert admitted.post("/annotation/0", **settings).status_code == 400


@pytest.fixture
def served(tmp_path):
    """Serve the page; return its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = create_server(start(tmp_path, port=port), listener)
    threading.Thread(target=server.run, daemon=True).start()
    yield port
    server.close()


def state_of(port):
    address = f"http://127.0.0.1:{port}/{PREFIX}/state?token={TOKEN}"
    with urllib.request.urlopen(address, timeout=SECONDS) as response:
        return json.load(response)


@pytest.fixture
def connect(served):
    """Return a function that opens connections and sends something on each."""
    connections = []

    def open_some(n, sent=b""):
        for _ in range(n):
            connections.append(socket.create_connection(("127.0.0.1", served), SECONDS))
            connections[-1].sendall(sent)
        return connections

    yield open_some
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("n", [130, 900])
def test_idle_connections_do_not_block_the_page(served, connect, n):
    connect(n)
    for _ in range(3):
        assert state_of(served)["pending"] == 4


HALF_SENT = [
    b"GET /state HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ",
    b"POST /annotation/0 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n",
]


@pytest.mark.parametrize("sent", HALF_SENT)
def test_half_sent_requests_do_not_block_the_page(served, connect, sent):
    connections = connect(900, sent)
    for _ in range(3):
        for connection in connections:  # a byte now and then keeps each from being idle
            connection.sendall(b"x")
        assert state_of(served)["pending"] == 4


def test_idle_connections_are_closed_even_if_there_are_more_than_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr("fewlabel.web.server._MAX_FILES", 104)  # 40 connections
    monkeypatch.setattr("fewlabel.web.server._IDLE_SECONDS", 2)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = create_server(start(tmp_path, port=port), listener)
    threading.Thread(target=server.run, daemon=True).start()
    idle = [socket.create_connection(("127.0.0.1", port), SECONDS) for _ in range(45)]
    assert idle[0].recv(1) == b""
    assert state_of(port)["pending"] == 4
    for connection in idle:
        connection.close()
    server.close()


def test_a_low_limit_of_open_files_is_raised(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (500, limits[1]))
        server = create_server(start(tmp_path), listener)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert 500 < server.adj.connection_limit < soft
    assert hard == limits[1]
    server.close()


def test_an_image_of_an_array_is_shown_as_it_is(tmp_path, monkeypatch, vouch):
    images = np.random.default_rng(0).integers(256, size=(2, 5, 7), dtype=np.uint8)
    monkeypatch.chdir(tmp_path)
    save_array("data/raw/train_images.npy", images)
    vouch()
    read = png_reader(settings_of("datasets", "digits")(), ["0", "1"], ["", ""])
    for small in (True, False):
        np.testing.assert_array_equal(Image.open(io.BytesIO(read(1, small))), images[1])


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_file_that_is_gone_or_changed_is_shown_as_it_is_stored(
    is_gone, tmp_path, monkeypatch, vouch
):
    monkeypatch.chdir(tmp_path)
    save_array("data/raw/train_images.npy", np.full((1, 8, 8), 7, np.uint8))
    vouch()
    Path("photos").mkdir()
    photo = Path("photos/a.png")
    Image.new("L", (16, 16), 90).save(photo)
    folder = settings_of("datasets", "folder")(path="photos")
    read = png_reader(folder, ["a.png"], [hashlib.sha256(photo.read_bytes()).hexdigest()])
    np.testing.assert_array_equal(Image.open(io.BytesIO(read(0, False))), np.full((16, 16), 90))
    photo.unlink()
    if not is_gone:
        Image.new("L", (16, 16), 200).save(photo)
    np.testing.assert_array_equal(Image.open(io.BytesIO(read(0, False))), np.full((8, 8), 7))


def test_a_large_body_is_refused(served):
    address = f"http://127.0.0.1:{served}/{PREFIX}/annotation/0?token={TOKEN}"
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(address, b"x" * 100_000, timeout=SECONDS)
    assert raised.value.code == 413


def test_labels_from_four_clients_at_once(tmp_path):
    queries = make_queries(n_clusters=N_LABELS, n_each=1)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = create_server(start(tmp_path, queries, port), listener)
    threading.Thread(target=server.run, daemon=True).start()
    url = f"http://127.0.0.1:{port}/{PREFIX}"

    def call(path, body=None):
        data = body and json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}{path}?token={TOKEN}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def label_all(tab):
        n_saved = 0
        state = call("/state")
        while query := state["query"]:
            body = {"label": tab, "seen": [], "tab": tab}
            try:
                state = call(f"/annotation/{query['position']}", body)
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
    assert sum(saved) == len(lines) == N_LABELS
    assert {line.split(",")[0] for line in lines} == set(queries.names)
