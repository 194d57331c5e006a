"""Labels by way of other tools: Label Studio's JSON, and plain CSV."""

import posixpath
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

from pydantic import AliasChoices, AliasPath, BaseModel, Field, TypeAdapter

from fewlabel.annotation.annotations import (
    SOMEBODY,
    WITHOUT_LABEL,
    Annotation,
    Annotations,
    AnnotationsError,
    contradictions,
    describe,
    now,
)
from fewlabel.annotation.person import clean_name
from fewlabel.annotation.queries import Queries
from fewlabel.datasets.decoding import MAX_FILE_BYTES
from fewlabel.datasets.image_files import read_label_table
from fewlabel.regular_files import read_regular_file
from fewlabel.text import one_line


def label_studio_tasks(
    queries: Queries, read_image: Callable[[int, bool], bytes]
) -> list[dict[str, dict[str, str]]]:
    """Make tasks to import into Label Studio: the pending queries, with images of `png_reader`."""
    return [
        {
            "data": {
                "image": f"data:image/png;base64,{b64encode(read_image(i, False)).decode()}",
                "name": queries.names[i],
                "sha256": queries.sha256[i],
            }
        }
        for i in queries.pending(queries.read_agreed())
    ]


def label_studio_interface(class_names: list[str]) -> str:
    """Return the labeling interface for these tasks, as Label Studio's project settings take it."""
    names = [*class_names, *WITHOUT_LABEL]
    choices = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in names)
    return (
        '<View>\n  <Image name="image" value="$image"/>\n'
        '  <Choices name="label" toName="image" choice="single" required="true">\n'
        f"{choices}  </Choices>\n</View>\n"
    )


class _TaskAnnotation(BaseModel):
    """What is read of an annotation in Label Studio's export."""

    result: list[object]
    label: str | None = Field(None, validation_alias=AliasPath("result", 0, "value", "choices", 0))
    labeled_by: str | int | None = Field(
        None,
        validation_alias=AliasChoices(
            AliasPath("completed_by", "email"), AliasPath("completed_by", "id"), "completed_by"
        ),
    )
    time: str | None = Field(None, validation_alias=AliasChoices("updated_at", "created_at"))
    was_cancelled: bool | None = None


class _Task(BaseModel):
    name: str = Field(validation_alias=AliasPath("data", "name"))
    sha256: str = Field(validation_alias=AliasPath("data", "sha256"))
    annotations: list[_TaskAnnotation]

    def lines(self) -> list[dict[str, str]]:
        """Return the label from each person: the last that was not cancelled."""
        given = [a for a in self.annotations if a.result and not a.was_cancelled]
        if any(a.label is None for a in given):
            raise ValueError(f"an annotation of {self.name} has no choice")
        last = {str(a.labeled_by or ""): a for a in sorted(given, key=lambda a: a.time or "")}
        return [
            {
                "image": self.name,
                "sha256": self.sha256,
                "label": WITHOUT_LABEL.get(str(a.label), str(a.label)),
                "labeled_by": person,
            }
            for person, a in last.items()
        ]


def read_labels(path: str) -> list[dict[str, str]]:
    """Read lines with image, label, maybe sha256 and labeled_by: a CSV, or Label Studio's JSON."""
    if Path(path).suffix != ".json":
        return read_label_table(path)
    try:
        exported = read_regular_file(path, MAX_FILE_BYTES)
        tasks = TypeAdapter(list[_Task]).validate_json(exported)
        return [line for task in tasks for line in task.lines()]
    except (OSError, ValueError) as error:
        raise AnnotationsError(
            f"{path} must be what Label Studio exports as JSON (not JSON-MIN) of the tasks that "
            "`fewlabel export-tasks` made, but reading it ended with "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error


def import_labels(path: str, queries: Queries, person: str) -> int:
    """Add the labels of a file to those in labels.csv, all or none; return how many are new.

    The person gave those of which the file does not say who did.

    Raises
    ------
    FewlabelError
        If the file cannot be read, names an image that is not there or has changed, or something
        that is no class, or contradicts itself or a label that is there. All contradictions are
        named.
    """
    there = queries.read_agreed()
    imported = [_annotation(line, queries, person) for line in read_labels(path)]
    queries.check(imported, path)
    said: Annotations = {}
    for annotations, source in ((imported, path), (there.values(), queries.path)):
        for a in annotations:
            named = a._replace(labeled_by=f"{a.labeled_by or SOMEBODY} in {source}")
            said.setdefault(a.image, []).append(named)
    if found := contradictions(said):
        raise AnnotationsError(
            f"{path} has labels that contradict each other, or those in {queries.path}: "
            f"{describe(found)}; keep one label of each"
        )
    new = {a.image: a for a in reversed(imported) if a.image not in there}
    queries.save((annotation, []) for annotation in new.values())
    return len(new)


def _annotation(line: dict[str, str], queries: Queries, person: str) -> Annotation:
    image = posixpath.normpath(line["image"])  # as of dataset.folder.test_labels
    sha256 = line.get("sha256") or queries.content.get(image, "")
    labeled_by = clean_name(line.get("labeled_by") or "") or person
    return queries.locate(Annotation(image, sha256, line["label"], now(), labeled_by))
