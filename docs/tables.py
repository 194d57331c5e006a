"""Tables of the documents."""

from collections.abc import Iterable, Sequence

_MAX_NUMBER = 30  # characters of a number with its spread, unit or source; more is a sentence


def markdown_table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown, in which columns of numbers are aligned to the right.

    Examples
    --------
    >>> print(markdown_table(["labels", "method", "gain"], [[50, "graph", -0.1]]))
    | labels | method | gain |
    | ---: | --- | ---: |
    | 50 | graph | -0.1 |
    """
    lines = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    columns = zip(*lines, strict=True)
    rule = ["---:" if all(map(_is_number, filter(None, column))) else "---" for column in columns]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [map(str, header), rule, *lines])


def _is_number(cell: str) -> bool:
    return cell.removeprefix("-")[:1].isdigit() and len(cell) <= _MAX_NUMBER
