"""CIFAR-10, from a small archive like the published one."""

import gzip
import hashlib
import io
import tarfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from benchmarks.cifar10_part import write_part
from fewlabel.datasets import cifar10, sources
from fewlabel.datasets.folder import Settings as Folder
from fewlabel.datasets.sources import DownloadError
from fewlabel.errors import FewlabelError

N_PER_FILE = 3
# In the archive's own order, which is neither the alphabet's nor that of the images.
FILES = ["data_batch_1", "data_batch_5", "test_batch", "data_batch_3", "data_batch_2"]
FILES += ["data_batch_4"]


@pytest.fixture(scope="module")
def photographs():
    """Return file -> images and labels."""
    rng = np.random.default_rng(0)
    return {
        file: (
            rng.integers(256, size=(N_PER_FILE, 32, 32, 3), dtype=np.uint8),
            rng.integers(10, size=N_PER_FILE),
        )
        for file in FILES
    }


def record(image, label):
    """Write a record a pixel at a time: class, all red pixels, all green ones, all blue ones."""
    pixels = [image[y, x, c] for c in range(3) for y in range(32) for x in range(32)]
    return bytes([label, *pixels])


@pytest.fixture(scope="module")
def archive(photographs):
    with tarfile.open(fileobj=(content := io.BytesIO()), mode="w:gz") as tar:
        members = {"cifar-10-batches-bin/batches.meta.txt": b"airplane\n", "../evil.bin": b"x"}
        for file, images_and_labels in photographs.items():
            records = b"".join(map(record, *images_and_labels))
            members[f"cifar-10-batches-bin/{file}.bin"] = records
        members["elsewhere/data_batch_1.bin"] = b"another file of that name"
        for name, raw in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return content.getvalue()


@pytest.fixture
def folder(archive, tmp_path, monkeypatch):
    """Return the only source: a folder, where an archive of the made one's content is right."""
    monkeypatch.setattr(cifar10, "_MIRRORS", ())
    monkeypatch.setattr(cifar10, "_SHA256", hashlib.sha256(archive).hexdigest())
    monkeypatch.setenv(sources.FOLDER_VARIABLE, str(tmp_path / "published"))
    (tmp_path / "published").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "published"


def test_images_are_in_the_published_order_and_nothing_is_unpacked(photographs, archive, folder):
    (folder / cifar10.ARCHIVE).write_bytes(archive)
    images = cifar10.Settings().read()
    in_order = [photographs[f"data_batch_{i}"] for i in range(1, 6)]
    expected = {
        "train_images": np.concatenate([pixels for pixels, _ in in_order]),
        "train_labels": np.concatenate([labels for _, labels in in_order]),
        "test_images": photographs["test_batch"][0],
        "test_labels": photographs["test_batch"][1],
    }
    assert list(images.arrays) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(images.arrays[name], array, strict=True)
    first = hashlib.sha256(in_order[0][0][0].tobytes()).hexdigest()
    assert images.sha256[0] == first
    assert images.names == list(range(5 * N_PER_FILE))
    files = [path for path in folder.parent.rglob("*") if path.is_file()]
    assert files == [folder / cifar10.ARCHIVE]


def cut(archive):
    return archive[:-9]


def changed(archive):
    return archive[:99] + bytes([archive[99] ^ 1]) + archive[100:]


def decompressed(archive):
    return gzip.decompress(archive)


@pytest.mark.parametrize("damage", [cut, changed, decompressed])
def test_any_other_archive_is_refused_in_one_sentence(archive, folder, damage):
    (folder / cifar10.ARCHIVE).write_bytes(damage(archive))
    with pytest.raises(DownloadError) as error:
        cifar10.Settings().read()
    assert f"{cifar10.ARCHIVE} must have the SHA-256 {cifar10._SHA256}, but has" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_larger_file_is_not_read(archive, folder, monkeypatch):
    monkeypatch.setattr(cifar10, "_N_BYTES", len(archive) - 1)
    (folder / cifar10.ARCHIVE).write_bytes(archive)
    with pytest.raises(DownloadError, match=rf"is of {len(archive):,} bytes, but at most"):
        cifar10.Settings().read()


def test_without_any_source_it_is_said_what_is_missing(folder):
    with pytest.raises(DownloadError) as error:
        cifar10.Settings().read()
    assert "cifar10 is in none of its sources" in str(error.value)
    assert f"it has no {cifar10.ARCHIVE}" in str(error.value)
    assert str(error.value).endswith(f"can name a local folder with {cifar10.ARCHIVE}")


@pytest.mark.network
def test_the_archive_has_the_photographs():
    try:
        images, facts = cifar10.Settings().read(), cifar10.Settings.facts
    except DownloadError as error:
        if "must have the SHA-256" in str(error):
            raise
        pytest.skip(f"no mirror can be reached: {error}")  # no package has it
    for split, n in (("train", facts.n_train_images), ("test", facts.n_test_images)):
        assert images.arrays[f"{split}_images"].shape == (n, *facts.image_shape)
        assert np.bincount(images.arrays[f"{split}_labels"]).tolist() == 10 * [n // 10]


def test_the_part_is_a_folder_that_fewlabel_reads(tmp_path):
    rng, names = np.random.default_rng(0), ["cat", "dog"]
    labels = rng.permutation(np.repeat([0, 1], 6))
    levels = {"train": 20 * np.arange(12), "test": 20 * np.arange(12) + 10}  # JPEG loses less
    arrays = {f"{split}_labels": labels for split in levels}
    for split, grays in levels.items():
        arrays[f"{split}_images"] = np.tile(grays[:, None, None, None], (32, 32, 3)).astype(
            np.uint8
        )
    folder = tmp_path / "part"
    write_part(folder, arrays, names, {"train": 4, "test": 3})

    files = sorted(folder.rglob("*.jpg"))
    counts = Counter(file.parent.relative_to(folder).as_posix() for file in files)
    assert counts == {"train/cat": 4, "train/dog": 4, "test/cat": 3, "test/dog": 3}
    for file in files:
        split, name = file.parent.relative_to(folder).parts
        of_class = levels[split][labels == names.index(name)]
        with Image.open(file) as image:
            assert image.format == "JPEG"
            assert abs(np.asarray(image).astype(int) - of_class[int(file.stem)]).max() < 5
    settings = {"class_names": names, "train_labels": "train", "test_labels": "test"}
    read = Folder(path=str(folder), **settings).read()
    assert np.bincount(read.arrays["train_labels"]).tolist() == [4, 4]
    with pytest.raises(FewlabelError, match="part is there already"):
        write_part(folder, arrays, names, {"train": 1})
