"""Files that stages write and read: atomic, and the same bytes for the same content."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def write(path: str | Path, write_to: Callable[[Path], None]) -> None:
    """Have `write_to` write a file under a temporary name, then give it its name.

    Parameters
    ----------
    path
        Where the file belongs; its folder is made where it is missing.
    write_to
        Called with the temporary path, which ends as `path` does.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write_to(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_array(path: str | Path, array: np.ndarray) -> None:
    """Write an array as .npy, in C order."""
    write(path, lambda temporary: np.save(temporary, np.ascontiguousarray(array)))


def save_joblib(path: str | Path, value: Any) -> None:
    """Write any picklable value with joblib."""
    import joblib

    write(path, lambda temporary: joblib.dump(value, temporary))


def save_json(path: str | Path, value: Any) -> None:
    """Write JSON, indented, keys in their order."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def load_json(path: str | Path) -> Any:
    """Read JSON."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def save_table(path: str | Path, columns: dict[str, Any]) -> None:
    """Write equally long columns as CSV with a header."""
    import pandas as pd

    write(path, lambda temporary: pd.DataFrame(columns).to_csv(temporary, index=False))
