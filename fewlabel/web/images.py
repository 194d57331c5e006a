"""Images as people look at them."""

import io
from collections.abc import Callable
from contextlib import suppress

from PIL import Image

from fewlabel.datasets.decoding import decoded_image
from fewlabel.methods import DatasetMethod
from fewlabel.storage import stored_array

_MAX_PIXELS = 640


def png_reader(
    dataset: DatasetMethod, names: list[str], sha256: list[str]
) -> Callable[[int, bool], bytes]:
    """Make a function that returns a training image as PNG.

    It takes the position of the image, and whether it may be small: as the pipeline sees it. Else
    it is what a user's own file shows, up to 640 pixels per side. Names and hashes of content are
    those of such files.
    """
    folder = dataset.own_files if dataset.own_files and dataset.own_files.is_dir() else None
    arrays = stored_array("data/raw/train_images.npy")

    def read(position: int, small: bool) -> bytes:
        image = Image.fromarray(arrays[position : position + 1][0])
        if folder and not small:
            # What is gone, changed, or too large to show so, stays as the pipeline sees it.
            with suppress(ValueError), decoded_image(folder / names[position], _MAX_PIXELS) as file:
                shown, found = file
                if found == sha256[position]:
                    image = shown
                    image.thumbnail((_MAX_PIXELS, _MAX_PIXELS))
        encoded = io.BytesIO()
        image.save(encoded, "PNG")
        return encoded.getvalue()

    return read
