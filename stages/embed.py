"""Map images to the feature space of clustering, graph and logistic regression."""

import numpy as np

from stages.artifacts import save_array, save_joblib
from stages.params import Params, run


def main(params: Params) -> None:
    """Write float32 embeddings of shape (n_images, n_features) to data/embedded/."""
    from fewlabel.embedding import build_embedding

    train = np.load("data/normalized/train_images.npy")
    test = np.load("data/normalized/test_images.npy")
    method = params.embed.method
    settings = dict(getattr(params.embed, method))
    embedding = build_embedding(method, train.shape[1:], params.seed, **settings)
    embedding.fit(train.reshape(len(train), -1))
    save_joblib("models/embedding.joblib", embedding)
    for name, images in (("train", train), ("test", test)):
        embedded = embedding.transform(images.reshape(len(images), -1)).astype(np.float32)
        save_array(f"data/embedded/{name}_embedding.npy", embedded)


if __name__ == "__main__":
    run(main)
