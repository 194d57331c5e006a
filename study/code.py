"""Hash the modules that each kind of stage runs: `python -m study.code`.

DVC loads every dependency of every stage at every command. A hundred rows with twenty modules each
would make that slow, so rows depend on one file that stands for all of their modules.
"""

import ast
import hashlib
from pathlib import Path

from fewlabel.methods import names
from fewlabel.storage import save_json

ENTRY_POINTS = (
    "autoencoder",
    "cluster_distances",
    "clusters",
    "data",
    "features",
    "graphs",
    "label_propagation",
    "ladder",
    "ours",
    "recipe",
    "report",
    "self_training",
    "supervised",
    "underflow",
)


def main() -> None:
    """Write module file -> SHA-256 for each entry point to study/code/ENTRY_POINT.json."""
    for name in ENTRY_POINTS:
        modules = all_imports(f"study.{name}")
        for kind in kinds_of_methods(modules):
            modules |= set().union(*(all_imports(f"fewlabel.{kind}.{m}") for m in names(kind)))
        files = sorted(map(file_of, modules))
        hashes = {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files}
        save_json(f"study/code/{name}.json", hashes)


def file_of(module: str) -> str:
    """Path of a module of this repository."""
    return module.replace(".", "/") + ".py"


def internal_imports(module: str) -> set[str]:
    """Modules of this repository that a module imports, anywhere in it."""
    tree = ast.parse(Path(file_of(module)).read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{module} has a relative import")
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if Path(file_of(name)).exists()}


def all_imports(module: str) -> set[str]:
    """Return the module and all of this repository that it imports, itself or through others."""
    found, new = set(), {module}
    while new:
        found |= new
        new = set().union(*map(internal_imports, new)) - found
    return found


def kinds_of_methods(modules: set[str]) -> set[str]:
    """Return the kinds of methods that modules choose from, of which none is imported by name.

    The settings, which all stages read, choose from all kinds only to check them.
    """
    trees = (
        ast.parse(Path(file_of(name)).read_text(encoding="utf-8"))
        for name in modules - {"fewlabel.settings"}
    )
    return {
        node.args[0].value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in ("chosen", "settings_of")
        and isinstance(node.args[0], ast.Constant)
    }


if __name__ == "__main__":
    main()
