"""Labels by way of other tools: Label Studio's JSON, and plain CSV."""

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from fewlabel.annotation.answers import (
    ANSWERS_FILE,
    NO_CLASS,
    NOT_SURE,
    SOMEBODY,
    Answer,
    AnswersError,
    ConflictError,
    Questions,
    describe_contradictions,
    now,
    save_answers,
)
from fewlabel.annotation.person import clean_name
from fewlabel.datasets.image_files import MAX_FILE_BYTES, read_label_table
from fewlabel.regular_files import read_regular_file
from fewlabel.text import one_line

WITHOUT_LABEL = {"not sure": NOT_SURE, "no image of a class": NO_CLASS}
"""Choice in Label Studio -> what labels.csv has for it."""


def label_studio_tasks(
    questions: Questions, read_image: Callable[[int, bool], bytes]
) -> list[dict]:
    """Tasks to import into Label Studio: the images that are left to ask about, embedded.

    Parameters
    ----------
    questions
    read_image
        As `fewlabel.web.images.png_reader` makes it.
    """
    return [
        {
            "data": {
                "image": f"data:image/png;base64,{b64encode(read_image(i, False)).decode()}",
                "name": questions.names[i],
                "sha256": questions.sha256[i],
            }
        }
        for i in questions.left(questions.answers())
    ]


def label_studio_interface(class_names: list[str]) -> str:
    """Labeling interface for these tasks, as Label Studio's project settings take it."""
    choices = [f"    <Choice value={quoteattr(name)}/>" for name in [*class_names, *WITHOUT_LABEL]]
    lines = [
        "<View>",
        '  <Image name="image" value="$image"/>',
        '  <Choices name="label" toName="image" choice="single" required="true">',
        *choices,
        "  </Choices>",
        "</View>",
    ]
    return "\n".join(lines) + "\n"


def read_labels(path: str) -> list[dict[str, str]]:
    """Read lines with image and label, from Label Studio's JSON export or a CSV.

    They may have sha256 and labeled_by. Of several annotations of a task by the same person, the
    last one that was not cancelled counts.

    Raises
    ------
    FewlabelError
        If the file is neither.
    """
    if Path(path).suffix != ".json":
        return read_label_table(path)
    try:
        tasks = json.loads(read_regular_file(path, MAX_FILE_BYTES))
        return [line for task in tasks for line in _read_task(task)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise AnswersError(
            f"{path} must be what Label Studio exports as JSON (not JSON-MIN) of the tasks that "
            "`fewlabel export-tasks` made, but reading it ended with "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error


def _read_task(task: dict[str, Any]) -> list[dict[str, str]]:
    given = [a for a in task["annotations"] if not a.get("was_cancelled") and a["result"]]
    given.sort(key=lambda a: a.get("updated_at") or a.get("created_at") or "")
    last = {_annotator(annotation): annotation for annotation in given}
    data = task["data"]
    return [
        {
            "image": _text(data["name"]),
            "label": _choice(annotation),
            "sha256": _text(data["sha256"]),
            "labeled_by": person,
        }
        for person, annotation in last.items()
    ]


def _choice(annotation: dict[str, Any]) -> str:
    choice = _text(annotation["result"][0]["value"]["choices"][0])
    return WITHOUT_LABEL.get(choice, choice)


def _annotator(annotation: dict[str, Any]) -> str:
    person = annotation.get("completed_by")
    if isinstance(person, dict):
        person = person.get("email") or person["id"]
    return "" if person is None else str(person)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def import_labels(path: str, questions: Questions, person: str) -> int:
    """Add the labels of a file to those in labels.csv, all or none; return how many are new.

    Parameters
    ----------
    path
        A CSV, or Label Studio's JSON.
    questions
    person
        Who gave the labels of which the file does not say it.

    Raises
    ------
    FewlabelError
        If the file cannot be read, names an image that is not there or has changed, or something
        that is no class, or contradicts itself or a label that is there. All contradictions are
        named.
    """
    there = questions.answers()
    imported = [_as_answer(line, questions, person) for line in read_labels(path)]
    questions.check(imported, path)
    said = {}
    for answer in imported:
        source = f"{answer.labeled_by or SOMEBODY} in {path}"
        said.setdefault(answer.image, []).append(answer._replace(labeled_by=source))
    for image in said.keys() & there.keys():
        source = f"{there[image].labeled_by or SOMEBODY} in {ANSWERS_FILE}"
        said[image].append(there[image]._replace(labeled_by=source))
    contradictions = {
        image: answers for image, answers in said.items() if len({a.label for a in answers}) > 1
    }
    if contradictions:
        raise AnswersError(
            f"{path} has labels that contradict each other, or those in {ANSWERS_FILE}: "
            f"{describe_contradictions(contradictions)}; keep one label of each"
        )
    new = {answer.image: answer for answer in reversed(imported) if answer.image not in there}
    try:
        save_answers((([], answer) for answer in new.values()), questions)
    except ConflictError as error:
        raise AnswersError(f"{ANSWERS_FILE} changed meanwhile; import {path} again") from error
    return len(new)


def _as_answer(line: dict[str, str], questions: Questions, person: str) -> Answer:
    image = line["image"] or ""
    position = questions.position.get(image)
    content = "" if position is None else questions.sha256[position]
    labeled_by = clean_name(line.get("labeled_by") or "") or person
    answer = Answer(image, line.get("sha256") or content, line["label"], now(), labeled_by)
    return questions.locate(answer)
