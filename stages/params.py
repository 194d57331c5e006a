"""The settings of the pipeline: params.yaml, read once a stage and checked whole."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fewlabel.errors import FewlabelError, fail_in_one_line
from stages.datasets import DATASETS

PARAMS_FILE = "params.yaml"

PositiveInt = Annotated[int, Field(ge=1)]
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
                f"dataset.class_names is {self.class_names}, but must be a list of two or more "
                "different names, neither ? nor !, where dataset.name is folder"
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
    n_sampled_patches: Annotated[int, Field(ge=100)]
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
    batch_size: Annotated[int, Field(ge=2)]
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
    def _fits_the_dataset(self) -> Self:
        if self.dataset.name == "folder":  # read later, when it is known how many images it has
            if self.label.source == "oracle":
                raise ValueError(
                    "label.source is 'oracle', but must be 'human' where dataset.name is folder: "
                    "nothing else knows the labels"
                )
            return self
        dataset = DATASETS[self.dataset.name]
        n_images, (height, width) = dataset.train_images, dataset.image_shape
        limits = [
            ("label_budget", self.label_budget, n_images),
            ("graph.n_neighbors", self.graph.n_neighbors, n_images - 1),
        ]
        if self.embed.method == "pca":
            most = min(n_images, height * width)
            limits.append(("embed.pca.n_components", self.embed.pca.n_components, most))
        for key, value, limit in limits:
            if value > limit:
                raise ValueError(
                    f"{key} is {value}, but must be at most {limit} with {dataset.name}, "
                    f"which has {n_images} training images of {height} x {width} pixels"
                )
        return self


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
        # YAML 1.2, as DVC writes it: 1e-05 is a number, where PyYAML reads it as text.
        values = YAML(typ="safe", pure=True).load(Path(path))
    # ruamel.yaml lets through what int(), float() and date() raise.
    except (OSError, ValueError, YAMLError) as error:
        raise ParamsError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_sentence(problem) for problem in error.errors())
        raise ParamsError(f"{path}: {problems}") from error


def run(main: Callable[..., None]) -> None:
    """Run a stage with the settings and the words of the command line.

    The settings are checked before a stage imports what it computes with, which takes seconds.
    An error for the user ends the process with one line and exit code 1.
    """
    with fail_in_one_line():
        main(read_params(), *sys.argv[1:])


def _sentence(problem: dict) -> str:
    key = " ".join(".".join(str(part) for part in problem["loc"]).split())
    match problem["type"]:
        case "value_error":
            return str(problem["ctx"]["error"])
        case "missing":
            return f"{key} is missing"
        case "model_type":
            return f"{key or 'the file'} is {problem['input']!r}, but must be a mapping of settings"
        case "extra_forbidden" | "invalid_key":
            allowed = ", ".join(_settings_at(problem["loc"][:-1]).model_fields) or "none"
            return f"{key} is no setting; allowed here are {allowed}"
    expected = problem["msg"].removeprefix("Input should be ")
    return f"{key} is {problem['input']!r}, but must be {expected}"


def _settings_at(location: tuple) -> type[Settings]:
    settings = Params
    for key in location:
        settings = settings.model_fields[key].annotation
    return settings
