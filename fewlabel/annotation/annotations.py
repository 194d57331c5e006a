"""Annotations: one label that one person gave one image, and the files that keep them.

Git tracks data/annotations/labels.csv and merges it by keeping the lines of both sides, so an image
may have several lines. `merge_lines` says what counts then. Such a merge has limits. An annotation
that was taken back in one clone returns if the other changed the line beside it. A contradiction
that one clone settled returns if both had merged it on their own. An annotation that one person
replaced by their own may contradict it again. The page shows all of these.

Git and DVC replace the file when they check out something older, so every annotation is also noted
in a journal beside it that neither of them sees.
"""

import csv
import io
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fewlabel.errors import FewlabelError
from fewlabel.storage import write

ANNOTATIONS_FILE = Path("data/annotations/labels.csv")
JOURNAL = ".given.csv"
"""Beside the file: a line per annotation ever given here, with no label if taken back."""
NOT_SURE = "?"
"""In place of a label: the cluster of this image is not propagated."""
NO_CLASS = "!"
"""In place of a label: this is no image of a class, and gets no label."""
NO_LABEL = (NOT_SURE, NO_CLASS)
WITHOUT_LABEL = {"not sure": NOT_SURE, "no image of a class": NO_CLASS}
"""Choice in Label Studio -> what labels.csv has for it."""
SOMEBODY = "somebody"
"""Name in messages where nobody knows who labeled."""

_CONFLICT_MARKER = re.compile(r"^(<<<<<<<|>>>>>>>)( |\r?$)", re.MULTILINE)


class Annotation(NamedTuple):
    """A line of labels.csv."""

    image: str  # as in data/raw/train_files.csv
    sha256: str  # of the image's content when it was labeled, hexadecimal
    label: str  # name of a class, NOT_SURE or NO_CLASS
    labeled_at: str  # ISO 8601, UTC
    labeled_by: str = ""  # empty where nobody knows


Annotations = dict[str, list[Annotation]]
"""Image -> its annotation; where people contradict each other, one of each. Oldest first."""


class AnnotationsError(FewlabelError):
    """labels.csv is not what it must be, or does not fit the images."""


class ConflictError(AnnotationsError):
    """Somebody else has changed an image's annotations meanwhile."""

    def __init__(self, image: str, found: list[Annotation]):
        says = describe({image: found}) if found else f"{image}, which has no label now,"
        super().__init__(f"somebody else changed {says} meanwhile; look at it, then try again")


def now() -> str:
    """Return the time of an annotation, in microseconds so that two annotations differ."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def time_of(annotation: Annotation) -> datetime:
    """Return when it was given; before everything else where that is no time.

    Examples
    --------
    >>> time_of(Annotation("a.png", "", "cat", "2026-01-01T12:00:00")).isoformat()
    '2026-01-01T12:00:00+00:00'
    >>> time_of(Annotation("a.png", "", "cat", "yesterday")).year
    1
    """
    try:
        time = datetime.fromisoformat(annotation.labeled_at)
    except ValueError:
        time = datetime.min
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def age(annotation: Annotation) -> tuple[datetime, Annotation]:
    """Return what sorts annotations oldest first, the same way in every clone."""
    return time_of(annotation), annotation


def merge_lines(lines: Iterable[Annotation]) -> Annotations:
    """Keep what counts: a person's latest line per image, and of those that agree the oldest.

    Examples
    --------
    >>> lines = [
    ...     Annotation("a.png", "", "cat", "2026-01-01", "Ann"),
    ...     Annotation("a.png", "", "dog", "2026-01-02", "Ann"),
    ...     Annotation("a.png", "", "dog", "2026-01-03", "Bob"),
    ... ]
    >>> [(a.label, a.labeled_by) for a in merge_lines(lines)["a.png"]]
    [('dog', 'Ann')]
    """
    lines_by_image: Annotations = {}
    for line in sorted(lines, key=age):
        lines_by_image.setdefault(line.image, []).append(line)
    counting = sorted(map(_merge_image, lines_by_image.values()), key=lambda found: age(found[0]))
    return {found[0].image: found for found in counting}


def _merge_image(lines: list[Annotation]) -> list[Annotation]:
    last = {line.labeled_by: line.labeled_at for line in lines}
    # Nobody knows whether two people without a name are the same.
    latest = [a for a in lines if not a.labeled_by or a.labeled_at == last[a.labeled_by]]
    oldest = {(a.label, a.labeled_by): a for a in reversed(latest)}
    kept = sorted(oldest.values(), key=age)
    return kept if is_contradiction(kept) else kept[:1]


def is_contradiction(annotations: list[Annotation]) -> bool:
    """Return whether annotations of an image have different labels."""
    return len({annotation.label for annotation in annotations}) > 1


def contradictions(annotations: Annotations) -> Annotations:
    """Return those images of which people say different things."""
    return {image: found for image, found in annotations.items() if is_contradiction(found)}


def describe(annotations: Annotations) -> str:
    """Name every image, each of its labels and who gave it.

    Examples
    --------
    >>> describe({"a.png": [Annotation("a.png", "", "cat", "", "Ann")]})
    'a.png (cat by Ann)'
    """
    return ", ".join(
        f"{image} ({', '.join(f'{a.label} by {a.labeled_by or SOMEBODY}' for a in found)})"
        for image, found in annotations.items()
    )


def refuse_contradictions(annotations: Annotations, path: Path = ANNOTATIONS_FILE) -> None:
    """Raise an AnnotationsError that names all contradictions and how to settle them, if any."""
    if found := contradictions(annotations):
        raise AnnotationsError(
            f"{path} has different labels from different people for {describe(found)}; settle "
            "them with `make label`, or with `fewlabel settle-labels latest`, or by a person's "
            "name in place of latest"
        )


def write_lines(path: Path, lines: Iterable[Annotation]) -> None:
    """Write a file of annotations; it is on disk when this returns."""

    def write_all(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([Annotation._fields, *lines])
            file.flush()
            os.fsync(file.fileno())

    write(path, write_all)
    # Else a power failure could take the new name back, and the annotation with it.
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def read_lines(path: Path) -> list[Annotation]:
    """Read a file of annotations, none where it is missing.

    Raises
    ------
    AnnotationsError
        If a column is missing, or a merge left what is no line.
    """
    try:
        return _parse(path.read_bytes().decode("utf-8-sig"), path)
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AnnotationsError(f"{path} cannot be read: {error}") from error


def _parse(text: str, path: Path) -> list[Annotation]:
    if _CONFLICT_MARKER.search(text):
        raise AnnotationsError(
            f"{path} has the markers of a merge conflict; delete the lines that start with "
            "<<<<<<<, ======= and >>>>>>>, and keep the others"
        )
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = next(reader, [])
    for name in Annotation._fields[:-1]:  # older files do not say who labeled
        if name not in header:
            raise AnnotationsError(
                f"{path} has no column {name}; it must have {', '.join(Annotation._fields)}"
            )
    lines = []
    for row in filter(None, reader):
        where = f"{path}, line {reader.line_num},"
        if row == header:
            raise AnnotationsError(f"{where} is a second header, but one is allowed; delete it")
        if len(row) != len(header):
            raise AnnotationsError(
                f"{where} has {len(row)} values, but must have {len(header)}, as its header has"
            )
        values = dict(zip(header, row, strict=True))
        lines.append(Annotation(*(values.get(name, "") for name in Annotation._fields)))
    return lines
