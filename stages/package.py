"""Put the classifier of pseudo-labels into one file, with a model card."""

import numpy as np

from fewlabel.settings import Params, run_stage
from fewlabel.storage import load_array, load_json, verified, write

TRAINING_SET = "propagated"


def main(params: Params) -> None:
    """Write models/classifier.zip, and its model card beside it."""
    from fewlabel.predictor import save_portable

    about = {
        "class_names": load_json(verified("data/raw/class_names.json")),
        "image_shape": load_array("data/raw/test_images.npy", mmap_mode="r").shape[1:],
    }
    card = _card(params, about)
    write("models/model_card.md", lambda path: path.write_text(card, encoding="utf-8"))
    write(
        "models/classifier.zip",
        lambda path: save_portable(path, f"models/{TRAINING_SET}", about, card),
    )


def _card(params, about):
    classifier = load_json(verified(f"models/{TRAINING_SET}") / "classifier.json")
    labels = load_array("data/representatives/labels.npy")
    n_labels = int((labels >= 0).sum())
    metrics = load_json(verified(f"metrics/{TRAINING_SET}.json"))
    propagation = load_json(verified("metrics/propagation.json"))
    height, width, *channels = about["image_shape"]
    measured = [f"| {name} | {value:.4g} |" for name, value in (metrics | propagation).items()]
    counts = np.bincount(labels[labels >= 0], minlength=len(about["class_names"]))
    classes = ", ".join(
        f"{name} ({count})" for name, count in zip(about["class_names"], counts, strict=True)
    )
    trained = [about["class_names"][i] for i in classifier["classes"]]
    missing = [name for name in about["class_names"] if name not in trained]
    lines = [
        "# Model card: an image classifier taught by few labels",
        "",
        f"- **Data**: {params.dataset.name}, {len(labels):,} training images of {height} x {width} "
        f"pixels, {'color' if channels else 'gray'}.",
        f"- **Labels**: {n_labels} of a budget of {params.label_budget}, by {params.label.source}: "
        f"{classes}.",
        f"- **Settings**: embedding {params.embed.method}; propagation over "
        f"{params.propagate.method}, percentile {params.propagate.percentile:g}; model "
        f"{params.train.model} on {classifier['features']}; seed {params.seed}.",
        "",
        "| measure | |",
        "| --- | ---: |",
        *measured,
        "",
        _measured_on("accuracy" in metrics),
        "",
        "## Limits",
        "",
        "- It knows these classes only, and gives one of them to any image.",
        *([f"- No label was of {', '.join(missing)}: it never predicts that."] if missing else []),
        "- It was taught by pseudo-labels, some of which are wrong; rare classes suffer most.",
        "- Images unlike those it was trained on, in subject, background or framing, are not "
        "covered by the figures above.",
    ]
    return "\n".join(lines) + "\n"


def _measured_on(has_tests):
    if not has_tests:
        return "Nobody gave labels to test with, so how good it is, is not known."
    return (
        "Accuracy, F1 and expected_calibration_error (of its probabilities) are of the test "
        "images, which nothing was trained on; coverage and label accuracy of the pseudo-labels "
        "of training images."
    )


if __name__ == "__main__":
    run_stage(main)
