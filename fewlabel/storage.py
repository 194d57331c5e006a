"""Files that stages write and read: atomic, the same bytes for the same content, and verified.

What a stage reads came from a remote or a cache, where a stranger or a broken disk may have changed
it, and DVC does not look. dvc.lock came with the code, and says what each file must be.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fewlabel.arrays import Array, Graph, Indexed, Ints, blocks
from fewlabel.errors import FewlabelError
from fewlabel.text import one_line

LOCK = Path("dvc.lock")
WHOLE_ROWS = 100_000
"""Most rows of an array in one file: more are a folder of shards."""
SHARD_ROWS = 20_000
"""Of a shard: so few that workers, each of which makes one at a time, end at about one time."""
MANIFEST = "manifest.json"
_FULL_DISK = 2**16  # bytes that are free


class ArtifactError(FewlabelError):
    """A file cannot be written, or is not what its stage wrote."""


def locked_hashes(lock: Path = LOCK) -> dict[str, str]:
    """Path of each output in dvc.lock -> its MD5, hexadecimal, of a folder with ".dir" after it.

    None if there is no dvc.lock, but an `ArtifactError` if it cannot be read.
    """
    try:
        return _parse_lock(lock.read_bytes())
    except FileNotFoundError:
        return {}
    # A file of another form fails in as many ways as there are forms.
    except (
        *(OSError, ValueError, YAMLError, RecursionError),
        *(LookupError, TypeError, AttributeError),
    ) as error:
        raise ArtifactError(
            f"{lock} is not as DVC writes it ({one_line(error)}); merge it, or bring it back by "
            "`git checkout dvc.lock`, then run `dvc repro`"
        ) from error


@lru_cache(maxsize=2)  # since a stage asks for each of its inputs
def _parse_lock(content: bytes) -> dict[str, str]:
    stages = YAML(typ="safe").load(content)["stages"].values()
    outs = [out for stage in stages for out in stage.get("outs", [])]
    return {out["path"]: out["md5"] for out in outs if "md5" in out}  # else versioned by a cloud


def hash_of(path: str | Path) -> str:
    """Return the MD5 of a file or folder, as DVC records it."""
    path = Path(path)
    if not path.is_dir():
        about = path.stat()
        return _md5(path.absolute(), about.st_ino, about.st_size, about.st_mtime_ns)
    names = sorted(f.relative_to(path).as_posix() for f in path.rglob("*") if f.is_file())
    listing = json.dumps([{"md5": hash_of(path / name), "relpath": name} for name in names])
    return hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest() + ".dir"


@lru_cache(maxsize=1_000)  # since what a stage reads, it reads for each part of its work
def _md5(path: Path, *_: int) -> str:
    """Return the MD5 of a file, which what follows the path tells from an earlier one."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def verified(path: str | Path, lock: Path = LOCK) -> Path:
    """Return the path of a file or folder that is what dvc.lock says its stage wrote.

    Otherwise raise an `ArtifactError`, also if it is missing or dvc.lock does not have it.
    """
    expected = locked_hashes(lock).get(str(path))
    if expected is None:
        raise ArtifactError(f"{path} is no output in {lock} yet; run `dvc repro`")
    try:
        found = hash_of(path)
    except FileNotFoundError as error:
        what = f"{error.filename} is missing; run `dvc pull`, or `dvc repro`"
        raise ArtifactError(what) from error
    if found != expected:
        raise ArtifactError(
            f"{path} has the MD5 {found}, but its stage wrote {expected} by {lock}: it was "
            f"changed since, here, in the cache or in a remote; run `make verify`, delete what it "
            "names, then `dvc pull` or `dvc repro`"
        )
    return Path(path)


def load_array(path: str | Path) -> Array:
    """Read what `save_array` wrote, if it is `verified`."""
    return stored_array(path)[:]


def stored_array(path: str | Path) -> "StoredArray":
    """Return what `save_array` wrote, if it is `verified`, to be read where it is indexed."""
    path = verified(path)
    if not path.is_dir():
        return StoredArray(path)
    return StoredArray(*(path / shard["file"] for shard in load_json(path / MANIFEST)["shards"]))


class StoredArray:
    """An array in files, .npy, of equally many rows but the last; memory holds what is indexed."""

    def __init__(self, *files: Path):
        self.files = files
        first, last = _mapped(files[0]), _mapped(files[-1])
        self.dtype: np.dtype[Any] = first.dtype
        n_rows = len(first) * (len(files) - 1) + len(last)
        self.shape: tuple[int, ...] = (n_rows, *first.shape[1:])
        self._shard_rows = len(first)

    def __repr__(self) -> str:
        return f"StoredArray{tuple(map(str, self.files))}"

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Ints) -> Array:
        # Mapped anew, since pages that were read count as this process's while the map is there.
        if len(self.files) == 1:
            # What an array chooses is a copy already.
            return np.array(_mapped(self.files[0])[rows], copy=isinstance(rows, slice) or None)
        positions = np.arange(len(self))[rows]
        shards = positions // self._shard_rows
        found = np.empty((len(positions), *self.shape[1:]), self.dtype)
        for shard in np.unique(shards):
            here = shards == shard
            found[here] = _mapped(self.files[shard])[positions[here] - shard * self._shard_rows]
        return found


def _mapped(path: Path) -> Array:
    array: Array = np.load(path, mmap_mode="r")
    return array


def load_graph(path: str | Path) -> Graph:
    """Read what `save_graph` wrote, if it is `verified`."""
    from scipy import sparse

    return sparse.load_npz(verified(path))


def load_joblib(path: str | Path, lock: Path = LOCK) -> Any:
    """Read what `save_joblib` wrote, if it is `verified`: loading it can run any code."""
    return unpickle(verified(path, lock))


def unpickle(path: Path) -> Any:
    """Load a file that joblib wrote, of which the caller knows that this project made it."""
    import joblib

    return joblib.load(path)


def write(path: str | Path, write_to: Callable[[Path], object]) -> None:
    """Have `write_to` write a file or folder under a temporary name, then give it its name.

    The temporary path ends as `path` does, whose folder is made where it is missing. What a killed
    process left under such a name is removed. If an `ArtifactError` says that it cannot be written,
    the file that was there is still there.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        left = re.compile(rf"\.\d+\.{re.escape(path.name)}")
        for name in filter(left.fullmatch, os.listdir(path.parent)):  # noqa: PTH208  # of many parts
            _remove(path.with_name(name))
        write_to(temporary)
        if temporary.is_dir() or path.is_dir():
            _remove(path)
        temporary.replace(path)
    except OSError as error:
        # Libraries hide the cause.
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        is_full = shutil.disk_usage(folder).free < _FULL_DISK
        cause = "no space is left on the disk" if is_full else error.strerror or one_line(error)
        raise ArtifactError(f"{path} cannot be written: {cause}") from error
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def save_array(path: str | Path, array: Indexed) -> None:
    """Write an array as .npy; one of many rows with columns as a folder of shards.

    The folder has shards of `SHARD_ROWS` rows, .npy, and manifest.json, which says what they are.
    """
    if len(array.shape) == 1 or len(array) <= WHOLE_ROWS:
        write(path, lambda temporary: write_npy(temporary, array, blocks(array.shape)))
        return

    def write_shard(shard: slice, file: Path) -> None:
        rows = blocks((shard.stop - shard.start, *array.shape[1:]))
        parts = [slice(shard.start + part.start, shard.start + part.stop) for part in rows]
        write_npy(file, array, parts)

    write(path, partial(_write_shards, row_parts(len(array)), write_shard))


def row_parts(n_rows: int) -> list[slice]:
    """Cut rows into parts, each of a file of their own; there is one even if there is no row.

    Examples
    --------
    >>> row_parts(90_000)
    [slice(0, 90000, None)]
    >>> row_parts(110_000)[-2:]
    [slice(80000, 100000, None), slice(100000, 110000, None)]
    """
    n_part = SHARD_ROWS if n_rows > WHOLE_ROWS else WHOLE_ROWS
    return [slice(i, min(i + n_part, n_rows)) for i in range(0, max(n_rows, 1), n_part)]


def save_shards(path: str | Path, files: list[Path]) -> None:
    """Make an array of files, .npy, with `SHARD_ROWS` rows each but the last; they are moved."""
    move = partial(_write_shards, files, Path.replace)
    write(path, files[0].replace if len(files) == 1 else move)


def _write_shards(
    shards: Sequence[Any], write_shard: Callable[[Any, Path], object], folder: Path
) -> None:
    folder.mkdir()
    for number, shard in enumerate(shards):
        write_shard(shard, folder / f"{number:05}.npy")
    array = StoredArray(*sorted(folder.glob("*.npy")))
    described = [
        {"file": file.name, "rows": len(_mapped(file)), "sha256": sha256_of(file)}
        for file in array.files
    ]
    about = {"shape": array.shape, "dtype": str(array.dtype), "shards": described}
    (folder / MANIFEST).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_npy(path: Path, array: Indexed, parts: list[slice]) -> None:
    """Write rows of an array, in C order, a part at a time."""
    n_rows = sum(part.stop - part.start for part in parts)
    header = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": (n_rows, *array.shape[1:]),
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for rows in parts:
            file.write(np.ascontiguousarray(array[rows]).data)


def save_joblib(path: str | Path, value: Any) -> None:
    """Write any picklable value with joblib."""
    import joblib

    write(path, lambda temporary: joblib.dump(value, temporary))


def save_graph(path: str | Path, graph: Graph) -> None:
    """Write a sparse array as .npz, which holds arrays and nothing that could run."""
    from scipy import sparse

    write(path, lambda temporary: sparse.save_npz(temporary, graph, compressed=False))


def save_json(path: str | Path, value: Any) -> None:
    """Write JSON, indented, keys in their order."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def load_json(path: str | Path) -> Any:
    """Read JSON."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def save_training_set(
    name: str, labels: Ints, *, weights: Array | None = None, accuracy: float | None = None
) -> None:
    """Write a training set to data/NAME/: labels.npy, weights.npy and accuracy.json.

    Parameters
    ----------
    name
    labels, weights : shape (n_images,)
        Labels, -1 where there is none, and how much each counts: 1, if nothing else is said.
    accuracy
        Share of images that a classifier can be expected to tell by them, if anything says so.
    """
    weights = labels >= 0 if weights is None else weights
    save_array(f"data/{name}/labels.npy", labels)
    save_array(f"data/{name}/weights.npy", weights.astype(np.float32))
    save_json(f"data/{name}/accuracy.json", accuracy)


def save_table(path: str | Path, columns: Mapping[str, Any]) -> None:
    """Write equally long columns as CSV with a header."""
    import pandas as pd

    write(path, lambda temporary: pd.DataFrame(columns).to_csv(temporary, index=False))
