"""Self-training: `python -m study.self_training ROW`."""

from sklearn.semi_supervised import SelfTrainingClassifier

from study.models import build_model
from study.runner import problem, run_row


def prepare(row: dict, seed: int):
    """Let the classifier label the other images, most confident first."""
    return SelfTrainingClassifier(build_model(row, seed)), problem(row, seed)


if __name__ == "__main__":
    run_row("self_training", prepare)
