"""Compare pieces of the pipeline with libraries and with arithmetic.

`make bench` prints the tables and writes benchmarks/pieces.json. All runs in a clone, in which the
pipeline has run up to its graph and its labels; each piece has a process of its own there,
`python -m benchmarks.pieces PIECE WORD...`, and prints what it measured.
"""

import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.pipeline import MACHINE
from benchmarks.workspace import ROOT, Workspace, record_outputs, workspace
from fewlabel.normalization import load_rows
from fewlabel.rows import transformed
from fewlabel.settings import read_params
from fewlabel.storage import load_joblib, save_json, stored_array

CLUSTERINGS = ("fewlabel", "KMeans, k-means++", "KMeans, random", "MiniBatchKMeans", "faiss.Kmeans")
N_CLUSTERS = (100, 2000)
MODULE = "benchmarks.pieces"
PROPAGATIONS = ("regression", "graph", "LabelSpreading")


def main() -> None:
    """Run every piece; print the tables and write them."""
    with workspace() as work:
        work.dvc("repro", "dvc.yaml:label", "dvc.yaml:graph")
        work.take_stages()
        report = {
            "machine": MACHINE,
            "clustering": [
                {"k": k, "k-means": kind} | in_a_process(work, MODULE, "clustering", kind, str(k))
                for k in N_CLUSTERS
                for kind in CLUSTERINGS
            ],
            "propagation": [_propagation_in_a_process(work, kind) for kind in PROPAGATIONS],
            "embed": [in_a_process(work, MODULE, "embed")],
        }
    save_json(ROOT / "benchmarks" / "pieces.json", report)
    for name in ("clustering", "propagation", "embed"):
        print(f"\n{name}\n{pd.DataFrame(report[name]).round(3).to_string(index=False)}")


def clustering(kind: str, n_clusters: str) -> dict:
    """Time k-means of what the pipeline clusters; inertia is of squared distances."""
    import faiss
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.metrics import pairwise_distances_argmin_min

    from fewlabel.propagation.smoothed_features import SmoothedFeatures

    cluster_settings, k = read_params().cluster, int(n_clusters)
    X = SmoothedFeatures(
        "data/graph/affinity.npz",
        stored_array("data/embedded/train_embedding.npy"),
        alpha=cluster_settings.alpha,
        n_iterations=cluster_settings.n_iterations,
    )[:]
    most = cluster_settings.kmeans.max_iter
    settings = {"n_init": 1, "max_iter": most, "random_state": 0}
    start = time.perf_counter()
    match kind:
        case "fewlabel":
            clusters = cluster_settings.kmeans.select(X, n_clusters=k, seed=0)
            centroids = clusters.model.cluster_centers_
        case "faiss.Kmeans":
            # By default, it learns from a sample.
            kmeans = faiss.Kmeans(X.shape[1], k, niter=most, seed=0, max_points_per_centroid=len(X))
            kmeans.train(X)
            centroids = kmeans.centroids
        case "MiniBatchKMeans":
            centroids = MiniBatchKMeans(k, **settings).fit(X).cluster_centers_
        case _:
            init = kind.removeprefix("KMeans, ")
            centroids = KMeans(k, init=init, **settings).fit(X).cluster_centers_
    result = measured(start)
    _, distance = pairwise_distances_argmin_min(X, centroids)
    return result | {"inertia": float(np.square(distance, dtype=float).sum())}


def propagation(kind: str) -> dict:
    """Time all from features and 100 labels to a class of each image; count those that are right.

    Ours are the stages `graph` and `spread`, with their files.
    """
    y, truth = np.load("data/representatives/labels.npy"), np.load("data/raw/train_labels.npy")
    params = read_params()
    start = time.perf_counter()
    if kind == "LabelSpreading":
        from sklearn.semi_supervised import LabelSpreading

        X = np.load("data/embedded/train_embedding.npy")
        model = LabelSpreading(kernel="knn", n_neighbors=params.graph.n_neighbors, n_jobs=-1)
        pseudo_labels = model.fit(X, y).transduction_
    else:
        from stages import graph, spread

        graph.main(params)
        record_outputs(Path())
        spread.main(params)
        pseudo_labels = np.load("data/spread/pseudo_labels.npy")
    return measured(start) | {"label_accuracy": float((pseudo_labels == truth)[y < 0].mean())}


def embed() -> dict:
    """Time the embedding of all images, and how long its matrix products alone would take.

    Their rate is that of a product of two square matrices, float32, the best of five.
    """
    images = load_rows("train")
    embedding = load_joblib("models/embedding.joblib")
    n_positions = np.prod(np.subtract(images.image_shape[:2], embedding.patch_shape_) + 1)
    n_operations = 2 * (n_positions * embedding.filters_.size + embedding.pca_.components_.size)
    gigaflop = len(images) * float(n_operations) / 1e9
    start = time.perf_counter()
    transformed(embedding, images)
    result = measured(start)
    square = np.random.default_rng(0).random((4096, 4096), np.float32)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        square @ square
        seconds.append(time.perf_counter() - start)
    rate = 2 * len(square) ** 3 / min(seconds) / 1e9
    return result | {
        "gigaflop": gigaflop,
        "gigaflop_per_second": rate,
        "limit_seconds": gigaflop / rate,
    }


def measured(start: float) -> dict:
    """Return the seconds since a start, and the peak memory of this process."""
    seconds = time.perf_counter() - start
    # On Linux, getrusage counts the process that started this one, too.
    status = Path("/proc/self/status")
    if status.exists():
        [peak] = re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())
        n_bytes = int(peak) * 1024
    else:
        n_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peak_memory_mb": n_bytes / 1e6}


def in_a_process(work: Workspace, module: str, *words: str) -> dict:
    """Run a module in the clone, and return the JSON that it prints last."""
    print(*words, "...", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=work.folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _propagation_in_a_process(work: Workspace, kind: str) -> dict:
    if kind != "LabelSpreading":
        work.set_params({"propagate.method": kind})
    return {"method": kind} | in_a_process(work, MODULE, "propagation", kind)


PIECES = {piece.__name__: piece for piece in (clustering, propagation, embed)}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(PIECES[sys.argv[1]](*sys.argv[2:])))
    else:
        main()
