"""An image file, decoded: whoever made it, it takes no more memory than is stated."""

import hashlib
import io
import math
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from fewlabel.arrays import Array
from fewlabel.regular_files import FileRefusedError, read_regular_file
from fewlabel.text import one_line, printable

_SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_FILE_BYTES = 2**28
_MAX_PIXELS = 2**26
_MAX_STORED_PIXELS = 2**28
"""Of a JPEG, before it is decoded smaller; some keep all of them in memory until then."""
_LARGE = 2**24
"""Bytes or decoded pixels from which on only one image is in memory at a time."""
_large_image = threading.RLock()
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""EXIF's orientation -> what turns the image upright."""

# Its check comes before a JPEG is made smaller, and warns in several lines; ours is in `_decode`.
Image.MAX_IMAGE_PIXELS = None
# Profiles of calibrated screens, which screenshots have, are larger than Pillow allows.
PngImagePlugin.MAX_TEXT_CHUNK = 2**24


@contextmanager
def decoded_image(path: str | Path, size: int) -> Iterator[tuple[Image.Image, str]]:
    """Decode a file as `decoded_content` does, and hash it by SHA-256."""
    with ExitStack() as stack:
        try:
            if Path(path).stat().st_size > _LARGE:
                stack.enter_context(_large_image)
            content = read_regular_file(path, MAX_FILE_BYTES)
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from error
        image = stack.enter_context(decoded_content(content, size))
        yield image, hashlib.sha256(content).hexdigest()


@contextmanager
def decoded_content(content: bytes, size: int) -> Iterator[Image.Image]:
    """Decode an image: upright, L or RGB, transparent pixels black.

    While one that takes much memory is in use, no other such image is decoded. Of a JPEG, a side
    of `size` pixels is enough, so a larger one is decoded faster, and smaller. A `ValueError` says
    why it is no whole image, or that it is too large.
    """
    if not content:
        raise ValueError("not a whole image: empty")
    with ExitStack() as stack:
        try:
            image = _decode(content, size, stack)
        except FileRefusedError:
            raise
        except UnidentifiedImageError as error:
            raise ValueError("not a whole image: neither PNG nor JPEG by its content") from error
        except Exception as error:  # Pillow passes on whatever a broken file leads to
            raise ValueError(f"not a whole image: {one_line(error)}") from error
        yield image


def fit_image(source: str | Path | bytes, shape: tuple[int, ...]) -> Array:
    """Decode a file, or the content of one, to uint8, scaled to fit and padded with black.

    `shape` is height and width in pixels; after them, 3 makes it colored, and nothing gray. Errors
    are as of `decoded_content`.
    """
    height, width, *channels = shape
    size = max(height, width)
    with ExitStack() as stack:
        if isinstance(source, bytes):
            image = stack.enter_context(decoded_content(source, size))
        else:
            image, _ = stack.enter_context(decoded_image(source, size))
        return np.asarray(padded(image.convert("RGB" if channels else "L"), (width, height)))


def padded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale an image to fit a width and a height, and pad it with black.

    Raises
    ------
    ValueError
        If it is so long that less than half a pixel of its other side would be left.
    """
    scale = min(new / old for new, old in zip(size, image.size, strict=True))
    if min(image.size) * scale < 0.5:
        stored = "{:,} x {:,} pixels".format(*image.size)
        raise ValueError(f"of {stored}, of which nothing is left at {max(size)} pixels per side")
    return ImageOps.pad(image, size)


def has_image_name(name: str) -> bool:
    """Return whether a file is named as PNG and JPEG files are.

    Examples
    --------
    >>> has_image_name("photos/a.JPG")
    True
    """
    return Path(name).suffix.lower() in _SUFFIXES


def check_name(place: Path, name: str) -> None:
    """Raise a `ValueError` that says why an image cannot have this name, if so."""
    if not has_image_name(name):
        is_link = os.path.islink(place / name)  # noqa: PTH114 (pathlib's raises for long paths)
        advice = "; links to folders are not followed" if is_link else ""
        raise ValueError(f"not a PNG or JPEG by its name{advice}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError("its name is not UTF-8") from error
    if printable(name) != name:  # who reads a table by lines would shift the rows after it
        raise ValueError("its name has a control character or a line separator")


def _decode(content: bytes, size: int, stack: ExitStack) -> Image.Image:
    with open_image(io.BytesIO(content)) as file:
        n_stored = math.prod(file.size)
        stored = "{:,} x {:,} pixels".format(*file.size)
        file.draft(None, (2 * size, 2 * size))
        n_decoded = math.prod(file.size)
        for n, limit in ((n_decoded, _MAX_PIXELS), (n_stored, _MAX_STORED_PIXELS)):
            if n > limit:
                raise FileRefusedError(f"of {stored}, but at most {limit:,} pixels are allowed")
        if n_decoded > _LARGE or n_stored > _MAX_PIXELS:
            stack.enter_context(_large_image)
        file.load()
        turn = _turn(file)
        clear = file.info.get("transparency")
        is_deep = file.mode.startswith("I")  # 16 bits, of which "RGBA" would keep the lowest
        with_alpha = "LA" if file.mode in ("1", "L") else "RGBA"  # what is gray stays so
        image = file.copy() if clear is None or is_deep else file.convert(with_alpha)
    if is_deep:
        levels = np.asarray(image)
        shown = np.where(levels == clear, 0, levels) if isinstance(clear, int) else levels
        image = Image.fromarray((shown >> 8).clip(0, 255).astype(np.uint8))
    mode = "L" if Image.getmodebase(image.mode) == "L" else "RGB"
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    image = image.convert(mode)
    return image if turn is None else image.transpose(turn)


def _turn(file: Image.Image) -> Image.Transpose | None:
    """Return what turns an image upright; damaged metadata does not, and harms no pixel."""
    try:
        return _UPRIGHT.get(file.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow passes on whatever a broken file leads to
        return None


def open_image(file: IO[bytes]) -> Image.Image:
    """Open a PNG or a JPEG, of which nothing is decoded yet."""
    return Image.open(file, formats=("PNG", "JPEG"))
