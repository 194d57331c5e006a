"""Answer on and on: `python -m trust.one_labeler LABELS_CSV NAME ACKNOWLEDGED`."""

import itertools
import sys
from pathlib import Path

from stages.answers import Answer, now, save_answers

if __name__ == "__main__":
    _, path, name, acknowledged = sys.argv
    with Path(acknowledged).open("ab", buffering=0) as file:
        for number in itertools.count():
            image = f"{name}-{number}.png"
            values = {"image": image, "sha256": "0" * 64, "label": "cat", "labeled_at": now()}
            answer = Answer(*(values.get(field, name) for field in Answer._fields))
            save_answers([(None, answer)], path)
            file.write(f"{image}\n".encode())
