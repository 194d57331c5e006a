"""Text and values from elsewhere, such as file names, as people can be shown them."""

import unicodedata
from reprlib import Repr


def printable(text: str, max_length: int | None = None) -> str:
    r"""Escape what breaks a line, steers a terminal or is not Unicode; shorten what is too long.

    Examples
    --------
    >>> printable("a\rb.png")
    'a\\rb.png'
    >>> printable("a long text", 7)
    'a long…'
    """
    escaped = "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs")
        else character
        for character in text
    )
    if max_length is None or len(escaped) <= max_length:
        return escaped
    return f"{escaped[: max_length - 1]}…"


def one_line(value: object, max_length: int = 200) -> str:
    r"""Write a value or an error in one line, shortened where it is long.

    Examples
    --------
    >>> one_line(ValueError("two\nlines"))
    'two lines'
    >>> one_line(ValueError())
    'ValueError'
    """
    return printable(" ".join(str(value).split()), max_length) or type(value).__name__


def shown(value: object, max_length: int = 80) -> str:
    """Write a value for a message, as Python does, shortened where it is long.

    Examples
    --------
    >>> shown(["a", None])
    "['a', None]"
    """
    brief = Repr()
    brief.maxstring = brief.maxlong = brief.maxother = 2 * max_length
    try:
        return printable(brief.repr(value), max_length)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"
