"""Map images to the feature space of clustering, graph and (if it is set so) the classifier."""

from fewlabel.methods import EmbeddingMethod, suited
from fewlabel.settings import Params, ParamsError, run_stage
from fewlabel.storage import StoredArray, row_parts, save_array, save_joblib, save_shards


def main(params: Params) -> None:
    """Write float32 features to data/embedded/.

    {train,test}_features.npy, of shape (n_images, n_features), are for classifiers;
    train_embedding.npy, the leading ones, for clusters and the graph.

    Raises
    ------
    FewlabelError
        If a setting asks for more than images of this size have, or than memory holds, or if the
        features do not tell images apart.
    """
    from joblib import cpu_count

    from fewlabel.embeddings.checks import check_features, check_images
    from fewlabel.engine import Shared, finish, run_parts
    from fewlabel.memory import require_memory
    from fewlabel.normalization import embed_part, load_rows
    from fewlabel.rows import MappedRows

    splits = {split: load_rows(split) for split in ("train", "test")}
    train = splits["train"]
    image_shape = train.image_shape
    method: EmbeddingMethod = suited("embeddings", params.embed, lambda: image_shape)
    for problem in method.problems(len(train), image_shape):
        raise ParamsError(problem)
    check_images(train.images)
    n_images = [len(rows) for rows in splits.values()]
    for key, n_bytes in method.memory_needed(image_shape, n_images, cpu_count()).items():
        require_memory(n_bytes, f"embed.{method.name}.{key}", getattr(method, key))
    embedding = method.build(image_shape, params.seed).fit(train)
    shared, files = Shared("embed/embedding", embedding), {}
    for split, rows in splits.items():
        inputs = f"data/raw/{split}_images.npy", "models/normalization.joblib"
        parts = row_parts(len(rows))
        files[split] = run_parts(f"embed/{split}", embed_part, parts, split, shared, inputs=inputs)
    features = StoredArray(*files["train"])
    check_features(features, method.name, getattr(method, "n_components", 0))
    save_array("data/embedded/train_embedding.npy", MappedRows(features, method.leading))
    save_joblib("models/embedding.joblib", embedding)
    for split, shards in files.items():
        save_shards(f"data/embedded/{split}_features.npy", shards)
    finish("embed")


if __name__ == "__main__":
    run_stage(main)
