"""Text from elsewhere, such as file names, as people can be shown it."""

import unicodedata

_LINE_BREAKING = ("Cc", "Zl", "Zp")
_NOT_PRINTABLE = (*_LINE_BREAKING, "Cs")


def printable(text: str, max_length: int | None = None) -> str:
    r"""Escape what breaks a line, steers a terminal or is not Unicode; shorten what is too long.

    Parameters
    ----------
    text
    max_length
        Number of characters to show; None shows all.

    Examples
    --------
    >>> printable("a\rb.png")
    'a\\rb.png'
    >>> printable("a long text", 7)
    'a long…'
    """
    escaped = "".join(map(_escape, text))
    if max_length is None or len(escaped) <= max_length:
        return escaped
    return f"{escaped[: max_length - 1]}…"


def breaks_lines(text: str) -> bool:
    """Whether it has a control character or a line separator, which readers of lines split at."""
    return any(unicodedata.category(character) in _LINE_BREAKING for character in text)


def _escape(character):
    if unicodedata.category(character) in _NOT_PRINTABLE:
        return character.encode("unicode_escape").decode()
    return character
