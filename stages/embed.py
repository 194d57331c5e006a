"""Map images to the feature space of clustering, graph and logistic regression."""

import numpy as np

from stages.artifacts import save_array, save_joblib
from stages.params import Params, run


def main(params: Params) -> None:
    """Write float32 features, and the leading ones of the training images, to data/embedded/.

    {train,test}_features.npy, of shape (n_images, n_features), are for classifiers;
    train_embedding.npy, of shape (n_images, n_leading), for clusters and the graph.

    Raises
    ------
    FewlabelError
        If more principal components are asked for than there are pixels or images.
    """
    from fewlabel.embedding import build_embedding, leading_components
    from fewlabel.errors import FewlabelError
    from fewlabel.normalization import transform_images

    splits = {name: np.load(f"data/normalized/{name}_images.npy") for name in ("train", "test")}
    train = splits["train"]
    method = params.embed.method
    settings = dict(getattr(params.embed, method))
    n_leading = settings.pop("n_leading_components", None)
    most = min(len(train), train[0].size)
    if method == "pca" and settings["n_components"] > most:
        raise FewlabelError(
            f"embed.pca.n_components is {settings['n_components']}, but must be at most {most}: "
            f"there are {len(train)} training images of {train[0].size} values"
        )
    embedding = build_embedding(method, train.shape[1:], params.seed, **settings)
    embedding.fit(train.reshape(len(train), -1))
    save_joblib("models/embedding.joblib", embedding)
    features = {name: transform_images(embedding, images) for name, images in splits.items()}
    for name, rows in features.items():
        save_array(f"data/embedded/{name}_features.npy", rows)
    leading = leading_components(features["train"], n_leading) if n_leading else features["train"]
    save_array("data/embedded/train_embedding.npy", leading)


if __name__ == "__main__":
    run(main)
