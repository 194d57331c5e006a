"""regression, or graph or cluster where the labels themselves clearly speak for it."""

from typing import ClassVar

from fewlabel.methods import PropagationMethod


class Settings(PropagationMethod):
    """Nothing to set."""

    candidates: ClassVar[tuple[str, ...]] = ("regression", "graph", "cluster")
