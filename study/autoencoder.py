"""A frozen autoencoder's code with a dense head: `python -m study.autoencoder ROW`."""

from study.estimators.autoencoder import AutoencoderClassifier
from study.runner import problem, run_row


def prepare(row: dict, seed: int):
    """Build the autoencoder, which sees all images."""
    return AutoencoderClassifier(**row["settings"], random_state=seed), problem(row, seed)


if __name__ == "__main__":
    run_row("autoencoder", prepare)
