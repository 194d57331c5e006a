"""The settings of the pipeline: params.yaml, read once a stage and checked whole."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from fewlabel.errors import FewlabelError, fail_in_one_line
from stages.datasets import DATASETS

PARAMS_FILE = "params.yaml"
MAX_BYTES = 1_000_000
MAX_INT = 10**9
# Of the images that principal components are learned from (fewlabel/patches.py).
MAX_PCA_IMAGES = 10_000
_MAX_PROBLEMS = 20
_MAX_CHARACTERS = 80
_MAX_REASON_CHARACTERS = 300

PositiveInt = Annotated[int, Field(ge=1, le=MAX_INT)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Features = Literal["pixels", "embedding"]
Models = Literal["logistic_regression", "mlp", "wide_mlp", "small_cnn", "cnn", "two_views"]


class Settings(BaseModel):
    """Refuses unknown keys, values of another type, and changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DatasetSettings(Settings):
    name: Literal[*DATASETS, "folder"]
    path: str
    image_size: Annotated[int, Field(ge=8, le=512)]
    class_names: list[str]
    test_labels: str | None

    @model_validator(mode="after")
    def _folder_has_classes(self) -> Self:
        named = {name.strip() for name in self.class_names} - {"", "?", "!"}
        if self.name == "folder" and not (1 < len(named) == len(self.class_names)):
            raise ValueError(
                f"dataset.class_names is {shown(self.class_names)}, but must be a list of two or "
                "more different names, neither ? nor !, where dataset.name is folder"
            )
        return self


class NormalizeSettings(Settings):
    method: Literal["unit", "minmax", "standard"]


class NoSettings(Settings):
    pass


class PCASettings(Settings):
    n_components: PositiveInt


class PatchesSettings(Settings):
    patch_size: PositiveInt
    n_centroids: PositiveInt
    n_sampled_patches: Annotated[int, Field(ge=100, le=MAX_INT)]
    pooling_grid: PositiveInt
    n_components: PositiveInt
    variance_power: Share
    n_leading_components: PositiveInt


class EmbedSettings(Settings):
    method: Literal["pixels", "pca", "patches"]
    pixels: NoSettings
    pca: PCASettings
    patches: PatchesSettings


class KMeansSettings(Settings):
    init: Literal["k-means++", "random"]
    n_init: PositiveInt
    max_iterations: PositiveInt


class MiniBatchSettings(Settings):
    batch_size: PositiveInt
    max_iterations: PositiveInt


class ClusterSettings(Settings):
    alpha: Annotated[float, Field(ge=0, lt=1)]
    n_sweeps: PositiveInt
    algorithm: Literal["kmeans", "minibatch"]
    kmeans: KMeansSettings
    minibatch: MiniBatchSettings


class LabelSettings(Settings):
    source: Literal["oracle", "human"]
    oracle_error_rate: Share


class GraphSettings(Settings):
    n_neighbors: PositiveInt


class SpreadSettings(Settings):
    alpha: Annotated[float, Field(gt=0, lt=1)]
    n_sweeps: PositiveInt


class RegressionSettings(SpreadSettings):
    spread_evidence: PositiveFloat
    neighbor_evidence: PositiveFloat


class PropagateSettings(Settings):
    method: Literal["cluster", "graph", "regression"]
    cluster: NoSettings
    graph: SpreadSettings
    regression: RegressionSettings
    percentile: Annotated[float, Field(gt=0, le=100)]


class LogisticRegressionSettings(Settings):
    features: Features
    C: PositiveFloat
    max_iterations: PositiveInt


class NetworkSettings(Settings):
    epochs: PositiveInt
    min_steps: PositiveInt
    batch_size: Annotated[int, Field(ge=2, le=MAX_INT)]
    learning_rate: PositiveFloat
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]


class MLPSettings(NetworkSettings):
    features: Features


class CNNSettings(NetworkSettings):
    augment: bool


class TwoViewSettings(Settings):
    cnn: CNNSettings
    wide_mlp: NetworkSettings


class TrainSettings(Settings):
    model: Models
    logistic_regression: LogisticRegressionSettings
    mlp: MLPSettings
    wide_mlp: MLPSettings
    small_cnn: NetworkSettings
    cnn: CNNSettings
    two_views: TwoViewSettings


class Params(Settings):
    """Every setting of params.yaml; the comments there say what each one means."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    dataset: DatasetSettings
    label_budget: PositiveInt
    normalize: NormalizeSettings
    embed: EmbedSettings
    cluster: ClusterSettings
    label: LabelSettings
    graph: GraphSettings
    propagate: PropagateSettings
    train: TrainSettings

    @model_validator(mode="after")
    def _has_pixels_in_the_unit_interval(self) -> Self:
        if self.normalize.method != "standard":
            return self
        asks = {"embed.method": self.embed.method} if self.embed.method == "patches" else {}
        model = self.train.model
        if model == "cnn" and self.train.cnn.augment:
            asks["train.cnn.augment"] = True
        if model == "two_views" and self.train.two_views.cnn.augment:
            asks["train.two_views.cnn.augment"] = True
        for key, value in asks.items():
            raise ValueError(
                f"normalize.method is 'standard', but must be 'unit' or 'minmax' where {key} is "
                f"{value!r}, which needs pixels from 0 (black) to 1"
            )
        return self

    @model_validator(mode="after")
    def _fits_the_dataset(self) -> Self:
        if self.dataset.name == "folder":  # read later, when it is known how many images it has
            if self.label.source == "oracle":
                raise ValueError(
                    "label.source is 'oracle', but must be 'human' where dataset.name is folder: "
                    "nothing else knows the labels"
                )
            for problem in embedding_problems(self.embed):
                raise ValueError(problem)
            return self
        dataset = DATASETS[self.dataset.name]
        n_images, (height, width) = dataset.train_images, dataset.image_shape
        limits = [
            ("label_budget", self.label_budget, n_images),
            ("graph.n_neighbors", self.graph.n_neighbors, n_images - 1),
        ]
        for key, value, limit in limits:
            if value > limit:
                raise ValueError(
                    f"{key} is {value}, but must be at most {limit} with {dataset.name}, "
                    f"which has {n_images} training images of {height} x {width} pixels"
                )
        for problem in embedding_problems(self.embed, n_images, (height, width)):
            raise ValueError(problem)
        return self


def embedding_problems(
    embed: EmbedSettings, n_images: int | None = None, image_shape: tuple[int, ...] | None = None
) -> list[str]:
    """Say which settings of the chosen embedding cannot be had of the images.

    Parameters
    ----------
    embed
        The settings.
    n_images, image_shape
        Training images; height, width and optionally channels. None where they are not known yet.

    Returns
    -------
    list of str
        What is wrong and what is allowed, one sentence each, the most basic first.
    """
    match embed.method:
        case "pca":
            return _pca_problems(embed.pca, n_images, image_shape)
        case "patches":
            return _patch_problems(embed.patches, image_shape)
    return []


def _pca_problems(pca, n_images, image_shape):
    if not image_shape:
        return []
    n_values = math.prod(image_shape)
    reason = f"there are {n_images} training images of {n_values} values"
    return _too_large(("pca.n_components", pca.n_components, min(n_images, n_values), reason))


def _patch_problems(patches, image_shape):
    n_responses = patches.pooling_grid**2 * patches.n_centroids
    limits = [
        (
            "patches.n_leading_components",
            patches.n_leading_components,
            patches.n_components,
            "they are the first of embed.patches.n_components",
        ),
        (
            "patches.n_components",
            patches.n_components,
            min(n_responses, MAX_PCA_IMAGES),
            f"they are of {n_responses} responses (n_centroids times the square of pooling_grid) "
            f"of at most {MAX_PCA_IMAGES} images",
        ),
    ]
    if not image_shape:
        return _too_large(*limits)
    height, width, *channels = image_shape
    size = patches.patch_size
    if size == 1 and math.prod(channels) == 1:
        return [
            "embed.patches.patch_size is 1, but must be at least 2 where images are gray: a single "
            "gray value has no contrast"
        ]
    side = min(height, width)
    n_positions = side - size + 1
    images = f"images are {height} x {width} pixels"
    positions = f"a patch of {size} pixels has {n_positions} positions a side, since {images}"
    return _too_large(
        ("patches.patch_size", size, side, images),
        ("patches.pooling_grid", patches.pooling_grid, n_positions, positions),
        *limits,
    )


def _too_large(*limits: tuple[str, int, int, str]) -> list[str]:
    return [
        f"embed.{key} is {value}, but must be at most {limit}: {reason}"
        for key, value, limit, reason in limits
        if value > limit
    ]


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
        reason = _cut(" ".join(str(error).split()), _MAX_REASON_CHARACTERS)
        raise ParamsError(f"{path} cannot be read: {reason}") from error
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        problems = [_sentence(problem) for problem in error.errors()]
        more = len(problems) - _MAX_PROBLEMS
        if more > 0:
            problems[_MAX_PROBLEMS:] = [f"and {more} more problems"]
        raise ParamsError(f"{path}: {'; '.join(problems)}") from error


class _Constructor(SafeConstructor):
    """Refuses lists of mappings to merge: nested ones grow a file tenfold a line."""

    def flatten_mapping(self, node: MappingNode) -> None:
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge" and isinstance(value, SequenceNode):
                raise ConstructorError(None, None, "<< may merge one mapping only", key.start_mark)
        super().flatten_mapping(node)


def shown(value: Any) -> str:
    """Write a value for a message, in 80 characters at most."""
    brief = Repr()
    brief.maxlevel = brief.maxlist = brief.maxdict = brief.maxset = brief.maxtuple = 5
    brief.maxstring = brief.maxlong = brief.maxother = 2 * _MAX_CHARACTERS
    try:
        return _cut(brief.repr(value), _MAX_CHARACTERS)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"


def _cut(text: str, n_characters: int) -> str:
    return text if len(text) <= n_characters else f"{text[: n_characters - 1]}…"


def run(main: Callable[..., None]) -> None:
    """Run a stage with the settings and the words of the command line.

    The settings are checked before a stage imports what it computes with, which takes seconds.
    An error for the user ends the process with one line and exit code 1.
    """
    with fail_in_one_line():
        main(read_params(), *sys.argv[1:])


def _sentence(problem: dict) -> str:
    key = ".".join(_cut(" ".join(str(part).split()), _MAX_CHARACTERS) for part in problem["loc"])
    value = shown(problem["input"])
    match problem["type"]:
        case "value_error":
            return str(problem["ctx"]["error"])
        case "missing":
            return f"{key} is missing"
        case "model_type":
            return f"{key or 'the file'} is {value}, but must be a mapping of settings"
        case "extra_forbidden" | "invalid_key":
            allowed = ", ".join(_settings_at(problem["loc"][:-1]).model_fields) or "none"
            return f"{key} is no setting; allowed here are {allowed}"
    expected = problem["msg"].removeprefix("Input should be ")
    return f"{key} is {value}, but must be {expected}"


def _settings_at(location: tuple) -> type[Settings]:
    settings = Params
    for key in location:
        settings = settings.model_fields[key].annotation
    return settings
