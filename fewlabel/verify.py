"""Hash everything that DVC keeps, and name what is not what it must be: `make verify`.

DVC itself takes what lies in a cache, in a remote or in the workspace by its name, date and size.
"""

from collections.abc import Iterator
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.repo import Repo
from dvc.utils import relpath
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash import file_md5

from fewlabel.errors import FewlabelError, exit_on_error
from fewlabel.parallel import progress
from fewlabel.storage import hash_of
from fewlabel.text import one_line


def main() -> None:
    """Print each file of workspace, cache and remotes whose content is not that of its hash.

    A `FewlabelError` says so if there is one, or a remote cannot be read.
    """
    try:
        with Repo() as repo:
            stores = {"cache": repo.cache.local}
            for name in repo.config["remote"]:
                stores[f"remote {name}"] = repo.cloud.get_remote_odb(name)
            recorded = [out for out in repo.index.outs if out.hash_info and out.hash_info.value]
            found = [f"workspace: {line}" for line in wrong_in_workspace(recorded)]
            for place, store in stores.items():
                for path, oid, digest in wrong_in_store(store, place):
                    name = _name_of(oid, recorded)
                    found.append(f"{place}: {path}{name} has the MD5 {digest}")
    except (DvcException, OSError) as error:
        raise FewlabelError(f"not all could be read: {one_line(error)}") from error
    if found:
        print(*found, sep="\n")
        raise FewlabelError(
            f"{len(found)} files are not what their hashes say; delete those in the cache and in "
            "remotes, then `dvc push` from where they are right, or `dvc pull`, or `dvc repro`"
        )
    print(f"workspace, {', '.join(stores)}: every file is what its hash says")


def wrong_in_workspace(recorded: list[Output]) -> Iterator[str]:
    """Yield a line for each output or own file that is there, and is not what DVC recorded.

    Of a folder, each file in it that differs has a line, if the cache has the folder's listing.
    """
    for out in progress(recorded, "workspace"):
        path, expected = Path(out.fs_path), out.hash_info.value
        if not path.exists() or (found := hash_of(path)) == expected:
            continue  # what is missing is to be pulled, or made
        there = {str(file): hash_of(file) for file in path.rglob("*") if file.is_file()}
        listed = listing(out)
        names = sorted(there.keys() | listed.keys()) if listed else []
        differing = [name for name in names if there.get(name) != listed.get(name)]
        for name in differing:
            was = f"not {listed[name]}" if name in listed else "and was not there"
            now = f"has the MD5 {there[name]}, {was}" if name in there else "is missing"
            yield f"{relpath(name)} {now}"
        if not differing:
            yield f"{relpath(path)} has the MD5 {found}, not {expected}"


def listing(out: Output) -> dict[str, str]:
    """Return path -> MD5 of each file in a folder that DVC recorded; none if the cache lacks it."""
    tree = out.get_obj() if out.hash_info.isdir else None
    files = tree.iteritems() if tree else []
    return {str(Path(out.fs_path, *key)): info.value for key, (_, info) in files}


def wrong_in_store(store: HashFileDB, place: str) -> Iterator[tuple[str, str, str]]:
    """Yield path, right and found MD5 of each object of a cache or remote with other content."""
    try:
        paths = list(store.fs.find(store.path))
    except FileNotFoundError:
        return
    for path in progress(paths, place):
        try:
            oid = store.path_to_oid(path)
        except ValueError:
            continue  # DVC's own, no object
        if (digest := file_md5(path, store.fs)) != oid.removesuffix(".dir"):
            yield path, oid, digest


def _name_of(oid: str, recorded: list[Output]) -> str:
    for out in recorded:
        paths = {digest: path for path, digest in listing(out).items()}
        paths[out.hash_info.value] = out.fs_path
        if oid in paths:
            return f", {relpath(paths[oid])},"
    return ""


if __name__ == "__main__":
    with exit_on_error():
        main()
