"""Keras's file format, in a form that is the same bytes for the same model."""

import io
import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_DATE = (1980, 1, 1, 0, 0, 0)


def save_model(path: Path, model: Any, extra: dict[str, bytes] | None = None) -> None:
    """Write a Keras model as `canonical_keras` does."""
    model.save(path)
    path.write_bytes(canonical_keras(path.read_bytes(), extra))


def model_bytes(model: Any) -> bytes:
    """Return the content of the file that `save_model` writes."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        save_model(path, model)
        return path.read_bytes()


def canonical_keras(content: bytes, extra: dict[str, bytes] | None = None) -> bytes:
    """Rewrite a .keras file without the traces of when and where it was saved.

    Keras stores the date, memory addresses as ids of shared objects, and the times of the zip
    entries. Here the date goes, ids are numbered in the order in which they occur, and times and
    order of entries are fixed. It loads as the same model, whatever `extra` entries it gets.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        entries = {name: source.read(name) for name in source.namelist()}
    for name, entry in entries.items():
        if name.endswith(".json"):
            canonical = _canonical_json(json.loads(entry), {})
            entries[name] = json.dumps(canonical, sort_keys=True).encode()
    return canonical_zip(entries | (extra or {}))


def canonical_zip(entries: dict[str, bytes]) -> bytes:
    """Make a zip that is the same bytes for the same entries, uncompressed.

    Examples
    --------
    >>> canonical_zip({"a": b"1", "b": b"2"}) == canonical_zip({"b": b"2", "a": b"1"})
    True
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(entries):
            target.writestr(zipfile.ZipInfo(name, _DATE), entries[name])
    return content.getvalue()


def _canonical_json(value: Any, numbers: dict[int, int]) -> Any:
    if isinstance(value, list):
        return [_canonical_json(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: numbers.setdefault(value[key], len(numbers))
        if key == "shared_object_id"
        else _canonical_json(value[key], numbers)
        for key in sorted(value)
        if key != "date_saved"
    }
