"""Features of images, a part of them at a time."""

import numpy as np

from fewlabel.arrays import Floats
from fewlabel.engine import Shared
from fewlabel.normalization import load_rows
from fewlabel.rows import transformed


def embed_part(part: slice, split: str, embedding: Shared) -> Floats:
    """Return features of the images in these rows of "train" or "test"."""
    return transformed(embedding.get(), load_rows(split, np.arange(part.start, part.stop)))
