"""Put the classifier of pseudo-labels into one file, with a model card."""

from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_json, verified, write

TRAINING_SET = "propagated"


def main(params: Params) -> None:
    """Write models/classifier.zip, and its model card beside it."""
    from fewlabel.model_card import model_card
    from fewlabel.predictor import save_portable

    model = f"models/{TRAINING_SET}"
    about = {
        "class_names": load_json(verified("data/raw/class_names.json")),
        "image_shape": load_array("data/raw/test_images.npy", mmap_mode="r").shape[1:],
    }
    card = model_card(
        params,
        about,
        load_json(verified(model) / "classifier.json"),
        load_array("data/representatives/labels.npy"),
        load_json(verified(f"metrics/{TRAINING_SET}.json"))
        | load_json(verified("metrics/propagation.json")),
    )
    write("models/model_card.md", lambda path: path.write_text(card, encoding="utf-8"))
    write("models/classifier.zip", lambda path: save_portable(path, model, about, card))


if __name__ == "__main__":
    run_stage(main)
