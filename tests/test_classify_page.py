"""The endpoint that classifies pictures, over real connections."""

import http.client
import io
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fewlabel.predictor import PortableClassifier, save_portable
from fewlabel.web.classify import create_app
from tests.test_predictor import ABOUT, build


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "classifier.keras"
    save_portable(path, build(), ABOUT, "# Card <b>")
    return path


@pytest.fixture(scope="module")
def address(model):
    command = [sys.executable, "-u", "-m", "fewlabel.cli", "serve", str(model), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().split()[2].rstrip(".")
        process.terminate()
    assert process.returncode == 0


def png(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def classify(address, content):
    with urllib.request.urlopen(f"{address}classify", content, timeout=60) as response:
        return json.load(response)


def test_a_hundred_requests_at_once_are_all_answered_right(model, address):
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(100, 6, 5), dtype=np.uint8)
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda image: classify(address, png(image)), images))
    expected = PortableClassifier(model).predict_proba(images)
    given = [[answer["probabilities"][name] for name in ABOUT["class_names"]] for answer in answers]
    np.testing.assert_allclose(given, expected, atol=1e-6)
    for answer, row in zip(answers, expected, strict=True):
        assert answer["label"] == ABOUT["class_names"][row.argmax()]
        assert answer["probability"] == next(iter(answer["probabilities"].values()))


def test_probabilities_that_are_no_numbers_are_refused(model, monkeypatch):
    classifier = PortableClassifier(model)
    monkeypatch.setattr(classifier, "predict_proba", lambda images: np.full((1, 3), np.nan))
    image = png(np.zeros((6, 5), np.uint8))
    answer = create_app(classifier).test_client().post("/classify", data=image)
    assert answer.status_code == 500
    assert "probabilities that are not finite numbers" in answer.text


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "not a whole image: empty"), (b"text", "neither PNG nor JPEG")],
)
def test_what_is_no_image_is_refused(address, content, words):
    with pytest.raises(urllib.error.HTTPError) as raised:
        classify(address, content)
    assert raised.value.code == 400
    assert words in raised.value.read().decode()


def test_what_is_too_large_is_refused_before_it_is_sent(address):
    connection = http.client.HTTPConnection(address.split("/")[2], timeout=60)
    connection.putrequest("POST", "/classify")
    connection.putheader("Content-Length", str(2**25 + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_the_page_shows_the_card_as_text(address):
    with urllib.request.urlopen(address, timeout=60) as response:
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        assert "# Card &lt;b&gt;" in response.read().decode()


def test_an_address_that_is_taken_is_refused(model, warm_environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = ["python", "-m", "fewlabel.cli", "serve", str(model), "--port", port]
        done = subprocess.run(
            command, env=warm_environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert f"error: 127.0.0.1:{port} cannot be listened on" in done.stderr
