"""Put the classifier of pseudo-labels into one file, with a model card."""

from typing import Any

from fewlabel.methods import suited_facts
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_joblib, load_json, verified, write

TRAINING_SET = "propagated"


def main(params: Params) -> None:
    """Write models/classifier.keras, and its model card beside it."""
    from fewlabel.classifiers.files import load_model
    from fewlabel.keras_session import new_session
    from fewlabel.model_card import model_card
    from fewlabel.normalization import to_keras
    from fewlabel.predictor import classifier_model, save_portable

    image_shape = load_array("data/raw/test_images.npy", mmap_mode="r").shape[1:]
    class_names = load_json(verified("data/raw/class_names.json"))
    keras, _ = new_session(params.seed)
    classifier, model = load_model(verified(f"models/{TRAINING_SET}"))
    embedding = load_joblib("models/embedding.joblib")
    normalization = load_joblib("models/normalization.joblib")
    embed = suited_facts("embeddings", params.embed.method, image_shape)
    train = suited_facts("classifiers", params.train.model, image_shape)

    def to_probabilities(rows: Any) -> tuple[Any, list[int]]:
        pixels = to_keras(keras, params.normalize.method, normalization, rows)
        X = pixels
        if classifier["features"] != "pixels":
            X = embed.to_keras(keras, embedding, pixels)
        if classifier["features"] == "pixels and embedding":
            X = keras.layers.Concatenate()([pixels, X])
        return train.to_keras(keras, model, X), classifier["classes"]

    portable = classifier_model(keras, to_probabilities, image_shape, len(class_names))
    about = {"class_names": class_names, "image_shape": image_shape}
    metrics = load_json(verified(f"metrics/{TRAINING_SET}.json"))
    metrics |= load_json(verified("metrics/propagation.json"))
    labels = load_array("data/representatives/labels.npy")
    verdict = verified("models/verdict.md").read_text(encoding="utf-8")
    chosen_names = {"embedding": embed.name, "model": train.name}
    card = model_card(params, about, classifier, labels, metrics, verdict, **chosen_names)
    write("models/model_card.md", lambda path: path.write_text(card, encoding="utf-8"))
    write("models/classifier.keras", lambda path: save_portable(path, portable, about, card))


if __name__ == "__main__":
    run_stage(main)
