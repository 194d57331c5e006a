"""Answers are kept whole, and only for the images that they were given for."""

import multiprocessing

import numpy as np
import pytest

from stages.answers import (
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

N_IMAGES = 12
QUESTIONS = Questions(
    names=[f"é {i}.png" for i in range(N_IMAGES)],
    sha256=[f"{i:064}" for i in range(N_IMAGES)],
    class_names=["cat", "dog"],
    assignment=np.arange(N_IMAGES) // 3,
    representatives=np.arange(0, N_IMAGES, 3),
)


def answer(i, label="cat"):
    return Answer(QUESTIONS.names[i], QUESTIONS.sha256[i], label, now())


def test_answers_are_saved_replaced_and_taken_back(tmp_path):
    path = tmp_path / "labels" / "labels.csv"
    assert read_answers(path) == {}
    first, second = answer(0), answer(1, NOT_SURE)
    save_answers([(None, first), (None, second)], path)
    assert list(read_answers(path).values()) == [first, second]
    changed = answer(0, "dog")
    save_answers([(first, changed)], path)
    assert read_answers(path) == {changed.image: changed, second.image: second}
    save_answers([(second, None)], path)
    assert list(read_answers(path).values()) == [changed]
    assert path.read_text(encoding="utf-8").splitlines()[0] == "image,sha256,label,labeled_at"


def test_nothing_is_saved_where_somebody_else_was_first(tmp_path):
    path = tmp_path / "labels.csv"
    theirs = answer(0, "dog")
    save_answers([(None, theirs)], path)
    for seen, mine in ((None, answer(0)), (answer(0), answer(0)), (answer(0), None)):
        with pytest.raises(ConflictError) as conflict:
            save_answers([(None, answer(1)), (seen, mine)], path)
        assert conflict.value.answer == theirs
    assert list(read_answers(path).values()) == [theirs]


def save_some(path, numbers):
    for i in numbers:
        save_answers([(None, Answer(f"{i}.png", "0" * 64, "cat", now()))], path)


def test_several_processes_lose_and_double_nothing(tmp_path):
    path = tmp_path / "labels.csv"
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=save_some, args=(path, range(start, 100, 4))) for start in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    images = [line.split(",")[0] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    assert sorted(images) == sorted(f"{i}.png" for i in range(100))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,label\n", "no column sha256"),
        ("", "no column image"),
        ("image,sha256,label,labeled_at\na,1,cat,\na,1,dog,\n", "two lines for a"),
        (b"image,sha256,label,labeled_at\n\xff\n", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, words):
    path = tmp_path / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(AnswersError, match=words):
        read_answers(path)


def test_answers_of_these_images_are_accepted():
    given = {a.image: a for a in [answer(3), answer(1, NO_CLASS)]}
    QUESTIONS.check(given)
    assert QUESTIONS.left(given) == [6, 9]


def test_tracked_answers_must_be_pulled(tmp_path):
    (tmp_path / "labels.csv.dvc").write_text("outs: []")
    with pytest.raises(AnswersError, match=r"not here, but tracked; run `dvc pull"):
        read_answers(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"image": "gone.png"}, "images that are not there: gone.png (cat)"),
        ({"sha256": "f" * 64}, "images that changed since: é 1.png (cat)"),
        ({"label": "cow"}, "calls no class: é 1.png (cow); a label must be one of cat, dog"),
    ],
)
def test_answers_of_other_images_are_refused_by_name(wrong, words):
    given = [answer(0), answer(1)._replace(**wrong)]
    with pytest.raises(AnswersError) as raised:
        QUESTIONS.check({a.image: a for a in given})
    assert words in str(raised.value)
