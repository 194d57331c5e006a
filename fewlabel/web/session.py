"""Which image to ask about next, and what becomes of an annotation."""

import threading
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fewlabel.annotation.annotations import NO_LABEL, Annotation, Annotations, contradictions, now
from fewlabel.annotation.queries import Queries

N_MEMBERS = 6
"""Nearest images of a cluster that are shown, and as many of the farthest."""
LEASE_SECONDS = 60


@dataclass(frozen=True, eq=False)
class LabelingSession:
    """What several people, each in a tab, are asked and annotate; raises as `Queries` does."""

    queries: Queries
    distance: NDArray[np.floating]  # (n_images,): to the centroid of the image's cluster
    person: str  # who annotates
    verdict: tuple[str, ...] = ()  # sentences about the last run's result
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    # Image -> tab that was shown it, and when.
    _leases: dict[int, tuple[str, float]] = field(default_factory=dict, init=False)

    def n_pending(self) -> int:
        """Return how many images are left to label, contradictory ones included."""
        return len(self._pending(self.queries.read()))

    def state(self, tab: str) -> dict[str, object]:
        """Return all that the page shows to one tab: progress, the next query, all annotations."""
        annotations = self.queries.read()
        pending = self._pending(annotations)
        upcoming = self._reserve(pending, tab)
        return {
            "classes": self.queries.class_names,
            "pending": len(pending),
            "budget": self.queries.n_asked,
            "query": self._query(upcoming[0], annotations) if upcoming else None,
            "upcoming": upcoming[1:3],
            "verdict": self.verdict,
            "annotations": [
                {"position": self.queries.position[image], **found[0]._asdict()}
                for image, found in annotations.items()
                if len(found) == 1
            ],
        }

    def query(self, position: int) -> dict[str, object]:
        """Return an image, its annotations, and the nearest and farthest of its cluster."""
        return self._query(position, self.queries.read())

    def annotate(self, position: int, label: str | None, seen: list[str]) -> None:
        """Save an annotation; it is on disk when this returns.

        No label takes it back. What was seen are the times of the annotations that it replaces.

        Raises
        ------
        ValueError
            If there is no such label.
        ConflictError
            If the image has other annotations than those that were seen.
        """
        queries = self.queries
        if label not in (*queries.class_names, *NO_LABEL, None):
            raise ValueError(f"{label!r} is no class")
        image, content = queries.names[position], queries.sha256[position]
        queries.read()  # so that nothing is added to what the page cannot show
        queries.save([(Annotation(image, content, label or "", now(), self.person), seen)])

    def _query(self, position: int, annotations: Annotations) -> dict[str, object]:
        cluster = np.flatnonzero(self.queries.assignment == self.queries.assignment[position])
        only_measures = position in self.queries.check_images
        # What is like it would sway who labels it, and the estimate with it.
        others = cluster[cluster != position] if not only_measures else cluster[:0]
        others = others[np.argsort(self.distance[others], kind="stable")].tolist()
        name = self.queries.names[position]
        return {
            "position": position,
            "name": name,
            "cluster_size": len(cluster),
            "only_measures": only_measures,
            "nearest": others[:N_MEMBERS],
            "farthest": others[N_MEMBERS:][-N_MEMBERS:],
            "annotations": [a._asdict() for a in annotations.get(name, [])],
        }

    def _pending(self, annotations: Annotations) -> list[int]:
        """Return images with contradictions, which wait for somebody to settle them, and others."""
        contradictory = [self.queries.position[image] for image in contradictions(annotations)]
        return contradictory + self.queries.pending(annotations)

    def _reserve(self, pending: list[int], tab: str) -> list[int]:
        """Put what no other tab shows first, and keep that for this one."""
        with self._lock:
            recent = time.monotonic() - LEASE_SECONDS
            elsewhere = {i for i, (by, at) in self._leases.items() if by != tab and at > recent}
            upcoming = sorted(pending, key=lambda i: i in elsewhere)
            if upcoming:
                self._leases[upcoming[0]] = tab, time.monotonic()
            return upcoming
