"""Methods: what params.yaml chooses by name, each a module in the folder of its kind.

A module is a method if it has a class `Settings` of its kind's base class below: its settings, the
facts that others ask for, and the function that does the work. params.yaml chooses it by its name.
Every run reads the settings of all methods, so a module imports what takes long inside functions.
"""

import importlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from fewlabel.arrays import Classifier, Floats, Graph, Indexed, Ints, OnnxPart, Transformer

_logger = logging.getLogger(__name__)

MAX_INT = 10**9
_N_COLOR_AXES = 3
_SMALL_SIDE = 64
PositiveInt = Annotated[int, Field(ge=1, le=MAX_INT)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Reads = Literal["pixels", "embedding", "pixels and embedding"]

CHOICES = {
    "datasets": "name",
    "embeddings": "method",
    "selection": "method",
    "propagation": "method",
    "classifiers": "model",
}
"""Kind, which is a folder -> setting that names the chosen method."""


class Strict(BaseModel):
    """Settings that refuse unknown keys, values of another type, and changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Method(Strict):
    """What every method has.

    Attributes
    ----------
    candidates
        Names of the methods that it chooses from, if that is what it does: where images decide,
        that for small gray ones, then that for photographs.
    """

    candidates: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        """Name of its module, by which params.yaml chooses it."""
        return type(self).__module__.rpartition(".")[2]


class Facts(NamedTuple):
    """What is known of a data set before it is read.

    Attributes
    ----------
    n_train_images, n_test_images
    image_shape
        Height, width and optionally channels, in pixels.
    """

    n_train_images: int
    n_test_images: int
    image_shape: tuple[int, ...]


class Images(NamedTuple):
    """A data set, ready to be written.

    Attributes
    ----------
    arrays
        `train_images` and `test_images`, uint8 in 0..255 of shape (n_images, height, width), or
        with 3 channels after that; `train_labels` and `test_labels`, int64 of shape (n_images,),
        positions in the class names, -1 where nobody knows it. Images may be arrays, or give them
        where they are indexed, a block at a time.
    names, sha256
        Of each training image: path or position; hexadecimal hash of its content.
    problems
        File that was skipped, its name on one line and in Unicode, and why.
    """

    arrays: Mapping[str, Indexed]
    names: list[Any]
    sha256: list[str]
    problems: list[tuple[str, str]]


class DatasetMethod(Method):
    """A data set: where images come from.

    Attributes
    ----------
    facts
        None where they are known only when it is read.
    """

    facts: ClassVar[Facts | None] = None

    @property
    def no_oracle(self) -> str | None:
        """Why nobody knows the labels of its training images, if so."""
        return None

    @property
    def own_files(self) -> Path | None:
        """Where a user's own files lie, if it is made of them."""
        return None

    def problems(self) -> list[str]:
        """Say what is wrong with the settings if this data set is chosen, one sentence each."""
        return []

    def names_of_classes(self) -> list[str]:
        """Name of class i at position i."""
        raise NotImplementedError

    def read(self) -> Images:
        """Read all images.

        Raises
        ------
        FewlabelError
            If they cannot be had.
        """
        raise NotImplementedError


class EmbeddingMethod(Method):
    """A feature space, of clusters, the graph and (if its settings say so) the classifier.

    Attributes
    ----------
    ordered_components
        Whether the features are components in the order of their variance, of which the first tell
        most.
    separates_classes
        Whether the features were learned to tell classes apart. A regression then knows what
        neighbors in a graph know.
    needs_unit_pixels
        Whether pixels must be from 0 (black) to 1.
    """

    ordered_components: ClassVar[bool] = False
    separates_classes: ClassVar[bool] = False
    needs_unit_pixels: ClassVar[bool] = False

    def problems(self, n_images: int | None, image_shape: tuple[int, ...] | None) -> list[str]:
        """Say which settings cannot be had of the images.

        Parameters
        ----------
        n_images, image_shape
            Training images; height, width and optionally channels. None where they are not known.

        Returns
        -------
        list of str
            What is wrong and what is allowed, one sentence each, the most basic first.
        """
        return []

    def memory_needed(
        self, image_shape: tuple[int, ...], n_images: list[int], n_threads: int
    ) -> dict[str, int]:
        """Return what is needed in bytes, at least, by the setting that decides it.

        `n_images` is of training and test images.
        """
        return {}

    def build(self, image_shape: tuple[int, ...], seed: int) -> Transformer:
        """Return an unfitted scikit-learn transformer, from rows of pixels to rows of features.

        It is fitted to a `fewlabel.rows.ImageRows`, which scikit-learn takes for an array and reads
        into memory, and transforms a block of rows at a time.
        """
        raise NotImplementedError

    def leading(self, features: Floats) -> Floats:
        """Return the part of features that clusters and the graph are made of."""
        return features

    @staticmethod
    def to_keras(keras: ModuleType, embedding: Any, rows: Any) -> Any:
        """Return features of rows of pixels, both Keras tensors, as the fitted transformer does.

        By default, the transformer's own `to_keras` does it. The layers must be Keras's own, so
        that the packaged classifier needs no other code.
        """
        return embedding.to_keras(keras, rows)

    @staticmethod
    def onnx_part(embedding: Any) -> OnnxPart | None:
        """Return what of the fitted transformer Keras cannot express, if so.

        `to_keras` then gets what this part gives, in place of rows of pixels.
        """
        return None


class Clusters(NamedTuple):
    """Clusters of images, and the image of each that is to be labeled.

    Attributes
    ----------
    model
        What was fitted, for joblib.
    assignment : shape (n_images,), int32
        Cluster of each image.
    distance : shape (n_images,), float32
        Of each image to the center of its cluster.
    representatives : shape (n_clusters,), int64
        One image of each cluster.
    """

    model: Any
    assignment: Ints
    distance: Floats
    representatives: Ints


class SelectionMethod(Method):
    """A choice of the images to label: clusters and their representatives."""

    def select(self, X: Indexed, *, n_clusters: int, seed: int) -> Clusters:
        """Cluster images, rows of X, and choose a representative of each cluster.

        Raises
        ------
        FewlabelError
            If there cannot be as many clusters.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The images that labels are propagated to; what not every method needs is a function.

    Attributes
    ----------
    y : shape (n_images,)
        Labels, -1 where unlabeled.
    n_classes
    assignment : shape (n_images,)
        Cluster of each image.
    distance
        Returns the distance to the center of each image's cluster, of shape (n_images,).
    affinity
        Returns the kNN graph of `fewlabel.propagation.knn_graph.affinity_graph`.
    images
        Returns the `fewlabel.rows.ImageRows` of their normalized pixels.
    features : shape (n_images, n_features)
        Their features, an array or what gives one where it is indexed.
    embedding
        Returns the fitted transformer from such rows to features.
    facts
        What is known of the features, whatever the settings.
    """

    y: Ints
    n_classes: int
    assignment: Ints
    distance: Callable[[], Floats]
    affinity: Callable[[], Graph]
    images: Callable[[], Any]
    features: Indexed
    embedding: Callable[[], Transformer]
    facts: EmbeddingMethod


class PropagationMethod(Method):
    """A way from the labels of a few images to pseudo-labels of all."""

    def propagate(self, pool: Pool) -> tuple[Ints, Floats]:
        """Give every image a class.

        Returns
        -------
        pseudo_labels : shape (n_images,), int64
            The image's own label where it has one; -1 where no label reaches.
        confidence : shape (n_images,)
            Larger is surer; infinite where `y` has a label.
        """
        raise NotImplementedError


class ClassifierMethod(Method):
    """A classifier to train.

    Attributes
    ----------
    is_overconfident
        Whether it is as sure of wrong labels as of right ones, so that what it learns from
        pseudo-labels has to be made less sure.
    """

    is_overconfident: ClassVar[bool] = False

    @property
    def reads(self) -> Reads:
        """What its rows are: pixels, features, or pixels and then features; a setting, if any."""
        reads: Reads = getattr(self, "features", "pixels")
        return reads

    @property
    def needs_unit_pixels(self) -> str | None:
        """What setting needs pixels from 0 (black) to 1, as "train.cnn.augment is True", if one."""
        return None

    def fit_arguments(self, weights: Floats) -> dict[str, Any]:
        """Return what else than rows and labels the `fit` of a scikit-learn classifier gets.

        `weights` are of the labels. Networks count all labels alike.
        """
        return {}

    def check(self, classifier: Any) -> None:
        """Raise a FewlabelError, which begins with model and setting, if fitting failed."""

    def build(self, image_shape: tuple[int, ...] | None, seed: int) -> Classifier:
        """Return an unfitted classifier with `predict_proba`.

        `image_shape` is of the images whose pixels are the rows, or begin them; None for rows of
        features.
        """
        raise NotImplementedError

    @staticmethod
    def to_keras(keras: ModuleType, classifier: Any, rows: Any) -> Any:
        """Return probabilities of the classes that labels were of, both Keras tensors.

        The classifier is what was fitted, of a network its Keras model; layers must be Keras's own.
        """
        raise NotImplementedError


def are_photographs(image_shape: tuple[int, ...]) -> bool:
    """Return whether images of this shape are of color, or have a side of over 64 pixels.

    Examples
    --------
    >>> are_photographs((28, 28)), are_photographs((32, 32, 3)), are_photographs((300, 300))
    (False, True, True)
    """
    return len(image_shape) == _N_COLOR_AXES or max(image_shape[:2]) > _SMALL_SIDE


@cache
def names(kind: str) -> list[str]:
    """Return the names of all methods of a kind.

    Examples
    --------
    >>> names("embeddings")
    ['auto', 'patches', 'pca', 'pixels', 'pretrained']
    """
    files = sorted(Path(__file__).with_name(kind).glob("*.py"))
    return [
        file.stem
        for file in files
        if re.search(r"^class Settings\(", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def settings_of(kind: str, name: str) -> type[Any]:
    """Return the class `Settings` of a method.

    Examples
    --------
    >>> settings_of("selection", "minibatch")()
    Settings(batch_size=4096, max_iter=20)
    """
    settings: type[Any] = importlib.import_module(f"fewlabel.{kind}.{name}").Settings
    return settings


def chosen(kind: str, section: Strict) -> Any:
    """Return the settings of the method that a section of params.yaml chooses."""
    return getattr(section, getattr(section, CHOICES[kind]))


def possible(kind: str, section: Strict) -> dict[str, Any]:
    """Return name -> settings of the method that a section chooses, or of all its candidates."""
    method = chosen(kind, section)
    return {name: getattr(section, name) for name in method.candidates or (method.name,)}


def suited(kind: str, section: Strict, image_shape: Callable[[], tuple[int, ...]]) -> Any:
    """Return the method that a section chooses; if that leaves it to the images, log the choice."""
    method = chosen(kind, section)
    if not method.candidates:
        return method
    shape = image_shape()
    choice = suited_name(kind, method.name, shape)
    kinds = "photographs" if are_photographs(shape) else "small and gray"
    _logger.info("%s: %s, since images are %s", kind, choice, kinds)
    return getattr(section, choice)


def suited_facts(kind: str, name: str, image_shape: tuple[int, ...]) -> Any:
    """Return the same method by the name that params.yaml has, with default settings."""
    return settings_of(kind, suited_name(kind, name, image_shape))()


def suited_name(kind: str, name: str, image_shape: tuple[int, ...]) -> str:
    """Return the name of the method that a name in params.yaml stands for with such images.

    Examples
    --------
    >>> suited_name("embeddings", "auto", (28, 28)), suited_name("embeddings", "pca", (28, 28))
    ('patches', 'pca')
    """
    method: Method = settings_of(kind, name)()
    return method.candidates[are_photographs(image_shape)] if method.candidates else name
