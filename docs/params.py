"""Write params.yaml with the settings' own defaults and descriptions: `python -m docs.params`."""

import json
import textwrap
from typing import Any

from fewlabel.methods import Strict
from fewlabel.settings import PARAMS_FILE, Params
from fewlabel.storage import write

_HEAD = """\
# The settings of the pipeline. Change a line, then `dvc repro`: only what it touches runs again.
# Where a comment names no greatest whole number, it is 1,000,000,000. `make params` writes this
# file with the defaults.
"""
_WIDTH = 100


def params_text(params: Params) -> str:
    """Return params.yaml for settings, each below what it means where it occurs first."""
    return "\n".join([_HEAD, *_section(params, 0, set())]) + "\n"


def _section(settings: Strict, depth: int, described: set[str]) -> list[str]:
    lines: list[str] = []
    indent = "  " * depth
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        described = described if depth else set()
        if field.description not in described:
            wrapped = _wrap(field.description, _WIDTH - 2 - 2 * depth)
            lines += [f"{indent}# {line}" for line in wrapped]
        described.add(field.description)
        if isinstance(value, Strict):
            nested = _section(value, depth + 1, described)
            lines += [f"{indent}{name}:", *nested] if nested else [f"{indent}{name}: {{}}"]
        else:
            lines.append(f"{indent}{name}: {_scalar(value)}")
        lines += [""] * (depth == 0)
    return lines[:-1] if depth == 0 else lines


def _wrap(text: str | None, width: int) -> list[str]:
    return [
        wrapped
        for line in (text or "").splitlines()
        for wrapped in textwrap.wrap(
            line, width, subsequent_indent="  " * line.startswith("- "), break_on_hyphens=False
        )
    ]


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    is_plain = isinstance(value, str) and all(c.isalnum() or c in "_-+/." for c in value)
    return value if is_plain else json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Write params.yaml."""
    text = params_text(Params())
    write(PARAMS_FILE, lambda path: path.write_text(text, encoding="utf-8"))


if __name__ == "__main__":
    main()
