"""Annotate on and on: `python -m trust.one_labeler LABELS_CSV NAME ACKNOWLEDGED`."""

import itertools
import sys
from pathlib import Path

import numpy as np

from fewlabel.annotation.annotations import Annotation, now
from fewlabel.annotation.queries import Queries

if __name__ == "__main__":
    _, path, name, acknowledged = sys.argv
    nothing = np.zeros(0, int)
    queries = Queries(
        names=[],
        sha256=[],
        class_names=[],
        assignment=nothing,
        representatives=nothing,
        path=Path(path),
    )
    with Path(acknowledged).open("ab", buffering=0) as file:
        for number in itertools.count():
            annotation = Annotation(f"{name}-{number}.png", "0" * 64, "cat", now(), name)
            queries.save([(annotation, [])])
            file.write(f"{annotation.image}\n".encode())
