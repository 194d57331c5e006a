"""Labels by way of other tools: Label Studio's JSON, and plain CSV."""

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from stages.answers import (
    ANSWERS_FILE,
    NO_CLASS,
    NOT_SURE,
    Answer,
    AnswersError,
    ConflictError,
    Questions,
    now,
    read_answers,
    save_answers,
)
from stages.image_files import read_label_table

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
        As `labeling.images.png_reader` makes it.
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
    """Read lines with image, label and maybe sha256, from Label Studio's JSON export or a CSV.

    Of several annotations of a task, the last one that was not cancelled counts.

    Raises
    ------
    FewlabelError
        If the file is neither.
    """
    if Path(path).suffix != ".json":
        return read_label_table(path)
    try:
        tasks = json.loads(Path(path).read_text(encoding="utf-8"))
        return [
            {"image": task["data"]["name"], "label": label, "sha256": task["data"]["sha256"]}
            for task in tasks
            if (label := _choice(task)) is not None
        ]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise AnswersError(
            f"{path} must be what Label Studio exports as JSON (not JSON-MIN) of the tasks that "
            f"`fewlabel export-tasks` made, but reading it ended with {error!r}"
        ) from error


def _choice(task: dict[str, Any]) -> str | None:
    given = [a for a in task["annotations"] if not a.get("was_cancelled") and a["result"]]
    if not given:
        return None
    choice = given[-1]["result"][0]["value"]["choices"][0]
    return WITHOUT_LABEL.get(choice, choice)


def import_labels(path: str, questions: Questions) -> int:
    """Add the labels of a file to those in labels.csv, all or none; return how many are new.

    Raises
    ------
    FewlabelError
        If the file cannot be read, names an image that is not there or has changed, or something
        that is no class, or contradicts itself or a label that is there.
    """
    there = read_answers()
    new = {}
    for line in read_labels(path):
        image, label = line["image"], line["label"]
        position = questions.position.get(image)
        content = "" if position is None else questions.sha256[position]
        answer = Answer(image, line.get("sha256") or content, label, now())
        for other, where in ((there.get(image), ANSWERS_FILE), (new.get(image), path)):
            if other and other.label != label:
                raise AnswersError(
                    f"{path} calls {image} {label}, but {where} calls it {other.label}; delete one "
                    "of these lines"
                )
        if image not in there:
            new[image] = answer
    questions.check(new, path)
    try:
        save_answers((None, answer) for answer in new.values())
    except ConflictError as error:
        raise AnswersError(f"{ANSWERS_FILE} changed meanwhile; import {path} again") from error
    return len(new)
