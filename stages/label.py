"""Label the representative of each cluster."""

import numpy as np

from fewlabel.annotation.answers import (
    ANSWERS_FILE,
    NO_CLASS,
    NO_LABEL,
    NOT_SURE,
    AnswersError,
    read_questions,
)
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_json, save_array, verified, write


def main(params: Params) -> None:
    """Write labels and which images are to get none, and a contact sheet to look at.

    data/representatives/labels.npy and excluded.npy are of shape (n_images,), the first with -1
    where unlabeled, the second of bool.

    Raises
    ------
    fewlabel.annotation.answers.AnswersError
        If people have not labeled all representatives, contradict each other, or labeled other
        images.
    """
    from fewlabel.annotation.contact_sheet import draw_contact_sheet
    from fewlabel.selection.oracle import oracle_labels

    error_rate, seed = params.label.oracle_error_rate, params.seed
    assignment = load_array("data/clusters/assignment.npy")
    if params.label.source == "human":
        labels, excluded = _ask_people()
    else:
        representatives = load_array("data/clusters/representatives.npy")
        true_labels = load_array("data/raw/train_labels.npy")
        labels = oracle_labels(true_labels, representatives, error_rate=error_rate, seed=seed)
        excluded = np.zeros(len(labels), bool)
    save_array("data/representatives/labels.npy", labels)
    save_array("data/representatives/excluded.npy", excluded)

    labeled = np.flatnonzero(labels >= 0)
    images = load_array("data/raw/train_images.npy", mmap_mode="r")[labeled]
    sizes = np.bincount(assignment)[assignment[labeled]]
    names = load_json(verified("data/raw/class_names.json"))
    figure = draw_contact_sheet(images, labels[labeled], sizes, names)
    write("metrics/contact_sheet.png", figure.savefig)


def _ask_people() -> tuple[np.ndarray, np.ndarray]:
    from fewlabel.annotation.queries import human_labels

    questions = read_questions()
    answers = questions.answers()
    if left := questions.left(answers):
        raise AnswersError(
            f"{len(left)} of {len(questions.representatives)} images have no label yet; "
            f"run `make label`, then `dvc repro` again{_hint(questions)}"
        )
    given = np.array([answer.label for answer in answers.values()])
    if len(set(given) - {*NO_LABEL}) < 2:
        raise AnswersError(
            f"{ANSWERS_FILE} has labels of fewer than two classes, and a classifier needs two; "
            "change some with `make label`, or raise label_budget"
        )
    class_of = {name: i for i, name in enumerate(questions.class_names)}
    return human_labels(
        questions.assignment,
        np.array([questions.position[image] for image in answers]),
        np.array([class_of.get(label, -1) for label in given]),
        given == NOT_SURE,
        given == NO_CLASS,
    )


def _hint(questions):
    lost = len(questions.lost_answers())
    return f" ({lost} were answered here before: `fewlabel restore-labels`)" if lost else ""


if __name__ == "__main__":
    run_stage(main)
