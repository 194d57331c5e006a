"""Scale the images; what is fitted is fitted on the training images only."""

from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, save_array, save_joblib


def main(params: Params) -> None:
    """Write float32 images of the shape of the raw ones to data/normalized/.

    Raises
    ------
    FewlabelError
        If they are more than memory holds.
    """
    from fewlabel.memory import require_memory
    from fewlabel.normalization import normalizer
    from fewlabel.rows import transform_images

    train = load_array("data/raw/train_images.npy")
    test = load_array("data/raw/test_images.npy")
    # A pixel's float32, and once more while it is scaled.
    n_bytes = 2 * 4 * max(train.size, test.size)
    require_memory(n_bytes, "dataset.image_size", max(train.shape[1:3]))
    scaler = normalizer(params.normalize.method).fit(train.reshape(len(train), -1))
    save_joblib("models/normalization.joblib", scaler)
    for name, images in (("train", train), ("test", test)):
        scaled = transform_images(scaler, images)
        save_array(f"data/normalized/{name}_images.npy", scaled.reshape(images.shape))


if __name__ == "__main__":
    run_stage(main)
