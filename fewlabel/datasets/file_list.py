"""The files of a folder: found there, or named with their hashes by a list that was made before.

DVC hashes each file of a folder that a stage depends on, each time. Of a million, it needs not: a
stage may depend on FOLDER.csv, which `fewlabel list-images FOLDER` writes.
"""

import csv
import hashlib
import io
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fewlabel.errors import FewlabelError
from fewlabel.parallel import for_each_block
from fewlabel.regular_files import FileRefusedError, is_folder, open_regular_file
from fewlabel.storage import write
from fewlabel.text import one_line, printable

SHOWN = 200  # characters of a value that a message shows
_COLUMNS = ["image", "sha256"]
_SUFFIX = ".csv"
_BLOCK_FILES = 32
_SHA256 = re.compile("[0-9a-f]{64}|")


class ImageFilesError(FewlabelError):
    """The images that params.yaml names cannot be used; the message says which and why."""


def list_files(folder: Path) -> list[str]:
    """List the paths of all files in a folder and its sub-folders, relative to it; none hidden.

    Links to folders are listed as files are: following them may never end. An `ImageFilesError`
    says which folder cannot be searched.
    """
    names, prefixes = [], [""]
    while prefixes:
        prefix = prefixes.pop()
        try:
            with os.scandir(folder / prefix) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        prefixes.append(f"{prefix}{entry.name}/")
                    else:
                        names.append(prefix + entry.name)
        except OSError as error:
            where = printable(f"{folder / prefix}", SHOWN)
            raise ImageFilesError(f"{where} cannot be searched: {error.strerror}") from error
    return sorted(names)


def folder_of(path: str) -> Path:
    """Return the folder of a list, which lies beside it, or the path itself if it is no list.

    Examples
    --------
    >>> folder_of("data/images/photos.csv").name
    'photos'
    """
    return Path(path if is_folder(path) else path.removesuffix(_SUFFIX))


def files_of(path: str) -> dict[str, str]:
    """Return name -> SHA-256 of each file in a folder, or in a list; of a folder it is empty.

    Files of DVC's are left out. An `ImageFilesError` says what is wrong with the path.
    """
    if path.endswith(_SUFFIX) and not is_folder(path):
        listed = dict(_read_list(path))
    elif is_folder(path):
        listed = dict.fromkeys(list_files(Path(path)), "")
    else:
        named = printable(path, SHOWN)
        raise ImageFilesError(
            f"dataset.folder.path is {named}, but must be a folder, a .csv that `fewlabel "
            "list-images` wrote, or an .npz file"
        )
    return {name: sha256 for name, sha256 in listed.items() if not name.endswith(".dvc")}


def write_list(folder: str) -> str:
    """Write FOLDER.csv, which names each file and its SHA-256; return what has changed.

    Files that it had stay in their order, and new ones follow, so that shards of earlier images
    stay as they are. What is no regular file has no hash.

    Raises
    ------
    ImageFilesError
        If the folder or a file cannot be read, or the list that is there is none.
    """
    place = Path(os.path.normpath(folder))
    if not is_folder(place) or place.name in ("", ".."):
        raise ImageFilesError(
            f"{printable(folder, SHOWN)} is no folder with a name; name one to list"
        )
    path = place.with_name(place.name + _SUFFIX)
    before = dict(_read_list(str(path))) if path.exists() else {}
    there = list_files(place)
    kept = set(there) & before.keys()
    names = [name for name in before if name in kept] + [name for name in there if name not in kept]
    hashes = [""] * len(names)

    def hash_files(rows: slice) -> None:
        paths = [place / name for name in names[rows]]
        # A broken link is named when images are read, as in a folder without a list.
        hashes[rows] = [_sha256_of(path) if path.exists() else "" for path in paths]

    description = f"hash {len(names):,} files"
    try:
        for_each_block(hash_files, len(names), block_rows=_BLOCK_FILES, description=description)
    except OSError as error:
        named = printable(str(error.filename), SHOWN)
        raise ImageFilesError(f"{named} cannot be read: {error.strerror}") from error
    rows = list(zip(names, hashes, strict=True))
    write(path, lambda temporary: _write_rows(temporary, rows))
    n_changed = sum(before[name] != sha256 for name, sha256 in rows if name in kept)
    return (
        f"{len(rows):,} files are in {path}: {len(rows) - len(kept):,} new, {n_changed:,} changed, "
        f"{len(before) - len(kept):,} gone"
    )


def require_listed(path: Path, sha256: str) -> None:
    """Raise an `ImageFilesError` if a file has another SHA-256 than a list says, if it says one."""
    if not sha256:
        return
    try:
        if _sha256_of(path) == sha256:
            return
        what = "has changed"
    except OSError as error:
        what = one_line(error.strerror)
    named = printable(str(path), SHOWN)
    raise ImageFilesError(
        f"{named} is not the file that its list names ({what}); bring it back, or run `fewlabel "
        "list-images` again"
    )


def _sha256_of(path: Path) -> str:
    try:
        with open_regular_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except FileRefusedError:
        return ""


def _write_rows(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    # A name need not be UTF-8.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        table.writerows(rows)


def _read_list(path: str) -> Iterator[tuple[str, str]]:
    named = printable(path, SHOWN)
    try:
        with (
            open_regular_file(path) as content,
            io.TextIOWrapper(content, "utf-8", errors="surrogateescape", newline="") as file,
        ):
            table = csv.reader(file, strict=True)
            _check_columns(next(table, None))
            seen = set[str]()
            for row in table:
                _check_row(row, seen)
                seen.add(row[0])
                yield row[0], row[1]
    except (OSError, ValueError, csv.Error) as error:
        raise ImageFilesError(
            f"{named} is no list of files: {one_line(error)}; `fewlabel list-images` writes one"
        ) from error


def _check_columns(columns: list[str] | None) -> None:
    if columns != _COLUMNS:
        raise ValueError(f"it must have the columns {' and '.join(_COLUMNS)}")


def _check_row(row: list[str], seen: set[str]) -> None:
    """Raise a `ValueError` if a row is no name inside the folder, or one again, and a hash."""
    name = row[0] if row else ""
    is_inside = name not in ("", "..", ".") and not name.startswith(("/", "../"))
    if len(row) != len(_COLUMNS) or not _SHA256.fullmatch(row[-1]):
        problem = "must be a file and its SHA-256"
    elif not is_inside or posixpath.normpath(name) != name or "\0" in name:
        problem = "must name a file inside the folder"
    elif name in seen:
        problem = "names a file again"
    else:
        return
    raise ValueError(f"the row {one_line(','.join(row), 80)} {problem}")
