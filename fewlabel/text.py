"""Text and values from elsewhere, such as file names, as people can be shown them."""

import unicodedata
from reprlib import Repr
from typing import Any

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
    return escaped if max_length is None else shorten(escaped, max_length)


def shorten(text: str, max_length: int) -> str:
    """Cut what is too long, with an ellipsis in place of the rest."""
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"


def one_line(value: Any, max_length: int = 200) -> str:
    """Text of a value or an error in one line, cut where it is long."""
    return shorten(" ".join(str(value).split()) or type(value).__name__, max_length)


def shown(value: Any, max_length: int = 80) -> str:
    """Write a value for a message, as Python does."""
    brief = Repr()
    brief.maxlevel = brief.maxlist = brief.maxdict = brief.maxset = brief.maxtuple = 5
    brief.maxstring = brief.maxlong = brief.maxother = 2 * max_length
    try:
        return shorten(brief.repr(value), max_length)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"


def breaks_lines(text: str) -> bool:
    """Whether it has a control character or a line separator, which readers of lines split at."""
    return any(unicodedata.category(character) in _LINE_BREAKING for character in text)


def _escape(character):
    if unicodedata.category(character) in _NOT_PRINTABLE:
        return character.encode("unicode_escape").decode()
    return character
