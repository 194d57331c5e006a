"""Features that a network gave before, kept by the content of images in the user's cache."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pooch

from fewlabel.arrays import Array, Floats

_DIGEST_BYTES = 16
_SCHEMA = "CREATE TABLE IF NOT EXISTS features (name BLOB PRIMARY KEY, content BLOB) WITHOUT ROWID"
_WAIT_SECONDS = 10


def cached_features(
    key: bytes, images: Array, n_features: int, compute: Callable[[Array], Floats]
) -> Floats:
    """Return features of images, computing those only that are not kept yet.

    A cache that is damaged, or that cannot be written, costs time and changes no result.

    Parameters
    ----------
    key
        Of all that decides what `compute` gives for an image.
    images : shape (n_images, ...)
    n_features
    compute
        From such images to features of shape (n_images, n_features), which do not depend on the
        images beside each.

    Examples
    --------
    >>> double = lambda images: images * np.float32(2)
    >>> cached_features(b"double", np.ones((1, 2), np.float32), 2, double)
    array([[2., 2.]], dtype=float32)
    """
    names = [hashlib.sha256(key + image.tobytes()).digest() for image in images]
    features = np.empty((len(images), n_features), np.float32)
    missing = []
    for i, content in enumerate(_kept(names)):
        if len(content) == _DIGEST_BYTES + features[:1].nbytes and content == _sealed(
            content[_DIGEST_BYTES:]
        ):
            features[i] = np.frombuffer(content, np.float32, offset=_DIGEST_BYTES)
        else:
            missing.append(i)
    if missing:
        features[missing] = compute(images[missing])
        _keep([(names[i], _sealed(features[i].tobytes())) for i in missing])
    return features


def _sealed(content: bytes) -> bytes:
    """Put a checksum before the content."""
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest() + content


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    folder = Path(pooch.os_cache("fewlabel"))
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "features.sqlite", _WAIT_SECONDS)) as database, database:
        database.execute(_SCHEMA)
        yield database


def _kept(names: list[bytes]) -> list[bytes]:
    find = "SELECT content FROM features WHERE name = ?"
    try:
        with _database() as database:
            found = [database.execute(find, (name,)).fetchone() for name in names]
    except (OSError, sqlite3.Error):
        return [b""] * len(names)
    return [bytes(row[0]) if row and isinstance(row[0], bytes) else b"" for row in found]


def _keep(rows: list[tuple[bytes, bytes]]) -> None:
    with suppress(OSError, sqlite3.Error), _database() as database:
        database.executemany("INSERT OR REPLACE INTO features VALUES (?, ?)", rows)
