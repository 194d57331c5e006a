"""What a promise is, what an attack on it found, and how that is told without naming a machine."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from tests.conftest import Project

_LONG = 240


class Outcome(NamedTuple):
    """What one try found.

    Attributes
    ----------
    passed : bool
        Whether the promise was kept.
    tried : str
        What was done.
    seen : str
        What happened: the sentence shown, or what was found.
    """

    passed: bool
    tried: str
    seen: str


@dataclass(frozen=True)
class Promise:
    """A promise, and the attack that tries to break it.

    Attributes
    ----------
    family : str
        Heading that it belongs under.
    text : str
        The promise, one sentence.
    attack : callable
        From a project that must not be changed, a source of randomness and the number of tries to
        that many outcomes.
    n_tries, n_fast_tries : int
        Tries of `make trust` and of `make test`.
    needs_network : bool
        Whether it needs a server that must be installed.
    """

    family: str
    text: str
    attack: Callable[[Project, Random, int], Iterator[Outcome]]
    n_tries: int
    n_fast_tries: int
    needs_network: bool = False

    @property
    def name(self) -> str:
        """Return the name of its attack."""
        return self.attack.__name__

    def outcomes(self, project: Project, n: int) -> Iterator[Outcome]:
        """Attack with the same random choices each time; breaking off is a failure."""
        try:
            for passed, tried, seen in self.attack(project, Random(self.name), n):
                yield Outcome(bool(passed), _portable(tried), _portable(seen))
        except Exception as error:
            yield Outcome(False, "the attack itself", _portable(f"it broke off: {error}"))


def _portable(text: str) -> str:
    """Return a text without what differs between machines and runs, shortened."""
    text = re.sub(r"(/[^\s/:;,'\"]+)*/(?=project\b|tmp[^/\s]*)", "/", " ".join(text.split()))
    text = re.sub(r"\b[0-9a-f]{32,64}\b", "HASH", text)
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    return text if len(text) <= _LONG else f"{text[:_LONG]} ..."
