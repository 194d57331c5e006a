"""Images, models and records that somebody made to do harm, or that are broken."""

import base64
import hashlib
import io
import json
import marshal
import os
import re
import struct
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np

from fewlabel.datasets.decoding import fit_image
from tests.conftest import Project
from trust.processes import Running, run
from trust.projects import LABELS, PHOTOS, lock, module, private_copy
from trust.promises import Promise
from trust.wrong_bytes import MODEL

_PATIENCE = 40  # seconds
_SLOW = 20  # seconds that no single image may take
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def mutate_images(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Change, cut or repeat bytes of valid images; each is decoded or called no image."""
    photos = sorted((project.folder / PHOTOS).rglob("*.*g"))
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(n):
            photo = rng.choice(photos)
            Path(file.name).write_bytes(_mutated(photo.read_bytes(), rng))
            start = time.perf_counter()
            try:
                with warnings.catch_warnings(action="ignore"):
                    image = fit_image(file.name, (16, 16, 3))
                is_right, seen = (image.shape, image.dtype) == ((16, 16, 3), np.uint8), "decoded"
            except ValueError as error:
                is_right, seen = len(str(error).splitlines()) == 1, str(error)
            except BaseException as error:
                is_right, seen = False, repr(error)
            is_right &= time.perf_counter() - start < _SLOW
            yield is_right, photo.suffix, re.sub(r"\d+|<.*>|b'.*'", "N", seen)


def _mutated(content, rng):
    changed = bytearray(content)
    match rng.randrange(4):
        case 0:
            return bytes(changed[: rng.randrange(len(changed))])
        case 1:
            at = rng.randrange(len(changed))
            return bytes(changed[:at] + changed[at // 2 :])
        case 2:
            return changed[:8] + rng.randbytes(len(changed))
    for _ in range(rng.choice([1, 3, 30])):  # most of what matters is in the first bytes
        changed[min(int(rng.expovariate(0.01)), len(changed) - 1)] = rng.randrange(256)
    return bytes(changed)


def _png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of black pixels, one bit each, with other chunks before them."""
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9)
    header = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", rows), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


_TEXT_BOMB = (b"zTXt", b"a\0\0" + zlib.compress(bytes(2**28), 9))
# Name of a file -> what makes it.
_FILES = {
    "pipe.png": os.mkfifo,
    "link to a device.png": lambda path: path.symlink_to("/dev/zero"),
    "link to a terminal.png": lambda path: path.symlink_to("/dev/tty"),
    "link to nowhere.jpg": lambda path: path.symlink_to("nowhere"),
    "link to itself.jpg": lambda path: path.symlink_to(path),
    "link to its folder": lambda path: path.symlink_to("."),
    "link to the memory.png": lambda path: path.symlink_to("/proc/self/mem"),
    "folder.png": Path.mkdir,
    "empty.png": lambda path: path.write_bytes(b""),
    "text.png": lambda path: path.write_text("<svg onload='alert(1)'/>"),
    "gif.png": lambda path: path.write_bytes(b"GIF89a" + bytes(100)),
    "truncated.png": lambda path: path.write_bytes(_png(64, 64)[:-30]),
    "bomb.png": lambda path: path.write_bytes(_png(60000, 60000)),
    "bomb of text.png": lambda path: path.write_bytes(_png(8, 8, _TEXT_BOMB)),
    "long.png": lambda path: path.write_bytes(_png(1, 1_000_000)),
    "thin.png": lambda path: path.write_bytes(_png(1_000_000, 1)),
    "red \x1b[31m.png": lambda path: path.write_bytes(b"no image"),
    "two\nlines.png": lambda path: path.write_bytes(b"no image"),
    "bell \a and \x9b.png": lambda path: path.write_bytes(_png(8, 8)),
    "no \udcff text.png": lambda path: path.write_bytes(_png(9, 9)),
    f"{'long' * 60}.png": lambda path: path.write_bytes(b"no image"),
    "=formula().png": lambda path: path.write_bytes(b"no image"),
    "--help.png": lambda path: path.write_bytes(b"no image"),
}


def offer_files(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Put files beside the photos, and have `download` and `predict` read them."""
    with private_copy(project) as project:
        photos = project.folder / PHOTOS
        listed = project.folder / "data/raw/train_files.csv"
        before = set(listed.read_text(encoding="utf-8").splitlines())
        names = rng.sample(list(_FILES), len(_FILES))
        for i in range(n):
            name, reader = names[i // 2 % len(names)], ("download", "predict")[i % 2]
            folder = photos / "hostile"
            folder.mkdir()
            good = folder / "good.png"
            good.write_bytes(_png(10, 10))
            _FILES[name](folder / name)
            commands = {
                "download": ["stages.download"],
                "predict": ["fewlabel.cli", "predict", MODEL, folder],
            }
            done = Running(project, [str(word) for word in commands[reader]]).wait(_PATIENCE)
            used = {
                "download": set(listed.read_text(encoding="utf-8").splitlines()) - before,
                "predict": "good.png" in done.output,
            }
            may_stop = reader == "download" and done.has_refused
            found = [] if done.code == 0 or done.has_refused else [f"no sentence: {done.last_line}"]
            found += [] if used[reader] or may_stop else ["the good image is not used"]
            found += ["control characters"] if _CONTROL.search(done.output + done.error) else []
            project.run("rm", "-r", str(folder))
            yield (
                not found,
                f"{name!r} for {reader}",
                "; ".join(found) or done.last_line or "classified",
            )


def _lambda_model(canary):
    code = compile(f"open({str(canary)!r}, 'w')", "", "eval")
    function = {
        "class_name": "__lambda__",
        "config": {
            "code": base64.b64encode(marshal.dumps(code)).decode(),
            "defaults": None,
            "closure": None,
        },
    }
    layer = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "lambda", "function": function, "arguments": {}},
        "registered_name": None,
    }
    model = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "sequential", "layers": [layer], "build_input_shape": [None, 768]},
        "registered_name": None,
        "build_config": {"input_shape": [None, 768]},
    }
    return json.dumps(model).encode()


_DEEP = "[" * 200_000
_TEXTS = {
    "empty": "",
    "a list": "[]",
    "a number": "1",
    "a deep list": _DEEP,
    "control characters": "\0\1\2",
    "other keys": '{"a": {"b": null}}',
    "an object of lists": '{"class_names": [], "image_shape": [], "classes": [], "file": []}',
    "wrong values": '{"class_names": 5, "image_shape": "a", "classes": {}, "file": 1}',
    "a path": '{"file": "../../../../../etc/passwd", "features": "pixels", "classes": [0]}',
    "no text": "\udcff\udcfe",
}


def offer_models(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Change classifier.keras, have dvc.lock vouch for it, and classify with it."""
    with private_copy(project) as project:
        model, record = project.folder / MODEL, project.folder / "dvc.lock"
        canary = project.folder / "canary"
        whole, vouching = model.read_bytes(), record.read_text(encoding="utf-8")
        digest = hashlib.md5(whole).hexdigest()
        for i in range(n):
            tried, content = _changed_model(whole, rng) if i else _with_lambda(whole, canary)
            model.write_bytes(content)
            record.write_text(vouching.replace(digest, hashlib.md5(content).hexdigest()))
            done = run(project, ["fewlabel.cli", "predict", MODEL, PHOTOS])
            has_run = canary.exists()
            canary.unlink(missing_ok=True)
            is_right = done.has_refused and not has_run
            yield is_right, tried, "it ran" if has_run else done.last_line or "it was used"


_FOR_PEOPLE = {"README.md", "metadata.json"}
"""Parts of the file that no program reads."""


def _parts(whole):
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(parts):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return content.getvalue()


def _with_lambda(whole, canary):
    return "a Lambda layer", _zipped(_parts(whole) | {"config.json": _lambda_model(canary)})


def _changed_model(whole, rng):
    parts = _parts(whole)
    name = rng.choice(sorted(parts.keys() - _FOR_PEOPLE))
    match rng.choice(["missing", "truncated", "text", "text", "no zip", "half a zip"]):
        case "missing":
            del parts[name]
            return f"{name} is missing", _zipped(parts)
        case "truncated":
            parts[name] = parts[name][: rng.randrange(len(parts[name]))]
            return f"{name} is truncated", _zipped(parts)
        case "text":
            what = rng.choice(list(_TEXTS))
            parts[name] = _TEXTS[what].encode(errors="surrogateescape")
            return f"{name} is {what}", _zipped(parts)
        case "no zip":
            return "no zip", rng.randbytes(rng.randrange(2000))
    return "half a zip", whole[: rng.randrange(len(whole))]


_CONFLICT = "<<<<<<< HEAD\n{0}=======\n{0}>>>>>>> other\n"
_ALIASES = "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 'x'}]\n" for i in range(12)
)


def break_records(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Break dvc.lock, params.yaml or labels.csv, and run what reads it."""
    with private_copy(project) as project:
        stages = lock(project)
        predict = ["fewlabel.cli", "predict", MODEL, f"{PHOTOS}/part 0"]
        readers = {
            "dvc.lock": [module(stages["propagate"]["cmd"]), predict, ["fewlabel.verify"]],
            "params.yaml": [module(stage["cmd"]) for stage in stages.values()],
            LABELS: [
                module(stages["label"]["cmd"]),
                ["fewlabel.cli", "import-labels", "params.yaml"],
            ],
        }
        for _ in range(n):
            name = rng.choice(list(readers))
            command = rng.choice(readers[name])
            path = project.folder / name
            right = path.read_text(encoding="utf-8")
            texts = _TEXTS | {"conflict markers": _CONFLICT.format(right), "aliases": _ALIASES}
            what = rng.choice(list(texts))
            path.write_bytes(texts[what].encode(errors="surrogateescape"))
            done = Running(project, command).wait(_PATIENCE)
            path.write_text(right, encoding="utf-8")
            has_control = _CONTROL.search(done.output + done.error)
            is_right = done.has_refused and not has_control
            seen = done.last_line or f"exit code {done.code}"
            yield is_right, f"{name} is {what}, for {command[0]}", seen


_FAMILY = "Hostile and broken files"
PROMISES = [
    Promise(
        _FAMILY,
        "A damaged PNG or JPEG is decoded or called no whole image.",
        mutate_images,
        2000,
        300,
    ),
    Promise(
        _FAMILY,
        "Pipes, devices, links, bombs and odd names beside the images are skipped or refused; "
        "nothing hangs, and no control character is shown.",
        offer_files,
        2 * len(_FILES),
        4,
    ),
    Promise(
        _FAMILY,
        "A damaged or hostile classifier.keras is refused in one sentence, even if dvc.lock "
        "vouches for it.",
        offer_models,
        60,
        4,
    ),
    Promise(
        _FAMILY,
        "A broken dvc.lock, params.yaml or labels.csv is refused in one sentence.",
        break_records,
        60,
        4,
    ),
]
