"""Queries: the images that people are asked about, and what their annotations say of all images."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from fewlabel.annotation.annotations import (
    ANNOTATIONS_FILE,
    JOURNAL,
    NO_CLASS,
    NO_LABEL,
    NOT_SURE,
    SOMEBODY,
    Annotation,
    Annotations,
    AnnotationsError,
    ConflictError,
    age,
    contradictions,
    is_contradiction,
    merge_lines,
    read_lines,
    refuse_contradictions,
    time_of,
    write_lines,
)
from fewlabel.arrays import Array, Bools, Ints
from fewlabel.datasets.training_files import read_training_files
from fewlabel.selection.check_images import check_images
from fewlabel.settings import Params
from fewlabel.storage import load_array, load_json, verified

Change = tuple[Annotation, list[str]]
"""What is annotated, with no label to take it back, and the times of what it replaces, as seen."""
LATEST = "latest"

_N_NAMED = 3  # images that a message names


@dataclass(frozen=True, kw_only=True)
class Queries:
    """The images that people are asked about, and the file that keeps their annotations.

    All that reads or saves raises `AnnotationsError` if the file cannot be read or written.
    """

    names: list[str]  # of each training image, as in data/raw/train_files.csv
    sha256: list[str]  # of each training image
    class_names: list[str]
    assignment: NDArray[np.integer]  # (n_images,): cluster of each
    representatives: NDArray[np.integer]  # (n_clusters,): one image of each
    # Images that are labeled last, and of which labels only measure.
    check_images: NDArray[np.integer] = field(default_factory=lambda: np.zeros(0, int))
    path: Path = ANNOTATIONS_FILE

    @property
    def n_asked(self) -> int:
        """How many images people are asked about in all."""
        return len(self.representatives) + len(self.check_images)

    @cached_property
    def position(self) -> dict[str, int]:
        """Name of an image -> its position."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def content(self) -> dict[str, str]:
        """Name of an image -> its SHA-256."""
        return dict(zip(self.names, self.sha256, strict=True))

    @cached_property
    def _name_of_content(self) -> dict[str, str]:
        """SHA-256 -> name of the first image with this content."""
        return dict(zip(reversed(self.sha256), reversed(self.names), strict=True))

    def _is_current(self, annotation: Annotation) -> bool:
        """Return whether the image of this name has the content that was labeled."""
        return self.content.get(annotation.image) == annotation.sha256

    def locate(self, annotation: Annotation) -> Annotation:
        """Return the annotation under the name that its image's content has now, if any has."""
        if self._is_current(annotation):
            return annotation
        name = self._name_of_content.get(annotation.sha256, annotation.image)
        return annotation._replace(image=name)

    def pending(self, annotated: Iterable[str]) -> list[int]:
        """Return the positions of images to ask about: representatives of large clusters first.

        As many as complete the budget, which is the number of clusters: an image that was annotated
        under another clustering counts, and speaks for the cluster that it is now in. Images that
        only measure come last.
        """
        known = np.array([self.position[image] for image in annotated], int)
        positions = np.setdiff1d(known, self.check_images)
        unchecked: list[int] = self.check_images[~np.isin(self.check_images, known)].tolist()
        n_left = max(len(self.representatives) - len(positions), 0)
        has_annotation = np.isin(self.assignment, self.assignment[positions])
        pending = self.representatives[~has_annotation[self.representatives]]
        sizes = np.bincount(self.assignment)[self.assignment[pending]]
        largest_first: list[int] = pending[np.argsort(-sizes, kind="stable")].tolist()
        return largest_first[:n_left] + unchecked

    def read_any(self) -> Annotations:
        """Read the annotations, whatever their images and classes are."""
        return merge_lines(map(self.locate, read_lines(self.path)))

    def read(self) -> Annotations:
        """Read the annotations, contradictory ones too, unless `check` refuses one."""
        annotations = self.read_any()
        self.check([a for found in annotations.values() for a in found], self.path)
        return annotations

    def read_agreed(self) -> dict[str, Annotation]:
        """Read image -> its annotation, where contradictions too are an AnnotationsError."""
        annotations = self.read()
        refuse_contradictions(annotations, self.path)
        return {image: found[0] for image, found in annotations.items()}

    def lost(self) -> list[Change]:
        """Return what brings back annotations of these images that are not in the file any more.

        They were given here, and are later than what the file has of their images.
        """
        there = self.read_any()
        journal = map(self.locate, read_lines(self.path.with_name(JOURNAL)))
        return [
            (annotation, _times(there.get(image, [])))
            for image, annotation in {a.image: a for a in journal}.items()
            if annotation.label in (*self.class_names, *NO_LABEL)  # not taken back; still a class
            and self._is_current(annotation)
            and all(time_of(a) < time_of(annotation) for a in there.get(image, []))
        ]

    def save(self, changes: Iterable[Change]) -> None:
        """Change annotations, all or none of them; they are on disk when this returns.

        Raises
        ------
        ConflictError
            If an image's annotations are not what was seen: somebody else has changed them.
        """
        journal = self.path.with_name(JOURNAL)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f".{self.path.name}.lock")):
                annotations, noted = self.read_any(), read_lines(journal)
                for new, seen in changes:
                    found = annotations.pop(new.image, [])
                    if _times(found) != seen:
                        raise ConflictError(new.image, found)
                    if new.label:
                        annotations[new.image] = [new]
                    noted.append(new)
                # Whole, as a line that a full disk cut off would break all that follow.
                write_lines(journal, noted)
                # In an order that does not depend on who labeled when, git can compare lines.
                ordered = (sorted(found, key=age) for _, found in sorted(annotations.items()))
                write_lines(self.path, chain.from_iterable(ordered))
        except OSError as error:
            raise AnnotationsError(
                f"{self.path} cannot be written: {error.strerror or error}"
            ) from error

    def check(self, annotations: list[Annotation], source: str | Path) -> None:
        """Refuse annotations, read from `source`, that are not of these images and classes.

        Raises
        ------
        AnnotationsError
            If an image is gone, has changed since it was labeled, or its label is no class.
        """
        labels = {*self.class_names, *NO_LABEL}
        label_advice = f"a label must be one of {', '.join(self.class_names)}, or ? or !"
        image_advice = (
            "put the images back as they were, or delete these lines (data/raw/skipped_files.csv "
            "has the files that are not used, and why)"
        )
        no_class = [a for a in annotations if a.label not in labels]
        gone = [a for a in annotations if a.image not in self.content]
        changed = [a for a in annotations if not self._is_current(a)]
        for wrong, problem, advice in (
            (no_class, "has labels that are no class", label_advice),
            (gone, "labels images that are gone", image_advice),
            (changed, "labels images that changed since", image_advice),
        ):
            if wrong:
                named = ", ".join(f"{a.image} ({a.label})" for a in wrong[:_N_NAMED])
                more = f" and {len(wrong) - _N_NAMED} more" if len(wrong) > _N_NAMED else ""
                raise AnnotationsError(f"{source} {problem}: {named}{more}; {advice}")


def _times(annotations: list[Annotation]) -> list[str]:
    return [annotation.labeled_at for annotation in annotations]


def read_queries(params: Params) -> Queries:
    """Read them from what the pipeline's stages wrote, if `verified`.

    Raises
    ------
    FewlabelError
        If there are not as many images as `label.check_size` asks for.
    """
    assignment = load_array("data/clusters/assignment.npy")
    representatives = load_array("data/clusters/representatives.npy")
    rows, size = read_training_files(len(assignment)), params.label.check_size
    sha256 = [row["sha256"] for row in rows]
    return Queries(
        names=[row["image"] for row in rows],
        sha256=sha256,
        class_names=load_json(verified("data/raw/class_names.json")),
        assignment=assignment,
        representatives=representatives,
        check_images=check_images(sha256, representatives, size, seed=params.seed),
    )


class Labels(NamedTuple):
    """What is known of each image.

    Attributes
    ----------
    budget, check : shape (n_images,), int64
        Labels to learn from, and those that only measure; -1 where there is none.
    excluded : shape (n_images,), bool
        Whether it is to get no label: images of no class, clusters of which no one was sure.
    """

    budget: Ints
    check: Ints
    excluded: Bools


def human_labels(queries: Queries) -> Labels:
    """Return what people said.

    Raises
    ------
    AnnotationsError
        If people have not labeled all images that they are asked about, contradict each other, gave
        labels of fewer than two classes, or labeled other images.
    """
    annotations = queries.read_agreed()
    if pending := queries.pending(annotations):
        n_lost = len(queries.lost())
        hint = f" ({n_lost} were labeled here before: `fewlabel restore-labels`)" if n_lost else ""
        raise AnnotationsError(
            f"{len(pending)} of {queries.n_asked} images have no label yet; "
            f"run `make label`, then `dvc repro` again{hint}"
        )
    given = np.array([annotation.label for annotation in annotations.values()], str)
    positions = np.array([queries.position[image] for image in annotations], int)
    only_measures = np.isin(positions, queries.check_images)
    check = _labels(queries, positions[only_measures], given[only_measures])
    # Without a label it measures nothing, but a pseudo-label of it would be trained on.
    without_label = positions[only_measures & np.isin(given, NO_LABEL)]
    positions, given = positions[~only_measures], given[~only_measures]
    has_label = ~np.isin(given, NO_LABEL)
    if len(set(given[has_label])) < 2:
        raise AnnotationsError(
            f"{queries.path} has labels of fewer than two classes, and a classifier needs two; "
            "change some with `make label`, or raise label_budget"
        )
    cluster = queries.assignment
    unsure = np.setdiff1d(cluster[positions[given == NOT_SURE]], cluster[positions[has_label]])
    excluded = np.isin(cluster, unsure)
    excluded[positions[given == NO_CLASS]] = True
    excluded[without_label] = True
    return Labels(_labels(queries, positions, given), check, excluded)


def _labels(queries: Queries, positions: Ints, given: Array) -> Ints:
    """Return the class of each image, -1 where none is given."""
    labels = np.full(len(queries.names), -1)
    has_label = ~np.isin(given, NO_LABEL)
    labels[positions[has_label]] = [queries.class_names.index(name) for name in given[has_label]]
    return labels


def settle_labels(whose: str, queries: Queries) -> tuple[int, Annotations]:
    """Keep one annotation of each contradiction: the `LATEST`, or that of the person of this name.

    Returns
    -------
    n_settled : int
    unsettled : dict of str to list of Annotation
        Contradictions that stay: this person gave no annotation, or two are equally late.

    Raises
    ------
    ConflictError
        If somebody else changes one meanwhile.
    """
    unsettled = contradictions(queries.read_any())
    changes = []
    for image, found in list(unsettled.items()):
        latest = max(map(time_of, found))
        kept = [
            a
            for a in found
            if (time_of(a) == latest if whose == LATEST else (a.labeled_by or SOMEBODY) == whose)
        ]
        if kept and not is_contradiction(kept):
            changes.append((kept[0], _times(unsettled.pop(image))))
    queries.save(changes)
    return len(changes), unsettled
