"""What people answered: data/annotations/labels.csv, safe against crashes and other writers.

Git tracks the file and merges it by keeping the lines of both sides, so an image may have several
lines. `Questions.read_answers` says what counts then. Such a merge has limits. An answer that was
taken back in one clone returns if the other changed the line beside it. A contradiction that one
clone settled returns if both had merged it on their own. An answer that one person replaced by
their own may contradict it again. The page shows all of these.

Git and DVC replace the file when they check out something older, so every answer is also noted in a
journal beside it that neither of them sees.
"""

import csv
import io
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock

from fewlabel.annotation.queries import still_to_ask
from fewlabel.datasets.training_files import read_training_files
from fewlabel.errors import FewlabelError
from fewlabel.storage import load_array, load_json, verified, write

ANSWERS_FILE = "data/annotations/labels.csv"
JOURNAL = ".given.csv"
"""Beside the answers: a line for each answer ever given here, with no label if taken back."""
NOT_SURE = "?"
"""In place of a label: the cluster of this image is not propagated."""
NO_CLASS = "!"
"""In place of a label: this is no image of a class, and gets no label."""

NO_LABEL = (NOT_SURE, NO_CLASS)

SOMEBODY = "somebody"
"""Name in messages where nobody knows who answered."""

_NAMED = 3  # images that a message names
_CONFLICT_MARKER = re.compile(r"^(<<<<<<<|>>>>>>>)( |\r?$)", re.MULTILINE)


class Answer(NamedTuple):
    """A line of labels.csv.

    Attributes
    ----------
    image : str
        As in data/raw/train_files.csv.
    sha256 : str
        Of the image's content when it was labeled, hexadecimal.
    label : str
        Name of a class, `NOT_SURE` or `NO_CLASS`.
    labeled_at : str
        ISO 8601, UTC.
    labeled_by : str
        Who gave it; empty where nobody knows.
    """

    image: str
    sha256: str
    label: str
    labeled_at: str
    labeled_by: str = ""


@dataclass(frozen=True)
class Answers:
    """What labels.csv says.

    Attributes
    ----------
    of_image : dict of str to list of Answer
        Image -> its answer; where people contradict each other, one of each. Oldest first.
    """

    of_image: dict[str, list[Answer]]

    @cached_property
    def given(self) -> dict[str, Answer]:
        """Image -> its answer, for images of which there is no contradiction."""
        return {image: found[0] for image, found in self.of_image.items() if len(found) == 1}

    @cached_property
    def contradictions(self) -> dict[str, list[Answer]]:
        """Image -> what different people answered."""
        return {image: found for image, found in self.of_image.items() if len(found) > 1}

    def __iter__(self):
        return (answer for found in self.of_image.values() for answer in found)


class AnswersError(FewlabelError):
    """labels.csv is not what it must be, or does not fit the images."""


class ConflictError(Exception):
    """Somebody else has answered meanwhile; `answers` are what is there now."""

    def __init__(self, answers: list[Answer]):
        super().__init__(answers)
        self.answers = answers


def now() -> str:
    """Time of an answer, in microseconds so that two answers differ."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def age(answer: Answer) -> tuple:
    """Return what sorts answers oldest first, the same way in every clone."""
    try:
        time = datetime.fromisoformat(answer.labeled_at)
    except ValueError:
        time = datetime.min
    return (time if time.tzinfo else time.replace(tzinfo=UTC)), *answer


def describe_contradictions(contradictions: dict[str, list[Answer]]) -> str:
    """Name every image, each of its labels and who gave it."""
    return ", ".join(
        f"{image} ({', '.join(f'{a.label} by {a.labeled_by or SOMEBODY}' for a in answers)})"
        for image, answers in contradictions.items()
    )


def save_answers(
    changes: Iterable[tuple[list[Answer], Answer | None]],
    questions: "Questions",
    path: str | Path = ANSWERS_FILE,
) -> None:
    """Change answers, all or none of them; they are on disk when this returns.

    Parameters
    ----------
    changes
        Pairs of an image's answers as they were seen, which may be none, one or contradictory, and
        what takes their place, None to take them back.
    questions
        Where images that were renamed are found.
    path
        The file.

    Raises
    ------
    ConflictError
        If the answers are not what was seen: somebody else has changed them.
    AnswersError
        If the file cannot be read or written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with FileLock(Path(path).with_name(f".{Path(path).name}.lock")):
            of_image = questions.locate_answers(path).of_image
            there, noted = dict(of_image), []
            for seen, answer in changes:
                image = (*seen, answer)[0].image
                if of_image.pop(image, []) != seen:
                    raise ConflictError(there.get(image, []))
                if answer:
                    of_image[image] = [answer]
                noted.append(answer or seen[0]._replace(label="", labeled_at=now()))
            journal = Path(path).with_name(JOURNAL)
            # Whole, as a line that a full disk cut off would break all that follow.
            _write_lines([*_read_lines(journal), *noted], journal)
            # In an order that does not depend on who labeled when, git can compare lines.
            _write_lines(sorted(Answers(of_image), key=lambda a: (a.image, age(a))), path)
    except OSError as error:
        raise AnswersError(f"{path} cannot be written: {error.strerror or error}") from error


def _write_lines(lines, path):
    def write_all(temporary):
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(Answer._fields)
            writer.writerows(lines)
            file.flush()
            os.fsync(file.fileno())

    write(path, write_all)
    # Else a power failure could take the new name back, and the answer with it.
    folder = os.open(Path(path).parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _read_lines(path):
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
        if _CONFLICT_MARKER.search(text):
            raise AnswersError(
                f"{path} has the markers of a merge conflict; delete the lines that start with "
                "<<<<<<<, ======= and >>>>>>>, and keep the others"
            )
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(reader, [])
        for name in Answer._fields[:-1]:  # older files do not say who answered
            if name not in header:
                raise AnswersError(
                    f"{path} has no column {name}; it must have {', '.join(Answer._fields)}"
                )
        columns = [header.index(name) for name in Answer._fields if name in header]
        lines = []
        for row in filter(None, reader):
            if row == header:
                raise AnswersError(
                    f"{path}, line {reader.line_num}, is a second header, but one is allowed; "
                    "delete it"
                )
            if len(row) != len(header):
                raise AnswersError(
                    f"{path}, line {reader.line_num}, has {len(row)} values, but must have "
                    f"{len(header)}, as its header has"
                )
            lines.append(Answer(*(row[i] for i in columns)))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AnswersError(f"{path} cannot be read: {error}") from error
    return lines


def _that_count(lines):
    """Return which of an image's lines count, oldest first: one, or those that contradict."""
    if all(line.label == lines[0].label for line in lines[1:]):
        return lines[:1]
    last = {line.labeled_by: line.labeled_at for line in lines}
    # Nobody knows whether two people without a name are the same.
    kept = [a for a in lines if not a.labeled_by or a.labeled_at == last[a.labeled_by]]
    first = {}
    for line in kept:
        first.setdefault((line.label, line.labeled_by), line)
    return kept[:1] if len({label for label, _ in first}) == 1 else list(first.values())


@dataclass(frozen=True)
class Questions:
    """The images that people are asked about.

    Attributes
    ----------
    names, sha256 : list of str
        Of each training image, from data/raw/train_files.csv.
    class_names : list of str
    assignment : ndarray of shape (n_images,), int
        Cluster of each image.
    representatives : ndarray of shape (n_clusters,), int
    """

    names: list[str]
    sha256: list[str]
    class_names: list[str]
    assignment: np.ndarray
    representatives: np.ndarray

    @cached_property
    def position(self) -> dict[str, int]:
        """Name of an image -> its position."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def _name_of_content(self) -> dict[str, str]:
        """SHA-256 -> name of the first image with this content."""
        return dict(zip(reversed(self.sha256), reversed(self.names), strict=True))

    def locate(self, answer: Answer) -> Answer:
        """Return the answer under the name that its image's content has now, if it is anywhere."""
        position = self.position.get(answer.image)
        if position is not None and self.sha256[position] == answer.sha256:
            return answer
        return answer._replace(image=self._name_of_content.get(answer.sha256, answer.image))

    def left(self, answered: Iterable[str]) -> list[int]:
        """Positions of the images that are left to ask about, the most important first."""
        positions = np.array([self.position[image] for image in answered], int)
        return still_to_ask(self.assignment, self.representatives, positions).tolist()

    def locate_answers(self, path: str | Path = ANSWERS_FILE) -> Answers:
        """Read what counts of all lines, each found by the content of its image.

        Of the lines of an image that agree, the oldest counts, and of one person's, the latest.

        Raises
        ------
        AnswersError
            If a column is missing, or a merge left what is no line.
        """
        lines = {}
        for line in sorted(map(self.locate, _read_lines(path)), key=age):
            lines.setdefault(line.image, []).append(line)
        counting = sorted(map(_that_count, lines.values()), key=lambda found: age(found[0]))
        return Answers({found[0].image: found for found in counting})

    def read_answers(self, path: str | Path = ANSWERS_FILE) -> Answers:
        """Read the answers, contradictory ones too, if they are of these images and classes.

        Raises
        ------
        AnswersError
            As `locate_answers` and `check` do.
        """
        answers = self.locate_answers(path)
        self.check(answers, path)
        return answers

    def answers(self, path: str | Path = ANSWERS_FILE) -> dict[str, Answer]:
        """Read the answers where none may contradict another: image -> its answer, oldest first.

        Raises
        ------
        AnswersError
            As `read_answers` does, and if there are contradictions; it names all of them.
        """
        answers = self.read_answers(path)
        refuse_contradictions(answers.contradictions, path)
        return answers.given

    def lost_answers(
        self, path: str | Path = ANSWERS_FILE
    ) -> list[tuple[list[Answer], Answer | None]]:
        """Find answers that were given here for these images, and are not in the file any more.

        Returns
        -------
        list of (list of Answer, Answer)
            As `save_answers` takes them: what the file has now, and what was given later.
        """
        there = self.locate_answers(path).of_image
        last = {a.image: a for a in map(self.locate, _read_lines(Path(path).with_name(JOURNAL)))}
        return [
            (there.get(image, []), answer)
            for image, answer in last.items()
            if self.position.get(image) is not None
            and self.sha256[self.position[image]] == answer.sha256
            and answer.label
            and all(age(found)[0] < age(answer)[0] for found in there.get(image, []))
        ]

    def check(self, answers: Iterable[Answer], path: str | Path = ANSWERS_FILE) -> None:
        """Refuse answers, read from `path`, that are not of these images and classes.

        Raises
        ------
        AnswersError
            If an image is gone, has changed since it was labeled, or its label is no class.
        """
        answers = list(answers)
        wrong = [a for a in answers if a.label not in (*self.class_names, *NO_LABEL)]
        advice = f"a label must be one of {', '.join(self.class_names)}, or ? or !"
        _refuse(wrong, f"{path} calls no class", advice)
        advice = (
            "put the images back as they were, or delete these lines (data/raw/skipped_files.csv "
            "has the files that are not used, and why)"
        )
        gone = [a for a in answers if a.image not in self.position]
        _refuse(gone, f"{path} labels images that are not there", advice)
        changed = [a for a in answers if self.sha256[self.position[a.image]] != a.sha256]
        _refuse(changed, f"{path} labels images that changed since", advice)


def refuse_contradictions(
    contradictions: dict[str, list[Answer]], path: str | Path = ANSWERS_FILE
) -> None:
    """Name all contradictions, if there are any, and how to settle them.

    Raises
    ------
    AnswersError
        If there are.
    """
    if contradictions:
        raise AnswersError(
            f"{path} has different labels from different people for "
            f"{describe_contradictions(contradictions)}; settle them with `make label`, or with "
            "`fewlabel settle-labels latest`, or by a person's name in place of latest"
        )


def _refuse(wrong: list[Answer], what: str, advice: str) -> None:
    if wrong:
        named = ", ".join(f"{a.image} ({a.label})" for a in wrong[:_NAMED])
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise AnswersError(f"{what}: {named}{more}; {advice}")


def read_questions() -> Questions:
    """Read them from what the pipeline's stages wrote.

    Raises
    ------
    fewlabel.storage.ArtifactError
        If these stages have not run, or their outputs were changed since.
    """
    assignment = load_array("data/clusters/assignment.npy")
    representatives = load_array("data/clusters/representatives.npy")
    class_names = load_json(verified("data/raw/class_names.json"))
    rows = read_training_files(len(assignment))
    names, sha256 = ([row[column] for row in rows] for column in ("image", "sha256"))
    return Questions(names, sha256, class_names, assignment, representatives)
