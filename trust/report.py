"""What the attacks found, as trust/results.json and docs/trust.md."""

from collections import Counter

from benchmarks.workspace import ROOT
from docs.tables import markdown_table
from fewlabel.storage import save_json, write
from trust.promises import Outcome, Promise

RESULTS = ROOT / "trust/results.json"
DOCUMENT = ROOT / "docs/trust.md"
_HEADER = "| promise | what was tried | tries | kept | seen most often |"
_N_SEEN = 8
_N_BROKEN = 10

_START = """# What Fewlabel promises, and what was done to break it

`make trust` attacks every promise below and writes this page. `make test` repeats some of the
tries. Each attack works on a copy of a project with 100 color photographs, labeled and tracked,
in which the pipeline ran. The random choices are the same each time; the moments of kills are
not. Some messages are of earlier versions, with earlier names of files.
"""

_END = """## What is not promised

- Who can change the code, `dvc.yaml` or `dvc.lock` can run anything on your machine. Review what
  you merge, and run no pipeline of a stranger. The hashes of `dvc.lock` protect what is not in git.
- Those hashes are MD5, as DVC makes them. Nobody can make a file that has the hash of yours. Who
  makes two files can give them one hash.
- Pillow and Keras are trusted to read damaged files without a flaw in their use of memory.
- `dvc gc --workspace --cloud` without `--all-commits` deletes what other commits have, as it says.
- `git checkout --force` replaces labels that were not committed; `fewlabel restore-labels` brings
  them back from `data/annotations/.given.csv`.
- `git clean -x` deletes that file, and all else that git ignores: photos, models and DVC's cache.
- Nothing verifies the records that `dvc pull --run-cache` brings. Use it only with a remote that
  only your team can write to.
- `dvc repro` waits forever if a pipe lies in the folder of images: DVC hashes the folder before a
  stage runs.
- A kill is not a power failure, after which a disk may lack what it had confirmed.
- Ctrl-C in the half second in which a stage imports its modules shows Python's traceback. DVC
  shows its own messages.
- Folders and SSH servers were tried; DVC's other remotes were not. All was tried on Linux only.
"""


def summary(promise: Promise, outcomes: list[Outcome]) -> dict:
    """Return what was tried and seen, as results.json has it."""
    seen = Counter(outcome.seen for outcome in outcomes)
    broken = [outcome for outcome in outcomes if not outcome.passed]
    return {
        "family": promise.family,
        "promise": promise.text,
        "attack": promise.name,
        "tried": promise.attack.__doc__.strip(),
        "tries": len(outcomes),
        "passed": len(outcomes) - len(broken),
        "seen": [{"text": text, "times": times} for text, times in seen.most_common(_N_SEEN)],
        "broken": [{"tried": x.tried, "seen": x.seen} for x in broken[:_N_BROKEN]],
    }


def is_kept(result: dict) -> bool:
    """Whether something was tried and nothing broke the promise."""
    return result["passed"] == result["tries"] > 0


def document(results: list[dict], promises: list[str]) -> str:
    """Return docs/trust.md; promises that were not attacked are named as such."""
    tries, kept = sum(result["tries"] for result in results), sum(map(is_kept, results))
    total = f"{kept} of {len(results)} promises were kept, in {tries:,} tries in all.\n"
    parts = [_START, total]
    for family in dict.fromkeys(result["family"] for result in results):
        rows = []
        for result in (result for result in results if result["family"] == family):
            [most, *_] = result["seen"] or [{"text": "nothing"}]
            cells = (result["promise"], result["tried"], result["tries"], result["passed"])
            rows.append([_cell(text) for text in (*cells, most["text"])])
        table = markdown_table(["promise", "tried", "tries", "kept", "most often seen"], rows)
        parts.append(f"## {family}\n\n{table}\n")
    broken = [
        f"- {result['promise']} {_cell(broken['tried'])}: {_cell(broken['seen'])}"
        for result in results
        for broken in result["broken"]
    ]
    if broken:
        parts.append("## Broken\n\n" + "\n".join(broken) + "\n")
    attacked = {result["promise"] for result in results}
    if left := [f"- {promise}" for promise in promises if promise not in attacked]:
        start = "The run was stopped before it tried these:\n\n"
        parts.append("## Not attacked yet\n\n" + start + "\n".join(left) + "\n")
    return "\n".join([*parts, _END])


def _cell(text) -> str:
    printable = "".join(x if x.isprintable() else "?" for x in str(text))
    return printable.replace("<", "&lt;")


def save(results: list[dict], promises: list[str]) -> None:
    """Write both files, with the results in the order of the promises."""
    results = sorted(results, key=lambda result: promises.index(result["promise"]))
    save_json(RESULTS, results)
    text = document(results, promises)
    write(DOCUMENT, lambda path: path.write_text(text, encoding="utf-8"))
