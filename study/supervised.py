"""Methods that see labeled images only: `python -m study.supervised ROW`."""

from study.estimators.semi_supervised import SupervisedClassifier
from study.models import build_model
from study.runner import problem, run_row


def prepare(row: dict, seed: int):
    """Build the classifier of the labeled images."""
    return SupervisedClassifier(build_model(row, seed)), problem(row, seed)


if __name__ == "__main__":
    run_row("supervised", prepare)
