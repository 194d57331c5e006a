"""The study's settings: params.yaml says what is measured, report.yaml what is said of it."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def settings(*keys: str, file: str = "params.yaml") -> Any:
    """Return a section of a file in study/, or all of it."""
    # YAML 1.2, as DVC writes it: 1e-05 is a number, where PyYAML reads it as text.
    section = YAML(typ="safe", pure=True).load(Path(__file__).with_name(file))
    for key in keys:
        section = section[key]
    return section
