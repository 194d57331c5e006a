"""Which image to ask about next, and what becomes of an answer."""

import threading
import time
from pathlib import Path

import numpy as np

from fewlabel.annotation.answers import (
    ANSWERS_FILE,
    NO_LABEL,
    SOMEBODY,
    Answer,
    Answers,
    ConflictError,
    Questions,
    now,
    save_answers,
)

N_MEMBERS = 6
"""Nearest images of a cluster that are shown, and as many of the farthest."""
LEASE_SECONDS = 60


class LabelingSession:
    """What several people, each in a tab, are asked and answer.

    Parameters
    ----------
    questions : Questions
    distance : ndarray of shape (n_images,)
        To the centroid of the image's cluster.
    person : str
        Who answers.
    path : str or Path, default=ANSWERS_FILE
        Where answers are kept.

    Raises
    ------
    fewlabel.annotation.answers.AnswersError
        If the answers there cannot be read, or are of other images.
    """

    def __init__(
        self,
        questions: Questions,
        distance: np.ndarray,
        person: str,
        path: str | Path = ANSWERS_FILE,
    ):
        self.questions = questions
        self._person = person
        self._distance = distance
        self._path = path
        self._lock = threading.Lock()
        self._asked = {}  # image -> tab that was shown it, and when
        self.n_left()

    def n_left(self) -> int:
        """Return how many images are left to label, contradictory ones included."""
        return len(self._left(self.questions.read_answers(self._path)))

    def state(self, tab: str) -> dict:
        """Everything that the page shows to one tab: progress, the next image, and all answers."""
        questions, answers = self.questions, self.questions.read_answers(self._path)
        left = self._left(answers)
        upcoming = self._reserve(left, tab)
        return {
            "classes": questions.class_names,
            "left": len(left),
            "budget": len(questions.representatives),
            "question": self._pending(upcoming[0], answers) if upcoming else None,
            "upcoming": upcoming[1:3],
            "answers": [
                {"position": questions.position[image], "label": a.label, "seen": [a.labeled_at]}
                for image, a in answers.given.items()
            ],
        }

    def question(self, position: int) -> dict:
        """One image, and who it stands for: the nearest and farthest of its cluster."""
        cluster = np.flatnonzero(self.questions.assignment == self.questions.assignment[position])
        others = cluster[cluster != position]
        others = others[np.argsort(self._distance[others], kind="stable")].tolist()
        return {
            "position": position,
            "name": self.questions.names[position],
            "cluster_size": len(cluster),
            "nearest": others[:N_MEMBERS],
            "farthest": others[N_MEMBERS:][-N_MEMBERS:],
        }

    def answer(self, position: int, label: str | None, seen: list[str]) -> None:
        """Save an answer; it is on disk when this returns.

        Parameters
        ----------
        position
            Of the image.
        label
            Name of a class, `NOT_SURE` or `NO_CLASS`; None takes the answer back.
        seen
            Times of the answers that are replaced, none where there was none.

        Raises
        ------
        ValueError
            If there is no such image or label.
        ConflictError
            If the image has other answers than those that were seen.
        """
        questions = self.questions
        if not isinstance(position, int) or not 0 <= position < len(questions.names):
            raise ValueError(f"there is no image {position!r}")
        if label not in (*questions.class_names, *NO_LABEL, None):
            raise ValueError(f"{label!r} is no class")
        image = questions.names[position]
        before = questions.read_answers(self._path).of_image.get(image, [])
        if [answer.labeled_at for answer in before] != seen:
            raise ConflictError(before)
        after = label and Answer(image, questions.sha256[position], label, now(), self._person)
        save_answers([(before, after)], questions, self._path)

    def _left(self, answers: Answers):
        """Positions of contradictory images, which wait for somebody to settle them, and others."""
        contradictory = [self.questions.position[image] for image in answers.contradictions]
        return contradictory + self.questions.left(answers.of_image)

    def _pending(self, position: int, answers: Answers) -> dict:
        """One image that is left to ask about, and what people said of it who disagree."""
        found = answers.of_image.get(self.questions.names[position], [])
        return self.question(position) | {
            "seen": [answer.labeled_at for answer in found],
            "contradiction": [
                {"label": answer.label, "by": answer.labeled_by or SOMEBODY} for answer in found
            ],
        }

    def _reserve(self, left, tab):
        """Put what no other tab shows first, and keep that for this one."""
        with self._lock:
            recent = time.monotonic() - LEASE_SECONDS
            elsewhere = {i for i, (by, at) in self._asked.items() if by != tab and at > recent}
            upcoming = sorted(left, key=lambda i: i in elsewhere)
            if upcoming:
                self._asked[upcoming[0]] = tab, time.monotonic()
            return upcoming
