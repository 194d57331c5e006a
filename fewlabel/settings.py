"""The settings of the pipeline: params.yaml as one schema, composed of the methods' own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, create_model, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from fewlabel.errors import FewlabelError, exit_on_error
from fewlabel.kernels import fixed_threads
from fewlabel.methods import (
    CHOICES,
    MAX_INT,
    PositiveFloat,
    PositiveInt,
    Share,
    Strict,
    chosen,
    names,
    possible,
    settings_of,
    suited_name,
)
from fewlabel.text import one_line, shown

PARAMS_FILE = "params.yaml"
MAX_BYTES = 1_000_000
_MAX_PROBLEMS = 20
_MAX_KEY_CHARACTERS = 80
_MAX_REASON_CHARACTERS = 300


S = TypeVar("S", bound=Strict)


def _with_methods(kind: str) -> Callable[[type[S]], type[S]]:
    """Give a section, which has a default choice, the settings of each method of a kind."""

    def extend(section: type[S]) -> type[S]:
        methods = {name: settings_of(kind, name) for name in names(kind)}
        summaries = [
            f"- {name}: {sys.modules[method.__module__].__doc__}".splitlines()[0]
            for name, method in methods.items()
        ]
        description = "\n".join(["Only the chosen method's settings below count.", *summaries])
        default = section.model_fields[CHOICES[kind]].default
        fields: dict[str, Any] = {name: (method, method()) for name, method in methods.items()}
        fields[CHOICES[kind]] = (Literal[*methods], Field(default, description=description))
        return create_model(section.__name__, __base__=section, **fields)

    return extend


@_with_methods("datasets")
class DatasetSection(Strict):
    name: str = "fashion_mnist"


class NormalizeSettings(Strict):
    method: Literal["unit", "minmax", "standard"] = Field(
        "unit",
        description="unit (divide by 255), minmax or standard (each pixel; fitted on the training "
        "images only). standard suits neither patches nor augment, which need pixels from 0 "
        "(black) to 1.",
    )


@_with_methods("embeddings")
class EmbedSection(Strict):
    method: str = "auto"


@_with_methods("selection")
class ClusterSection(Strict):
    method: str = "kmeans"
    alpha: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="Clusters are made of graph-smoothed features: share of an image's features "
        "that comes from its neighbors, from 0 (none) to below 1.",
    )
    n_iterations: PositiveInt = Field(
        20, description="Times that features spread from neighbor to neighbor."
    )


class LabelSettings(Strict):
    source: Literal["oracle", "human"] = Field(
        "oracle",
        description="oracle: the data set's own labels, looked up only for the images that were "
        "chosen; or human: labels that people gave with `make label`.",
    )
    oracle_error_rate: Share = Field(
        0.0, description="Share of its labels that are wrong: people err too."
    )
    check_size: int = Field(
        0,
        ge=0,
        le=MAX_INT,
        description="Random images to label last, beyond label_budget, which nothing is trained "
        "on: they say how good each classifier is, and calibrate its probabilities.",
    )


class GraphSettings(Strict):
    n_neighbors: PositiveInt = Field(
        15, description="Nearest neighbors that an image is connected with."
    )


@_with_methods("propagation")
class PropagateSection(Strict):
    method: str = "auto"
    percentile: float = Field(
        95.0,
        gt=0,
        le=100,
        description="Keep the pseudo-labels of the most confident images of each cluster: 0 < "
        "percentile <= 100.",
    )
    label_weight: PositiveFloat = Field(
        30.0,
        description="A label counts as much as this many pseudo-labels, where a classifier weighs "
        "them: logistic_regression.",
    )


@_with_methods("classifiers")
class TrainSection(Strict):
    model: str = "auto"
    max_images: PositiveInt = Field(
        40_000,
        description="Most pseudo-labels that a classifier learns from: evenly spaced images, where "
        "more are kept.",
    )


class Params(Strict):
    """Every setting of params.yaml; the descriptions say what each one means."""

    seed: int = Field(
        0, ge=0, lt=2**32, description="Every random choice follows from it: 0 to 4294967295."
    )
    dataset: DatasetSection = DatasetSection()
    label_budget: PositiveInt = Field(
        100,
        description="Labels to ask for: the number of clusters, and of images in the random subset "
        "to compare with.",
    )
    normalize: NormalizeSettings = NormalizeSettings()
    embed: EmbedSection = Field(
        EmbedSection(),
        description="The feature space of clustering, graph and (if it says so below) classifier.",
    )
    cluster: ClusterSection = ClusterSection()
    label: LabelSettings = LabelSettings()
    graph: GraphSettings = GraphSettings()
    propagate: PropagateSection = PropagateSection()
    train: TrainSection = TrainSection()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for problem in (*self._problems_of_pixels(), *self._problems_of_the_dataset()):
            raise ValueError(problem)
        return self

    def _problems_of_pixels(self) -> Iterator[str]:
        if self.normalize.method != "standard":
            return
        classifiers = self._possible("classifiers", self.train)
        where = next(filter(None, (method.needs_unit_pixels for method in classifiers)), None)
        if any(method.needs_unit_pixels for method in self._possible("embeddings", self.embed)):
            where = f"embed.method is {self.embed.method!r}"
        if where:
            yield (
                f"normalize.method is 'standard', but must be 'unit' or 'minmax' where {where}, "
                "which needs pixels from 0 (black) to 1"
            )

    def _problems_of_the_dataset(self) -> Iterator[str]:
        dataset, name = chosen("datasets", self.dataset), self.dataset.name
        yield from dataset.problems()
        if self.label.source == "oracle" and dataset.no_oracle:
            yield f"label.source is 'oracle', but must be 'human' where {dataset.no_oracle}"
        n_images, shape = None, None
        if dataset.facts:  # else they are known when it is read
            n_images, shape = dataset.facts.n_train_images, dataset.facts.image_shape
            for key, value, limit in (
                ("label_budget", self.label_budget, n_images),
                ("label.check_size", self.label.check_size, n_images - self.label_budget),
                ("graph.n_neighbors", self.graph.n_neighbors, n_images - 1),
            ):
                if value > limit:
                    yield (
                        f"{key} is {value}, but must be at most {limit} with {name}, which has "
                        f"{n_images} training images of {' x '.join(map(str, shape))} pixels"
                    )
        for method in self._possible("embeddings", self.embed):
            yield from method.problems(n_images, shape)

    def _possible(self, kind: str, section: Strict) -> list[Any]:
        """Return the method that will run, or each that may where images are not known yet."""
        facts, methods = chosen("datasets", self.dataset).facts, possible(kind, section)
        if facts is None or len(methods) == 1:
            return list(methods.values())
        return [methods[suited_name(kind, getattr(section, CHOICES[kind]), facts.image_shape)]]


class ParamsError(FewlabelError):
    """A setting is missing, unknown, of a wrong type or impossible."""


def read_params(path: str | Path = PARAMS_FILE) -> Params:
    """Read and check the settings.

    Raises
    ------
    ParamsError
        Naming every key that is wrong, its value and what is allowed.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ParamsError(f"{path} has more than {MAX_BYTES:,} bytes, which no settings need")
        # YAML 1.2, as DVC writes it: 1e-05 is a number, where PyYAML reads it as text.
        yaml = YAML(typ="safe", pure=True)
        yaml.Constructor = _Constructor
        values = yaml.load(content)
    except RecursionError as error:
        raise ParamsError(f"{path} cannot be read: it is nested too deeply") from error
    # ruamel.yaml lets through what int(), float() and date() raise.
    except (OSError, ValueError, YAMLError) as error:
        reason = one_line(error, _MAX_REASON_CHARACTERS)
        raise ParamsError(f"{path} cannot be read: {reason}") from error
    try:
        params = Params.model_validate(values)
        problems = list(_missing(params))
    except ValidationError as error:
        problems = [_sentence(problem) for problem in error.errors()]
    if len(problems) > _MAX_PROBLEMS:
        problems[_MAX_PROBLEMS:] = [f"and {len(problems) - _MAX_PROBLEMS} more problems"]
    if problems:
        raise ParamsError(f"{path}: {'; '.join(problems)}")
    return params


def _missing(settings: Strict, prefix: str = "") -> Iterator[str]:
    """Yield each key that DVC could not see change, except of methods that cannot be chosen."""
    chosen_names = {getattr(settings, key, None) for key in CHOICES.values()}
    chosen_names |= {name for _, method in settings for name in getattr(method, "candidates", ())}
    for name, value in settings:
        is_section = isinstance(value, Strict)
        if name in settings.model_fields_set:
            yield from _missing(value, f"{prefix}{name}.") if is_section else ()
        elif not is_section or not prefix or name in chosen_names:
            yield f"{prefix}{name} is missing"


class _Constructor(SafeConstructor):
    """Refuses lists of mappings to merge: nested ones grow a file tenfold per line."""

    def flatten_mapping(self, node: MappingNode) -> None:
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge" and isinstance(value, SequenceNode):
                raise ConstructorError(None, None, "<< may merge one mapping only", key.start_mark)
        super().flatten_mapping(node)


def run_stage(main: Callable[..., None]) -> None:
    """Run a stage with the settings and the words of the command line.

    The settings are checked before a stage imports what it computes with, which takes seconds.
    An error for the user ends the process with one line and exit code 1.
    """
    with exit_on_error():
        params = read_params()
        with fixed_threads():
            main(params, *sys.argv[1:])


def _sentence(problem: ErrorDetails) -> str:
    key = ".".join(one_line(part, _MAX_KEY_CHARACTERS) for part in problem["loc"])
    value = shown(problem["input"])
    match problem["type"]:
        case "value_error":
            return str(problem["ctx"]["error"])
        case "model_type":
            return f"{key or 'the file'} is {value}, but must be a mapping of settings"
        case "extra_forbidden" | "invalid_key":
            settings: Any = Params
            for name in problem["loc"][:-1]:
                settings = settings.model_fields[name].annotation
            allowed = ", ".join(settings.model_fields) or "none"
            return f"{key} is no setting; allowed here are {allowed}"
    expected = problem["msg"].removeprefix("Input should be ")
    return f"{key} is {value}, but must be {expected}"
