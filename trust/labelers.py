"""People who label at once, and are killed in the middle."""

import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from fewlabel.annotation.annotations import JOURNAL
from tests.conftest import Project
from trust.processes import Running
from trust.projects import new_annotation, read_annotations, save_annotations
from trust.promises import Promise

_LABELERS = 4
_LONGEST = 0.3  # seconds between two kills


def kill_labelers(project: Project, rng: Random, n: int) -> Iterator[tuple]:
    """Kill four processes that annotate at once; each annotation that was acknowledged is there."""
    for _ in range(n):
        with tempfile.TemporaryDirectory() as folder:
            path, acknowledged = Path(folder, "labels/labels.csv"), Path(folder, "acknowledged")
            journal = path.with_name(JOURNAL)
            commands = [
                ["trust.one_labeler", str(path), f"labeler {i}", str(acknowledged)]
                for i in range(_LABELERS)
            ]
            labelers = [Running(project, command) for command in commands]
            while not path.exists():
                time.sleep(0.01)
            for labeler in labelers:
                time.sleep(rng.uniform(0, _LONGEST))
                labeler.send(signal.SIGKILL)
            errors = [done.last_line for labeler in labelers if (done := labeler.wait()).error]
            images = acknowledged.read_text(encoding="utf-8").splitlines()
            lost = set(images) - (read_annotations(path).keys() & read_annotations(journal).keys())
            # Who is killed holds no lock, and leaves nothing behind the next one's back.
            save_annotations([new_annotation("next.png", "0" * 64, "cat")], path)
            temporary = [other for other in path.parent.iterdir() if other.name[1].isdigit()]
            found = errors + ([f"{len(lost)} annotations are lost"] if lost else [])
            found += ["a temporary file stays after the next annotation"] if temporary else []
            seen = "; ".join(found) or "every acknowledged annotation is there"
            yield not found, f"{_LABELERS} labelers killed", seen


PROMISES = [
    Promise(
        "People who label at once",
        "An acknowledged annotation is in labels.csv and in its journal, whoever is killed.",
        kill_labelers,
        40,
        2,
    )
]
