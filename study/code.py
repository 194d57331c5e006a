"""Hash the modules that each row of the study runs: `python -m study.code`.

A row is stale where what it computes may have changed. DVC knows files, so that a comment in a
module that all rows share would cost hours. So a row depends on a file that has the hash of each of
its modules, without what changes nothing: comments, docstrings, blank lines, the order of imports.
"""

import ast
import hashlib
import io
import re
import tokenize
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML

from fewlabel.methods import CHOICES, names, settings_of
from fewlabel.settings import Params
from fewlabel.storage import save_json
from study.settings import settings

MODULES = {
    "datasets": "study.data",
    "clusters": "study.clusters",
    "on_features": "study.row",
    "on_clusters": "study.row",
    "pipeline": "study.pipeline",
    "pools": "study.pools",
}
"""Section of study/params.yaml -> the module that runs its rows."""
# An oracle answers in place of people, and settings.py checks settings, but adds none.
_WITHOUT_EFFECT = ("fewlabel/annotation/", "fewlabel/settings.py")
# A hash pins published data, whatever code gets them. Image files in a folder have none.
_OF_PUBLISHED = ("fewlabel/datasets/", "stages/download.py")
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_PATH = re.compile(r"\w+(\.\w+)+")


def main() -> None:
    """Write module file -> SHA-256 of its code to study/code/SECTION/ROW.json for every row."""
    study = settings()
    rows = {(section, name): row for section in MODULES for name, row in study[section].items()}
    for (section, name), row in rows.items():
        entries = {MODULES[section], *_named_modules(row)}
        without = ()
        if section == "pipeline":
            entries |= pipeline_modules(row)
            is_published = "dataset.folder.path" not in str(row)
            without = _WITHOUT_EFFECT + (_OF_PUBLISHED if is_published else ())
        save_json(f"study/code/{section}/{name}.json", _hashes(entries, without))
    for name in ("underflow", "report"):
        save_json(f"study/code/{name}.json", _hashes({f"study.{name}"}))


def _hashes(entries, without=()):
    files = {file_of(module) for entry in entries for module in all_imports(entry)}
    return {file: _hash(file) for file in sorted(files) if not file.startswith(without)}


@cache  # since rows share most modules
def _hash(file: str) -> str:
    return code_hash(file)


def _named_modules(row):
    """Return modules of this repository that the text or a key of a row's settings names."""
    paths = [match[0] for match in _PATH.finditer(str(row))]
    modules = {path for name in paths for path in (name, name.rpartition(".")[0])}
    return {module for module in modules if Path(file_of(module)).exists()}


def pipeline_modules(row: dict) -> set[str]:
    """Return the modules of all stages, with the methods that params.yaml or the row chooses."""
    params = YAML(typ="safe", pure=True).load(Path("params.yaml"))
    every_run = row.get("settings", {})
    some_runs = row.get("steps", {}).values()
    modules = {f"stages.{file.stem}" for file in Path("stages").glob("[!_]*.py")}
    for kind, name in CHOICES.items():
        section = section_of(kind)
        key = f"{section}.{name}"
        chosen = {every_run.get(key, params[section][name])}
        chosen |= {changes[key] for changes in some_runs if key in changes}
        # One of them runs, and no module imports it.
        chosen |= {other for method in chosen for other in settings_of(kind, method).candidates}
        modules |= {f"fewlabel.{kind}.{method}" for method in chosen}
    return modules


def section_of(kind: str) -> str:
    """Return the section of params.yaml that chooses, and has, the methods of a kind."""
    return next(
        section
        for section, field in Params.model_fields.items()
        if set(names(kind)) <= set(getattr(field.annotation, "model_fields", ()))
    )


def code_hash(file: str) -> str:
    """SHA-256 of a module without comments, docstrings, blank lines and the order of imports."""
    text = Path(file).read_text(encoding="utf-8")
    lines, tree = text.splitlines(), ast.parse(text)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            line, column = token.start
            lines[line - 1] = lines[line - 1][:column]
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    docstrings = [
        node.body[0]
        for node in ast.walk(tree)
        if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node) is not None
    ]
    for node in (*imports, *docstrings):
        for line in range(node.lineno - 1, node.end_lineno):
            lines[line] = ""
    code = "\n".join(
        [*sorted(map(ast.unparse, imports)), *(line.rstrip() for line in lines if line.strip())]
    )
    return hashlib.sha256(code.encode()).hexdigest()


def file_of(module: str) -> str:
    """Path of a module of this repository."""
    return module.replace(".", "/") + ".py"


@cache
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


if __name__ == "__main__":
    main()
