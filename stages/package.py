"""Put the classifier that the labels speak for into one file, with a model card."""

from typing import Any

from fewlabel.methods import suited_facts
from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_joblib, load_json, stored_array, verified, write


def main(params: Params) -> None:
    """Write models/classifier.keras, and its model card beside it."""
    from fewlabel import calibration
    from fewlabel.classifiers.files import load_model
    from fewlabel.keras_session import new_session
    from fewlabel.model_card import model_card
    from fewlabel.normalization import to_keras
    from fewlabel.predictor import classifier_model, part_files, save_portable

    image_shape = stored_array("data/raw/test_images.npy").shape[1:]
    class_names = load_json(verified("data/raw/class_names.json"))
    keras, _ = new_session(params.seed)
    shipped = load_json(verified("models/shipped.json"))
    trained_on = shipped["training_set"]
    classifier, model = load_model(verified(f"models/{trained_on}"))
    embedding = load_joblib("models/embedding.joblib")
    normalization = load_joblib("models/normalization.joblib")
    embed = suited_facts("embeddings", params.embed.method, image_shape)
    train = suited_facts("classifiers", params.train.model, image_shape)
    part = None if classifier["features"] == "pixels" else embed.onnx_part(embedding)

    def to_pixels(rows: Any) -> Any:
        return to_keras(keras, params.normalize.method, normalization, rows)

    def to_probabilities(rows: Any, *given: Any) -> tuple[Any, list[int]]:
        X = pixels = to_pixels(rows)
        if classifier["features"] != "pixels":
            X = embed.to_keras(keras, embedding, *(given or [pixels]))
        if classifier["features"] == "pixels and embedding":
            X = keras.layers.Concatenate()([pixels, X])
        probabilities = train.to_keras(keras, model, X)
        calibrated = calibration.to_keras(keras, probabilities, shipped["temperature"])
        return calibrated, classifier["classes"]

    portable = classifier_model(keras, to_probabilities, image_shape, len(class_names), part)
    needs = {"needs": ["fewlabel", "onnxruntime"]} if part else {}
    about = {"class_names": class_names, "image_shape": image_shape} | needs
    files = part_files(keras, part, to_pixels, image_shape) if part else {}
    metrics = load_json(verified(f"metrics/{trained_on}.json"))
    metrics |= load_json(verified("metrics/propagation.json"))
    labels = load_array("data/representatives/labels.npy")
    verdict = verified("models/verdict.md").read_text(encoding="utf-8")
    names = {"embedding": embed.name, "model": train.name, "training_set": trained_on}
    card = model_card(params, about, classifier, labels, metrics, verdict, **names)
    write("models/model_card.md", lambda path: path.write_text(card, encoding="utf-8"))
    write("models/classifier.keras", lambda path: save_portable(path, portable, about, card, files))


if __name__ == "__main__":
    run_stage(main)
