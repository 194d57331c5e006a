"""Annotations are kept whole, merged by git, and only for the images that they were given for."""

import json
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fewlabel.annotation.annotations import (
    ANNOTATIONS_FILE,
    JOURNAL,
    NO_CLASS,
    NOT_SURE,
    Annotation,
    AnnotationsError,
    ConflictError,
    contradictions,
    now,
)
from fewlabel.annotation.exchange import import_labels
from fewlabel.annotation.person import clean_name, current_person
from fewlabel.annotation.queries import Queries, settle_labels
from fewlabel.errors import FewlabelError
from fewlabel.web.session import LabelingSession

CHECKOUT = Path(__file__).parents[1]
HEADER = "image,sha256,label,labeled_at,labeled_by\n"
N_IMAGES = 12
QUERIES = Queries(
    names=[f"é {i:02}.png" for i in range(N_IMAGES)],
    sha256=[f"{i:064}" for i in range(N_IMAGES)],
    class_names=["cat", "dog"],
    assignment=np.arange(N_IMAGES) // 3,
    representatives=np.arange(0, N_IMAGES, 3),
)
EARLY, LATE = "2026-01-01T00:00:00.000000+00:00", "2026-01-02T00:00:00.000000+00:00"


def at(path, queries=QUERIES):
    """Return queries whose annotations are kept in another place."""
    return replace(queries, path=Path(path))


def annotation(i, label="cat", at=None, by="Ann"):
    return Annotation(QUERIES.names[i], QUERIES.sha256[i], label, now() if at is None else at, by)


def write_lines(path, *lines):
    text = "".join(",".join(line) + "\n" for line in lines)
    path.write_text(HEADER + text, encoding="utf-8")


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()[1:]


def said(found):
    """Return who said what."""
    return [(a.label, a.labeled_by) for a in found]


def test_annotations_are_saved_replaced_and_taken_back(tmp_path):
    path = tmp_path / "labels" / "labels.csv"
    assert at(path).read_agreed() == {}
    first, second = annotation(1), annotation(0, NOT_SURE)
    at(path).save([(first, []), (second, [])])
    assert list(at(path).read_agreed().values()) == [first, second]
    changed = annotation(1, "dog")
    at(path).save([(changed, [first.labeled_at])])
    assert list(at(path).read_agreed().values()) == [second, changed]  # oldest first
    assert path.read_text(encoding="utf-8") == HEADER + "".join(
        ",".join(line) + "\n" for line in (second, changed)
    )  # by name
    at(path).save([(annotation(0, ""), [second.labeled_at])])
    assert list(at(path).read_agreed().values()) == [changed]


def test_nothing_is_saved_where_somebody_else_was_first(tmp_path):
    path = tmp_path / "labels.csv"
    theirs = annotation(0, "dog")
    at(path).save([(theirs, [])])
    for mine, seen in ((annotation(0), []), (annotation(0), [now()]), (annotation(0, ""), [now()])):
        with pytest.raises(ConflictError, match=r"changed é 00\.png \(dog by Ann\) meanwhile"):
            at(path).save([(annotation(1), []), (mine, seen)])
    assert list(at(path).read_agreed().values()) == [theirs]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AnnotationsError, match=r"labels\.csv cannot be written: "):
        at(tmp_path / "file" / "labels.csv").save([(annotation(0), [])])


def test_an_annotation_that_finds_no_space_breaks_no_journal(tmp_path):
    path = tmp_path / "labels.csv"
    at(path).save([(annotation(0), [])])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (path.with_name(JOURNAL).stat().st_size + 20, limits[1])
    )
    with pytest.raises(FewlabelError, match=r"\.csv cannot be written: "):
        at(path).save([(annotation(1), [])])
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    at(path).save([(annotation(2), [])])
    path.unlink()
    restored = [new.image for new, _ in at(path).lost()]
    assert restored == [QUERIES.names[0], QUERIES.names[2]]


def test_a_label_of_a_class_that_is_gone_is_not_brought_back(tmp_path):
    path = tmp_path / "labels.csv"
    at(path).save([(annotation(0), []), (annotation(1), [])])
    path.unlink()
    assert len(at(path).lost()) == 2
    assert replace(at(path), class_names=["whale", "dog"]).lost() == []


def save_some(path, numbers, acknowledged=os.devnull):
    with Path(acknowledged).open("a", encoding="utf-8") as log:
        for i in numbers:
            new = Annotation(f"{i}.png", f"of {i}", "cat", now(), "Ann")
            at(path).save([(new, [])])
            log.write(f"{i}.png\n")
            log.flush()


def images_in(path):
    return [line.split(",")[0] for line in lines_of(path)]


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
    assert sorted(images_in(path)) == sorted(f"{i}.png" for i in range(100))


def test_no_acknowledged_annotation_is_lost_when_labelers_are_killed(tmp_path):
    path = tmp_path / "labels.csv"
    logs = [tmp_path / f"acknowledged {i}" for i in range(2)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    rng = random.Random(0)
    for attempt in range(10):
        workers = [
            context.Process(target=save_some, args=(path, range(start, start + 10_000), log))
            for start, log in zip(range(10_000 * attempt, 10**9, 10**6), logs, strict=False)
        ]
        for worker in workers:
            worker.start()
        n_before = len(images_in(path)) if path.exists() else 0
        while not path.exists() or len(images_in(path)) < n_before + 4:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.02))
        for worker in workers:
            worker.kill()
            worker.join()
    saved = images_in(path)
    assert len(set(saved)) == len(saved)
    acknowledged = [log.read_text(encoding="utf-8").splitlines() for log in logs]
    assert min(map(len, acknowledged)) > 0
    assert set().union(*acknowledged) <= set(saved)
    # Beyond these, at most the annotation that each killed process was saving.
    assert len(saved) <= sum(map(len, acknowledged)) + 20
    at(path).save([(annotation(0), [])])
    assert len(images_in(path)) == len(saved) + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,label\n", "no column sha256"),
        ("", "no column image"),
        (b"image,sha256,label,labeled_at\n\xff\n", "cannot be read"),
        (f"{HEADER}a,1,cat,,Ann\n{HEADER}", "line 3, is a second header"),
        (f"{HEADER}<<<<<<< HEAD\na,1,cat,,Ann\n=======\n>>>>>>> b, c\n", "of a merge conflict"),
        (f"<<<<<<< HEAD\n{HEADER}", "of a merge conflict"),
        (f"{HEADER}a,1,cat,\n", "line 2, has . values, but must have 5"),
        (f"{HEADER}a,1,cat,,Ann,2\n", "line 2, has . values, but must have 5"),
        (f'{HEADER}a,1,cat,,"Ann\nb,1,cat,,Ann\n', "cannot be read: unexpected end"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, words):
    path = tmp_path / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(AnnotationsError, match=words):
        at(path).read_agreed()
    with pytest.raises(AnnotationsError, match=words):
        at(path).save([(annotation(0), [])])
    assert path.read_bytes() == (text if isinstance(text, bytes) else text.encode())


def test_annotations_from_before_people_were_named_are_read(tmp_path):
    path = tmp_path / "labels.csv"
    old = annotation(0, at=EARLY, by="")
    path.write_text("image,sha256,label,labeled_at\n" + ",".join(old[:-1]), encoding="utf-8")
    assert at(path).read_agreed() == {old.image: old}
    at(path).save([(annotation(1), [])])
    assert lines_of(path)[0] == ",".join(old)


def test_annotations_of_these_images_are_accepted():
    given = [annotation(3), annotation(1, NO_CLASS)]
    QUERIES.check(given, "labels.csv")
    assert QUERIES.pending(a.image for a in given) == [6, 9]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"image": "gone.png", "sha256": "f"}, "images that are gone: gone.png (cat)"),
        ({"sha256": "f" * 64}, "images that changed since: é 01.png (cat)"),
        (
            {"label": "cow"},
            "has labels that are no class: é 01.png (cow); a label must be one of cat, dog",
        ),
    ],
)
def test_annotations_of_other_images_are_refused_by_name(tmp_path, wrong, words):
    path = tmp_path / "labels.csv"
    write_lines(path, annotation(0), annotation(1)._replace(**wrong))
    with pytest.raises(AnnotationsError) as raised:
        at(path).read_agreed()
    assert words in str(raised.value)


def test_an_annotation_follows_the_content_of_its_image(tmp_path):
    path = tmp_path / "labels.csv"
    first, second, third = annotation(0), annotation(1, "dog"), annotation(4)
    write_lines(path, first, second, third)
    names = ["new.png", QUERIES.names[0], *QUERIES.names[2:]]  # 0 is new, and 1 is 0
    renamed = replace(QUERIES, names=names)
    expected = {
        "new.png": first._replace(image="new.png"),
        names[1]: second._replace(image=names[1]),
        names[4]: third,
    }
    assert at(path, renamed).read_agreed() == expected
    at(path, renamed).save([(expected["new.png"]._replace(label=""), [first.labeled_at])])
    assert lines_of(path) == [",".join(expected[names[1]]), ",".join(third)]


def test_of_equal_images_the_one_of_the_name_is_meant(tmp_path):
    path = tmp_path / "labels.csv"
    same = replace(QUERIES, sha256=["0"] * 3 + QUERIES.sha256[3:])
    named = annotation(2)._replace(sha256="0")
    write_lines(path, named, annotation(1)._replace(image="gone.png", sha256="0", label="dog"))
    annotations = at(path, same).read_agreed()
    assert {image: a.label for image, a in annotations.items()} == {
        QUERIES.names[2]: "cat",
        QUERIES.names[0]: "dog",
    }


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        # Who agrees: the earliest. Who corrects themselves: the latest.
        ([("cat", LATE, "Bob"), ("cat", EARLY, "Ann")], [("cat", "Ann")]),
        ([("dog", LATE, "Ann"), ("cat", EARLY, "Ann")], [("dog", "Ann")]),
        ([("cat", EARLY, "Ann"), ("dog", LATE, "Ann"), ("dog", EARLY, "Bob")], [("dog", "Bob")]),
        # 23:30 in New York is later than 00:00 in Greenwich.
        ([("dog", "2026-01-01T23:30:00-05:00", "Ann"), ("cat", LATE, "Ann")], [("dog", "Ann")]),
        # Who disagrees, also where the time or the person does not tell.
        ([("cat", LATE, "Ann"), ("dog", EARLY, "Bob")], [("dog", "Bob"), ("cat", "Ann")]),
        ([("cat", "", ""), ("dog", EARLY, "")], [("cat", ""), ("dog", "")]),
        ([("cat", "", "Ann"), ("dog", "", "Ann")], [("cat", "Ann"), ("dog", "Ann")]),
        (
            [("cat", EARLY, "Ann"), ("cat", LATE, "Ann"), ("dog", EARLY, "Bob"), ("cat", LATE, "")],
            [("dog", "Bob"), ("cat", ""), ("cat", "Ann")],
        ),
    ],
)
def test_what_counts_of_several_lines(tmp_path, lines, counts):
    path = tmp_path / "labels.csv"
    write_lines(path, *(annotation(5, *line) for line in lines))
    found = at(path).read()[QUERIES.names[5]]
    assert said(found) == counts
    at(path).save([(annotation(0), [])])
    assert sorted(lines_of(path)[1:]) == sorted(map(",".join, found))


@pytest.fixture
def contradictory(tmp_path):
    """Return a file in which people disagree on two images, and an annotation for a third."""
    path = tmp_path / "labels.csv"
    write_lines(
        path,
        annotation(0, "cat", EARLY, "Ann"),
        annotation(0, "dog", LATE, "Bob"),
        annotation(1, "dog", EARLY, ""),
        annotation(1, NO_CLASS, LATE, "Cem"),
        annotation(2, "cat", EARLY, "Ann"),
    )
    return path


def test_all_contradictions_are_named_at_once(contradictory):
    with pytest.raises(AnnotationsError) as raised:
        at(contradictory).read_agreed()
    message = str(raised.value)
    assert "é 00.png (cat by Ann, dog by Bob), é 01.png (dog by somebody, ! by Cem);" in message
    assert "`fewlabel settle-labels latest`" in message


def test_contradictions_are_settled_by_the_latest_annotation(contradictory):
    assert settle_labels("latest", at(contradictory)) == (2, {})
    given = at(contradictory).read_agreed()
    assert said(given.values()) == [("cat", "Ann"), ("dog", "Bob"), (NO_CLASS, "Cem")]
    assert len(lines_of(contradictory)) == 3


def test_contradictions_are_settled_by_a_persons_name(contradictory):
    n_settled, unsettled = settle_labels("Ann", at(contradictory))
    assert n_settled == 1
    assert list(unsettled) == [QUERIES.names[1]]
    annotations = at(contradictory).read()
    assert said(annotations[QUERIES.names[0]]) == [("cat", "Ann")]
    assert contradictions(annotations) == unsettled


def test_contradictions_are_settled_for_one_whose_name_is_unknown(contradictory):
    n_settled, unsettled = settle_labels("somebody", at(contradictory))
    assert (n_settled, list(unsettled)) == (1, [QUERIES.names[0]])
    assert said(at(contradictory).read()[QUERIES.names[1]]) == [("dog", "")]


def test_annotations_of_the_same_time_are_not_settled_by_it(contradictory):
    write_lines(
        contradictory, annotation(0, "cat", EARLY, "Ann"), annotation(0, "dog", EARLY, "Bob")
    )
    assert settle_labels("latest", at(contradictory))[0] == 0
    assert len(lines_of(contradictory)) == 2


def test_the_person_is_gits_user_or_that_of_the_login(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("LOGNAME", "zoë")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert current_person() == "zoë"
    git(tmp_path, "config", "--global", "user.name", "Zoë, the\tfirst")
    assert current_person() == "Zoë, thefirst"
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    assert current_person() == "zoë"
    assert clean_name(f" \x1b[31m{'x' * 200}\n") == "[31m" + "x" * 76


@pytest.mark.parametrize("error", [KeyError("no such user id"), OSError("no such user id")])
def test_a_person_without_a_name_is_none(tmp_path, monkeypatch, error):
    def nobody():
        raise error

    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    monkeypatch.setattr("getpass.getuser", nobody)
    assert current_person() == ""


# What git makes of labels that are given in two clones.


def git(folder, *arguments):
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def clones(tmp_path, environment, monkeypatch):
    """Return the sessions of Ann and Bob, in clones where Ann labeled images 3 and 5."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    origin = tmp_path / "Ann"
    (origin / "data/annotations").mkdir(parents=True)
    for name in (".gitattributes", ANNOTATIONS_FILE, "data/annotations/.gitignore"):
        shutil.copy(CHECKOUT / name, origin / name)
    git(origin, "init", "--quiet", "--initial-branch", "main")
    given = [(annotation(i, at=EARLY), []) for i in (3, 5)]
    at(origin / ANNOTATIONS_FILE).save(given)
    commit(origin)
    git(tmp_path, "clone", "--quiet", "Ann", "Bob")
    return [Clone(tmp_path / person, person) for person in ("Ann", "Bob")]


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Label")


class Clone:
    """A clone in which one person labels."""

    def __init__(self, folder, person):
        self.folder = folder
        self.path = folder / ANNOTATIONS_FILE
        self.session = LabelingSession(at(self.path), np.zeros(N_IMAGES), person)

    def label(self, i, label):
        """Annotation on the page, or take back."""
        before = at(self.path).read().get(QUERIES.names[i], [])
        self.session.annotate(i, label, [a.labeled_at for a in before])


def merged(clones):
    """Return position -> who said what, after plain merges in both directions, which agree."""
    ann, bob = clones
    for clone in clones:
        commit(clone.folder)
    git(bob.folder, "fetch", "--quiet", "../Ann", "main:theirs")
    git(ann.folder, "fetch", "--quiet", "../Bob", "main:theirs")
    for clone in clones:
        git(clone.folder, "merge", "--quiet", "theirs", "--message", "Merge")
        assert git(clone.folder, "status", "--porcelain") == ""
    found = [at(clone.path).read() for clone in clones]
    assert found[0] == found[1]
    return {QUERIES.position[image]: said(annotations) for image, annotations in found[0].items()}


BASE = {3: [("cat", "Ann")], 5: [("cat", "Ann")]}


@pytest.mark.parametrize(
    ("by_ann", "by_bob", "expected"),
    [
        pytest.param(
            [(0, "cat"), (1, "dog")], [(10, "dog")],
            {0: [("cat", "Ann")], 1: [("dog", "Ann")], 10: [("dog", "Bob")]}, id="disjoint",
        ),
        pytest.param(
            [(6, "cat"), (8, "cat")], [(7, "dog"), (9, "dog")],
            {6: [("cat", "Ann")], 7: [("dog", "Bob")], 8: [("cat", "Ann")], 9: [("dog", "Bob")]},
            id="adjacent",
        ),
        pytest.param([(4, "dog")], [(4, "dog")], {4: [("dog", "Ann")]}, id="same label"),
        pytest.param(
            [(4, "dog")], [(4, "cat")], {4: [("dog", "Ann"), ("cat", "Bob")]}, id="other label"
        ),
        pytest.param(
            [(5, "dog")], [(4, "dog"), (6, "?")],
            {4: [("dog", "Bob")], 5: [("dog", "Ann")], 6: [("?", "Bob")]}, id="relabeled beside",
        ),
        pytest.param([(3, None)], [(10, "dog")], {3: None, 10: [("dog", "Bob")]}, id="taken back"),
        pytest.param(
            [(3, None)], [(4, "dog")], {4: [("dog", "Bob")]}, id="taken back beside: it returns"
        ),
        pytest.param([(5, None)], [(5, "dog")], {5: [("dog", "Bob")]}, id="taken back, relabeled"),
        pytest.param(
            [(5, "dog")], [(5, "?")], {5: [("dog", "Ann"), ("?", "Bob")]}, id="both relabeled"
        ),
    ],
)  # fmt: skip
def test_plain_git_merges_what_two_clones_labeled(clones, by_ann, by_bob, expected):
    for clone, labels in zip(clones, (by_ann, by_bob), strict=True):
        for i, label in labels:
            clone.label(i, label)
    expected = {i: found for i, found in (BASE | expected).items() if found}
    assert merged(clones) == expected


def test_every_annotation_of_long_sessions_survives_a_merge(clones):
    rng = random.Random(0)
    images = [i for i in range(N_IMAGES) if i not in BASE]
    given = set()
    for _ in range(3):
        for clone, person in zip(clones, ("Ann", "Bob"), strict=True):
            for i in rng.sample(images, 2):
                clone.label(i, rng.choice(["cat", "dog"]))
                given.add((i, person))
    found = merged(clones)
    assert {i for i, _ in given} == found.keys() - BASE.keys()


def test_a_contradiction_that_git_merged_is_settled_for_all(clones):
    ann, bob = clones
    ann.label(4, "dog")
    bob.label(4, "cat")
    for clone in clones:
        commit(clone.folder)
    git(bob.folder, "pull", "--quiet", "--no-rebase", "../Ann", "main")
    with pytest.raises(AnnotationsError, match=r"é 04\.png \(dog by Ann, cat by Bob\)"):
        at(bob.path).read_agreed()
    bob.label(4, NOT_SURE)  # on the page: it replaces both
    assert len(lines_of(bob.path)) == 3
    commit(bob.folder)
    git(ann.folder, "pull", "--quiet", "--no-rebase", "../Bob", "main")
    assert said([at(ann.path).read_agreed()[QUERIES.names[4]]]) == [(NOT_SURE, "Bob")]


def test_git_sees_no_lock_and_no_temporary_file(clones):
    ann, _ = clones
    (ann.folder / "data/annotations/.1.labels.csv").touch()
    ann.label(0, "cat")
    assert (ann.folder / "data/annotations/.labels.csv.lock").exists()
    assert git(ann.folder, "status", "--porcelain") == f" M {ANNOTATIONS_FILE}\n"
    removed, added = 0, 1
    assert git(ann.folder, "diff", "--numstat").split()[:2] == [str(added), str(removed)]


# Labels from elsewhere.


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return a folder in which Ann called image 0 a cat."""
    monkeypatch.chdir(tmp_path)
    QUERIES.save([(annotation(0), [])])
    return tmp_path


def test_other_spellings_of_a_name_are_the_same_image(here):
    (here / "mine.csv").write_text(f"image,label\n./{QUERIES.names[1]},dog\n", encoding="utf-8")
    assert import_labels("mine.csv", QUERIES, "Cem") == 1


def test_imported_labels_have_a_person(here):
    (here / "mine.csv").write_text(
        f"image,label,labeled_by,sha256\n{QUERIES.names[1]},dog,Bob,\n{QUERIES.names[2]},cat,,\n"
        f"old.png,cat,Bob,{QUERIES.sha256[4]}\n",
        encoding="utf-8",
    )
    assert import_labels("mine.csv", QUERIES, "Cem") == 3
    given = QUERIES.read_agreed()
    assert [given[QUERIES.names[i]].labeled_by for i in (1, 2, 4)] == ["Bob", "Cem", "Bob"]


def test_all_contradictions_of_an_imported_table_are_named(here):
    zero, one, two = QUERIES.names[:3]
    (here / "mine.csv").write_text(
        f"image,label,labeled_by\n{zero},dog,Bob\n{one},dog,\n{one},cat,Bob\n{two},cat,\n",
        encoding="utf-8",
    )
    before = Path(ANNOTATIONS_FILE).read_bytes()
    with pytest.raises(AnnotationsError) as raised:
        import_labels("mine.csv", QUERIES, "Cem")
    assert f"{zero} (dog by Bob in mine.csv, cat by Ann in {ANNOTATIONS_FILE})" in str(raised.value)
    assert f"{one} (dog by Cem in mine.csv, cat by Bob in mine.csv)" in str(raised.value)
    assert two not in str(raised.value)
    assert Path(ANNOTATIONS_FILE).read_bytes() == before


def test_nothing_is_imported_beside_contradictions(here):
    write_lines(Path(ANNOTATIONS_FILE), annotation(0), annotation(0, "dog", by="Bob"))
    (here / "mine.csv").write_text(f"image,label\n{QUERIES.names[1]},dog\n", encoding="utf-8")
    with pytest.raises(AnnotationsError, match=r"é 00\.png \(cat by Ann, dog by Bob\)"):
        import_labels("mine.csv", QUERIES, "Cem")


def task(i, *annotations):
    """Return a task as Label Studio exports it, with annotations by whom, what and when."""
    return {
        "data": {"name": QUERIES.names[i], "sha256": QUERIES.sha256[i]},
        "annotations": [
            {
                "completed_by": by,
                "created_at": at,
                "result": [{"type": "choices", "value": {"choices": [label]}}],
            }
            for by, label, at in annotations
        ],
    }


def export(here, tasks):
    (here / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    return import_labels("export.json", QUERIES, "Cem")


def test_annotators_of_label_studio_are_people(here):
    bob = {"id": 7, "email": "bob@example.org"}
    tasks = [
        task(1, (3, "dog", LATE), (3, "cat", EARLY)),  # the newest is first
        task(2, (bob, "cat", EARLY), ({"id": 8}, "cat", LATE)),
        task(4, (None, "not sure", EARLY)),
        task(5),
    ]
    assert export(here, tasks) == 3
    given = QUERIES.read_agreed()
    assert said(given[QUERIES.names[i]] for i in (1, 2, 4)) == [
        ("dog", "3"),
        ("cat", "bob@example.org"),
        ("?", "Cem"),
    ]
    with pytest.raises(AnnotationsError) as raised:
        export(here, [task(6, (3, "dog", LATE), ({"id": 4}, "cat", EARLY)), task(0, (3, "!", ""))])
    assert "é 06.png (cat by 4 in export.json, dog by 3 in export.json)" in str(raised.value)
    assert "é 00.png (! by 3 in export.json" in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{}1",
        '{"a": 1}',
        "3",
        "[3]",
        '[{"annotations": "x", "data": {}}]',
        '[{"annotations": [{"result": [1]}], "data": {"name": "a", "sha256": "b"}}]',
        '[{"annotations": [{"result": [{"value": {"choices": [["cat"]]}}]}], "data": {}}]',
        '[{"annotations": [{"result": [{"value": {"choices": ["cat"]}}]}], '
        '"data": {"name": ["a"], "sha256": "b"}}]',
        '[{"annotations": [{"result": [1], "completed_by": {}}], "data": {}}]',
        b"\xff" * 10_000,
    ],
)
def test_what_label_studio_does_not_export_is_one_sentence(here, text):
    (here / "x.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(
        AnnotationsError, match=r"x\.json must be what Label Studio exports"
    ) as raised:
        import_labels("x.json", QUERIES, "Cem")
    assert len(str(raised.value)) < 500
