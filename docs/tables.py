"""Tables of the documents."""

from collections.abc import Iterable, Sequence

_MAX_NUMBER = 30  # characters of a number with its spread, unit or source; more is a sentence


def markdown_table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown, in which columns of numbers are aligned to the right.

    Examples
    --------
    >>> print(markdown_table(["labels", "method"], [[50, "graph"]]))
    | labels | method |
    | ---: | --- |
    | 50 | graph |
    """
    lines = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    is_number = [
        all(cell[:1].isdigit() and len(cell) <= _MAX_NUMBER for cell in column if cell)
        for column in zip(*lines, strict=True)
    ]
    rule = ["---:" if right else "---" for right in is_number]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [map(str, header), rule, *lines])
