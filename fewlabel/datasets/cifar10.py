"""CIFAR-10 (A. Krizhevsky, 2009): 50,000 + 10,000 color photographs of 32 x 32 pixels."""

from typing import ClassVar

from fewlabel.methods import DatasetMethod, Facts, Images

ARCHIVE = "cifar-10-binary.tar.gz"
# As in tensorflow/datasets, url_checksums/cifar10.txt; gomlx/gomlx has the same hash.
_N_BYTES = 170_052_171
_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
_MIRRORS = (
    "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10",
    "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets",
    "https://www.cs.toronto.edu/~kriz",  # the publisher's, last as it may take an hour
)
_FOLDER = "cifar-10-batches-bin"
_FILES = {
    "train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    "test": ("test_batch.bin",),
}
_SIDE, _N_CHANNELS = 32, 3


class Settings(DatasetMethod):
    """Nothing to set."""

    facts: ClassVar[Facts | None] = Facts(50_000, 10_000, (_SIDE, _SIDE, _N_CHANNELS))

    def names_of_classes(self) -> list[str]:
        return [
            "airplane", "automobile", "bird", "cat", "deer",
            "dog", "frog", "horse", "ship", "truck",
        ]  # fmt: skip

    def read(self) -> Images:
        import numpy as np

        from fewlabel.datasets.image_files import hash_images
        from fewlabel.datasets.sources import read_archive, tar_members
        from fewlabel.parallel import log_duration

        archive = read_archive(
            "cifar10", ARCHIVE, n_bytes=_N_BYTES, sha256=_SHA256, mirrors=_MIRRORS
        )
        wanted = {f"{_FOLDER}/{file}": file for files in _FILES.values() for file in files}
        arrays = {}
        with log_duration("read cifar10"):
            contents = dict(tar_members(archive, "r:gz", wanted))
            for split, files in _FILES.items():
                content = b"".join(contents[file] for file in files)
                # A record: the position of a class, then an image's red, green and blue pixels.
                records = np.frombuffer(content, np.uint8).reshape(-1, 1 + _N_CHANNELS * _SIDE**2)
                channels = records[:, 1:].reshape(-1, _N_CHANNELS, _SIDE, _SIDE)
                arrays[f"{split}_images"] = np.ascontiguousarray(channels.transpose(0, 2, 3, 1))
                arrays[f"{split}_labels"] = records[:, 0].astype(np.int64)
            hashes = hash_images(arrays["train_images"])
        return Images(arrays, list(range(len(hashes))), hashes, [])
