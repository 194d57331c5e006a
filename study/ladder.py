"""The ladder network: `python -m study.ladder ROW`."""

from study.estimators.ladder import LadderClassifier
from study.runner import problem, run_row


def prepare(row: dict, seed: int):
    """Build the ladder network."""
    return LadderClassifier(**row["settings"], random_state=seed), problem(row, seed)


if __name__ == "__main__":
    run_row("ladder", prepare)
