"""Settle what different people answered differently."""

from pathlib import Path

from fewlabel.annotation.answers import (
    ANSWERS_FILE,
    Answer,
    AnswersError,
    ConflictError,
    Questions,
    age,
    save_answers,
)

LATEST = "latest"


def settle_labels(
    whose: str, questions: Questions, path: str | Path = ANSWERS_FILE
) -> tuple[int, dict[str, list[Answer]]]:
    """Keep one answer of each contradiction.

    Parameters
    ----------
    whose
        `LATEST`, or the name of the person whose answers are kept.
    questions
    path
        Of the answers.

    Returns
    -------
    n_settled : int
    unsettled : dict of str to list of Answer
        Contradictions that stay: this person gave no answer, or two are equally late.

    Raises
    ------
    AnswersError
        If the file cannot be read, or somebody else changes it meanwhile.
    """
    contradictions = questions.locate_answers(path).contradictions
    chosen = {image: _choose(answers, whose) for image, answers in contradictions.items()}
    settled = {image: answer for image, answer in chosen.items() if answer}
    try:
        changes = ((contradictions[image], answer) for image, answer in settled.items())
        save_answers(changes, questions, path)
    except ConflictError as error:
        raise AnswersError(f"{path} changed meanwhile; settle it again") from error
    return len(settled), {i: found for i, found in contradictions.items() if i not in settled}


def _choose(answers, whose):
    if whose == LATEST:
        latest = max(age(answer)[0] for answer in answers)
        candidates = [answer for answer in answers if age(answer)[0] == latest]
    else:
        candidates = [answer for answer in answers if answer.labeled_by == whose]
    return candidates[0] if len({answer.label for answer in candidates}) == 1 else None
