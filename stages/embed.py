"""Map images to the feature space of clustering, graph and logistic regression."""

import numpy as np

from stages.artifacts import save_array, save_joblib
from stages.params import Params, run


def main(params: Params) -> None:
    """Write float32 embeddings of shape (n_images, n_features) to data/embedded/.

    Raises
    ------
    FewlabelError
        If more principal components are asked for than there are pixels or images.
    """
    from fewlabel.embedding import build_embedding
    from fewlabel.errors import FewlabelError
    from fewlabel.normalization import transform_images

    train = np.load("data/normalized/train_images.npy")
    test = np.load("data/normalized/test_images.npy")
    method = params.embed.method
    settings = dict(getattr(params.embed, method))
    most = min(len(train), train[0].size)
    if method == "pca" and settings["n_components"] > most:
        raise FewlabelError(
            f"embed.pca.n_components is {settings['n_components']}, but must be at most {most}: "
            f"there are {len(train)} training images of {train[0].size} values"
        )
    embedding = build_embedding(method, train.shape[1:], params.seed, **settings)
    embedding.fit(train.reshape(len(train), -1))
    save_joblib("models/embedding.joblib", embedding)
    for name, images in (("train", train), ("test", test)):
        embedded = transform_images(embedding, images)
        save_array(f"data/embedded/{name}_embedding.npy", embedded)


if __name__ == "__main__":
    run(main)
