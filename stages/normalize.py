"""Fit the scaling of pixels to the training images; whoever reads pixels applies it."""

from fewlabel.settings import Params, run_stage
from fewlabel.storage import save_joblib, stored_array


def main(params: Params) -> None:
    """Write models/normalization.joblib, a transformer of rows of pixels in 0..255."""
    from fewlabel.normalization import fit_normalization

    images = stored_array("data/raw/train_images.npy")
    save_joblib("models/normalization.joblib", fit_normalization(params.normalize.method, images))


if __name__ == "__main__":
    run_stage(main)
