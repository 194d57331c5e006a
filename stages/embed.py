"""Map images to the feature space of clustering, graph and logistic regression."""

import sys

import numpy as np

from stages.artifacts import load_array, save_array, save_joblib
from stages.params import Params, ParamsError, embedding_problems, run


def main(params: Params) -> None:
    """Write float32 features, and the leading ones of the training images, to data/embedded/.

    {train,test}_features.npy, of shape (n_images, n_features), are for classifiers;
    train_embedding.npy, of shape (n_images, n_leading), for clusters and the graph.

    Raises
    ------
    FewlabelError
        If a setting asks for more than images of this size have, or than memory holds, or if the
        features do not tell images apart.
    """
    from fewlabel.embedding import build_embedding, leading_components
    from fewlabel.normalization import transform_images

    splits = {name: load_array(f"data/normalized/{name}_images.npy") for name in ("train", "test")}
    train = splits["train"]
    for problem in embedding_problems(params.embed, len(train), train.shape[1:]):
        raise ParamsError(problem)
    _check_images(train)
    method = params.embed.method
    settings = dict(getattr(params.embed, method))
    _require_memory(method, settings, train.shape[1:], [len(images) for images in splits.values()])
    n_leading = settings.pop("n_leading_components", None)
    embedding = build_embedding(method, train.shape[1:], params.seed, **settings)
    embedding.fit(train.reshape(len(train), -1))
    features = {name: transform_images(embedding, images) for name, images in splits.items()}
    _check_features(method, settings, features["train"])
    save_joblib("models/embedding.joblib", embedding)
    for name, rows in features.items():
        save_array(f"data/embedded/{name}_features.npy", rows)
    leading = leading_components(features["train"], n_leading) if n_leading else features["train"]
    save_array("data/embedded/train_embedding.npy", leading)


def _require_memory(method, settings, image_shape, n_images):
    from joblib import cpu_count

    from fewlabel.memory import require_memory
    from fewlabel.patches import memory_needed

    needs = {}
    if method == "patches":
        needs = memory_needed(settings, image_shape, n_images[0], cpu_count())
    if "n_components" in settings:
        needs["n_components"] = 4 * settings["n_components"] * sum(n_images)
    for name, n_bytes in needs.items():
        require_memory(n_bytes, f"embed.{method}.{name}", settings[name])


def _check_images(images):
    from fewlabel.errors import FewlabelError

    if (images == images[0]).all():
        raise FewlabelError(f"all {len(images)} training images are alike, so no label tells more")


def _check_features(method, settings, features):
    from fewlabel.errors import FewlabelError

    if not np.isfinite(features).all():
        raise FewlabelError(
            f"some features are not finite numbers where embed.method is {method!r}; change its "
            "settings, or choose another method"
        )
    if (features == features[0]).all():
        raise FewlabelError(
            f"all {len(features)} training images have the same features where embed.method is "
            f"{method!r}, which cannot tell them apart; choose another method"
        )
    n_components = settings.get("n_components", 0)
    if n_components > features.shape[1]:
        print(
            f"embed.{method}.n_components is {n_components}, but {len(features)} training images "
            f"have no more than {features.shape[1]} components, which are kept",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run(main)
