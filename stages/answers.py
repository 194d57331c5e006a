"""What people answered: data/labels/labels.csv, safe against crashes and other writers."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock

from fewlabel.errors import FewlabelError
from fewlabel.labeling import still_to_ask
from stages.artifacts import load_json, write

ANSWERS_FILE = "data/labels/labels.csv"
NOT_SURE = "?"
"""In place of a label: the cluster of this image is not propagated."""
NO_CLASS = "!"
"""In place of a label: this is no image of a class, and gets no label."""

NO_LABEL = (NOT_SURE, NO_CLASS)

_NAMED = 3  # images that a message names


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
    """

    image: str
    sha256: str
    label: str
    labeled_at: str


class AnswersError(FewlabelError):
    """labels.csv is not what it must be, or does not fit the images."""


class ConflictError(Exception):
    """Somebody else has answered meanwhile; `answer` is theirs, or None if they took it back."""

    def __init__(self, answer: Answer | None):
        super().__init__(answer)
        self.answer = answer


def now() -> str:
    """Time of an answer, in microseconds so that two answers differ."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def read_answers(path: str | Path = ANSWERS_FILE) -> dict[str, Answer]:
    """Image -> its answer, oldest first; empty where there is no file.

    Raises
    ------
    AnswersError
        If a column is missing, an image is there twice, or DVC tracks the file and it is not here.
    """
    answers = {}
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in Answer._fields if name not in (reader.fieldnames or [])]
            if missing:
                raise AnswersError(
                    f"{path} has no column {missing[0]}; it must have {', '.join(Answer._fields)}"
                )
            for row in reader:
                answer = Answer(*(row[name] or "" for name in Answer._fields))
                if answer.image in answers:
                    raise AnswersError(
                        f"{path} has two lines for {answer.image}, but must have one"
                    )
                answers[answer.image] = answer
    except FileNotFoundError:
        if Path(f"{path}.dvc").exists():
            raise AnswersError(f"{path} is not here, but tracked; run `dvc pull {path}`") from None
        return {}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AnswersError(f"{path} cannot be read: {error}") from error
    return answers


def save_answers(changes: Iterable[tuple[Answer | None, Answer | None]], path=ANSWERS_FILE) -> None:
    """Change answers, all or none of them; they are on disk when this returns.

    Parameters
    ----------
    changes
        Pairs of an answer as it was seen, None where there was none, and what takes its place,
        None to take it back.
    path
        The file.

    Raises
    ------
    ConflictError
        If an answer is not what was seen: somebody else has changed it.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with FileLock(Path(path).with_name(f".{Path(path).name}.lock")):
        answers = read_answers(path)
        for seen, answer in changes:
            image = (seen or answer).image
            if answers.pop(image, None) != seen:
                raise ConflictError(read_answers(path).get(image))
            if answer:
                answers[image] = answer

        def write_all(temporary):
            with temporary.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(Answer._fields)
                writer.writerows(answers.values())
                file.flush()
                os.fsync(file.fileno())

        write(path, write_all)


def track_answers() -> None:
    """Have DVC track labels.csv, so that `dvc push` takes it along."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "add", "--quiet", ANSWERS_FILE], check=False
    )
    if done.returncode:
        print(f"The labels are saved, but not tracked yet: run `dvc add {ANSWERS_FILE}`.")


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

    def left(self, answers: dict[str, Answer]) -> list[int]:
        """Positions of the images that are left to ask about, the most important first."""
        answered = np.array([self.position[image] for image in answers], int)
        return still_to_ask(self.assignment, self.representatives, answered).tolist()

    def answers(self, path: str | Path = ANSWERS_FILE) -> dict[str, Answer]:
        """Read the answers and check that they are of these images and classes.

        Raises
        ------
        AnswersError
            As `read_answers` and `check` do.
        """
        answers = read_answers(path)
        self.check(answers, path)
        return answers

    def check(self, answers: dict[str, Answer], path: str | Path = ANSWERS_FILE) -> None:
        """Refuse answers, read from `path`, that are not of these images and classes.

        Raises
        ------
        AnswersError
            If an image is gone, has changed since it was labeled, or its label is no class.
        """
        wrong = [a for a in answers.values() if a.label not in (*self.class_names, *NO_LABEL)]
        advice = f"a label must be one of {', '.join(self.class_names)}, or ? or !"
        _refuse(wrong, f"{path} calls no class", advice)
        advice = (
            "put the images back as they were, or delete these lines (data/raw/left_out.csv has "
            "the files that are not used, and why)"
        )
        gone = [a for a in answers.values() if a.image not in self.position]
        _refuse(gone, f"{path} labels images that are not there", advice)
        changed = [a for a in answers.values() if self.sha256[self.position[a.image]] != a.sha256]
        _refuse(changed, f"{path} labels images that changed since", advice)


def _refuse(wrong: list[Answer], what: str, advice: str) -> None:
    if wrong:
        named = ", ".join(f"{a.image} ({a.label})" for a in wrong[:_NAMED])
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise AnswersError(f"{what}: {named}{more}; {advice}")


def read_questions() -> Questions:
    """Read them from what the pipeline's stages wrote.

    Raises
    ------
    AnswersError
        If these stages have not run.
    """
    try:
        with Path("data/raw/train_files.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assignment = np.load("data/clusters/assignment.npy")
        representatives = np.load("data/clusters/representatives.npy")
        class_names = load_json("data/raw/class_names.json")
    except FileNotFoundError as error:
        raise AnswersError(f"{error.filename} is missing; run `dvc repro cluster` first") from error
    names, sha256 = ([row[column] for row in rows] for column in ("image", "sha256"))
    return Questions(names, sha256, class_names, assignment, representatives)
