"""Keras's file format, in a form that is the same bytes for the same model."""

import io
import json
import zipfile

_DATE = (1980, 1, 1, 0, 0, 0)


def canonical_keras(content):
    """Rewrite a .keras file without the traces of when and where it was saved.

    Keras stores the date, memory addresses as ids of shared objects, and the times of the zip
    entries. Here the date goes, ids are numbered in the order in which they occur, and times and
    order of entries are fixed.

    Parameters
    ----------
    content : bytes
        A .keras file.

    Returns
    -------
    bytes
        A .keras file that loads as the same model.
    """
    canonical = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(canonical, "w", zipfile.ZIP_STORED) as target,
    ):
        for name in sorted(source.namelist()):
            entry = source.read(name)
            if name.endswith(".json"):
                entry = json.dumps(_canonical_json(json.loads(entry), {}), sort_keys=True).encode()
            target.writestr(zipfile.ZipInfo(name, _DATE), entry)
    return canonical.getvalue()


def _canonical_json(value, numbers):
    if isinstance(value, list):
        return [_canonical_json(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key in sorted(value):
        if key == "date_saved":
            continue
        if key == "shared_object_id":
            result[key] = numbers.setdefault(value[key], len(numbers))
        else:
            result[key] = _canonical_json(value[key], numbers)
    return result
