"""Neighbors of all images by ours, by faiss used plainly and by pynndescent.

`python -m benchmarks.neighbors KIND`, in a clone in which the pipeline has run, prints what was
measured; `make bench-scale` runs all kinds on its largest data. pynndescent, of which nothing else
here has need, must be installed by hand (version 0.7), or is left out.
"""

import importlib.util
import json
import sys
import time

import numpy as np

from benchmarks.pieces import measured
from fewlabel.engine import finish
from fewlabel.kernels import fixed_threads
from fewlabel.settings import read_params
from fewlabel.storage import stored_array

N_SAMPLED = 1_000
KINDS = ("fewlabel", "faiss.IndexIVFFlat, plainly", "pynndescent")


def kinds() -> list[str]:
    """Return those that can run here."""
    return [name for name in KINDS if name != "pynndescent" or importlib.util.find_spec(name)]


def main(kind: str) -> dict:
    """Time the neighbors of all images; recall is of exact neighbors of 1,000 random ones."""
    import faiss

    n_neighbors = read_params().graph.n_neighbors
    stored = stored_array("data/embedded/train_embedding.npy")
    X = stored[:]
    n_columns = X.shape[1]
    start = time.perf_counter()
    match kind:
        case "fewlabel":
            from fewlabel.propagation.approximate_neighbors import approximate_neighbors

            with fixed_threads():
                found, _, _ = approximate_neighbors(stored, n_neighbors)
            finish("graph")
        case "pynndescent":
            from pynndescent import NNDescent

            index = NNDescent(X, n_neighbors=n_neighbors + 1, random_state=0, low_memory=True)
            found = index.neighbor_graph[0]
        case _:
            # What its documentation says of a million rows, and no more.
            n_lists = int(4 * len(X) ** 0.5)
            index = faiss.IndexIVFFlat(faiss.IndexFlatL2(n_columns), n_columns, n_lists)
            index.nprobe = 16
            index.train(X)
            index.add(X)
            _, found = index.search(X, n_neighbors + 1)
    result = measured(start)
    sampled = np.sort(np.random.default_rng(0).choice(len(X), N_SAMPLED, replace=False))
    _, exact = faiss.knn(X[sampled], X, n_neighbors + 1)
    pairs = list(zip(sampled, exact, found[sampled], strict=True))
    right = [len(np.setdiff1d(np.intersect1d(row, other), own)) for own, row, other in pairs]
    possible = [len(np.setdiff1d(row, own)[:n_neighbors]) for own, row, _ in pairs]
    return {"kind": kind} | result | {"recall": sum(right) / sum(possible)}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
