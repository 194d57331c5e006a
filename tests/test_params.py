"""The settings: the repository's own, and what the schema refuses."""

import copy
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from docs.params import params_text
from fewlabel.errors import FewlabelError
from fewlabel.methods import Strict
from fewlabel.settings import Params, ParamsError, read_params, run_stage
from tests.conftest import NETWORKS

CHECKOUT = Path(__file__).parents[1]
# Not those of the checkout, which are whatever its user set.
FASHION_MNIST = {
    "dataset.name": "fashion_mnist",
    "label_budget": 100,
    "embed.patches.patch_size": 6,
    "embed.patches.n_centroids": 400,
    "embed.patches.n_components": 512,
    "embed.patches.n_leading_components": 128,
    "train.model": "cnn_mlp_ensemble",
}


def default_text():
    """Write the settings of the tests, except for another data set."""
    yaml = YAML()
    params = yaml.load(CHECKOUT / "tests/params.yaml")
    for key, value in FASHION_MNIST.items():
        section, leaf = section_of(params, key)
        section[leaf] = value
    text = io.StringIO()
    yaml.dump(params, text)
    return text.getvalue()


def section_of(values, key):
    """Return the section that has a key, and what the key is called there."""
    *sections, leaf = key.split(".")
    for name in sections:
        values = values[name]
    return values, leaf


TEXT = default_text()
VALUES = YAML(typ="safe", pure=True).load(TEXT)

INFINITY = math.inf
UP = math.nextafter
MOST = 1_000_000_000
# Least and greatest value allowed of each number; written from what params.yaml's comments say.
INTEGERS = {
    "seed": (0, 4294967295),
    "label_budget": (1, 60_000),
    "embed.pca.n_components": (1, MOST),  # of a method that is not chosen
    "embed.patches.patch_size": (2, 28),
    "embed.patches.n_centroids": (1, MOST),
    "embed.patches.n_sampled_patches": (100, MOST),
    "embed.patches.pooling_grid": (1, 23),  # a patch of 6 pixels has 23 positions
    "embed.patches.n_components": (1, 6400),  # 16 regions by 400 centroids
    "embed.patches.n_leading_components": (1, 512),
    "cluster.n_iterations": (1, MOST),
    "label.check_size": (0, 59_900),
    "cluster.kmeans.n_init": (1, MOST),
    "cluster.kmeans.max_iter": (1, MOST),
    "cluster.minibatch.batch_size": (1, MOST),
    "cluster.minibatch.max_iter": (1, MOST),
    "graph.n_neighbors": (1, 59_999),
    "propagate.graph.n_iterations": (1, MOST),
    "propagate.regression.n_iterations": (1, MOST),
    "train.logistic_regression.max_iter": (1, MOST),
    "train.max_images": (1, MOST),
    **{
        f"train.{network}.{name}": (least, MOST)
        for network in NETWORKS
        for name, least in (("epochs", 1), ("min_steps", 1), ("batch_size", 2))
    },
}
# So that they limit no other setting.
FEW_COMPONENTS = {"embed.patches.n_components": 1, "embed.patches.n_leading_components": 1}
TINY, HUGE = UP(0, 1), sys.float_info.max
FLOATS = {
    "embed.patches.variance_power": (0, 1),
    "embed.pretrained.variance_power": (0, 1),
    "cluster.alpha": (0, UP(1, 0)),
    "label.oracle_error_rate": (0, 1),
    "propagate.graph.alpha": (TINY, UP(1, 0)),
    "propagate.label_weight": (TINY, HUGE),
    "propagate.percentile": (TINY, 100),
    "train.logistic_regression.C": (TINY, HUGE),
    "propagate.regression.alpha": (TINY, UP(1, 0)),
    "propagate.regression.graph_half_weight": (0, HUGE),
    "propagate.regression.neighbor_half_weight": (TINY, HUGE),
    **{f"train.{network}.learning_rate": (TINY, HUGE) for network in NETWORKS},
    **{f"train.{network}.label_smoothing": (0, UP(1, 0)) for network in NETWORKS},
}
BOOLEANS = ["train.cnn.augment", "train.cnn_mlp_ensemble.cnn.augment"]
CHOICES = {
    "dataset.name": ["fashion_mnist", "mnist", "digits", "elpv", "cifar10", "folder"],
    "normalize.method": ["unit", "minmax", "standard"],
    "embed.method": ["auto", "pixels", "pca", "patches", "pretrained"],
    "embed.pretrained.scaling": ["own", "none", "unit", "symmetric", "imagenet", "clip"],
    "embed.pretrained.tokens": ["class", "mean"],
    "cluster.method": ["kmeans", "minibatch"],
    "cluster.kmeans.init": ["k-means++", "random"],
    "label.source": ["oracle", "human"],
    "propagate.method": ["auto", "cluster", "graph", "regression"],
    "train.model": [
        "auto",
        "logistic_regression",
        "mlp",
        "wide_mlp",
        "small_cnn",
        "cnn",
        "cnn_mlp_ensemble",
    ],
    "train.logistic_regression.features": ["pixels", "embedding"],
    "train.mlp.features": ["pixels", "embedding"],
    "train.wide_mlp.features": ["pixels", "embedding"],
}
OF_A_FOLDER = [
    f"dataset.folder.{key}"
    for key in ("path", "image_size", "class_names", "test_labels", "train_labels")
]
FOLDER = {
    "dataset.name": "folder",
    "dataset.folder.path": "data/images/photos",
    "dataset.folder.class_names": ["cat", "dog"],
    "dataset.folder.test_labels": "labels.csv",
    "label.source": "human",
}
OF_A_NETWORK = ["embed.pretrained.model", "embed.pretrained.image_size"]
OWN_NETWORK = {
    "embed.method": "pretrained",
    "embed.pretrained.model": "data/networks/mine.keras",
    "embed.pretrained.scaling": "unit",
}
# 8 x 8 pixels.
DIGITS = {"embed.patches.patch_size": 3, "embed.patches.pooling_grid": 3}
STANDARD = {"embed.method": "pca", "train.cnn_mlp_ensemble.cnn.augment": False}
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
NEVER_A_NUMBER = st.one_of(
    TEXTS, st.sampled_from(["1e-05", "7", "a\nb"]), st.booleans(), st.none(), st.just([1]),
    st.just({"value": 1}), st.sampled_from([math.nan, INFINITY, -INFINITY]),
)  # fmt: skip

# Each example rewrites the one file.
few_examples = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def walk(section, prefix=""):
    """Yield key and value of each leaf, an empty section being one."""
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from walk(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def changed(**changes):
    """Return the repository's settings with other values at dotted keys."""
    values = copy.deepcopy(VALUES)
    for key, value in changes.items():
        section, leaf = section_of(values, key)
        section[leaf] = value
    return values


@pytest.fixture
def read(tmp_path):
    """Return a function that writes settings to a file and reads them."""

    def write_and_read(values):
        # JSON is YAML except for how it spells these.
        text = values if isinstance(values, str) else json.dumps(values)
        text = text.replace(": NaN", ": .nan").replace(": Infinity", ": .inf")
        text = text.replace(": -Infinity", ": -.inf")
        path = tmp_path / "params.yaml"
        path.write_text(text, encoding="utf-8")
        return read_params(path)

    return write_and_read


def refusal(read, values):
    """Return the one line that refuses the settings."""
    with pytest.raises(ParamsError) as error:
        read(values)
    message = str(error.value)
    assert isinstance(error.value, FewlabelError)
    assert len(message.splitlines()) == 1
    assert "params.yaml" in message
    return message


def setting(params, key):
    for name in key.split("."):
        params = getattr(params, name)
    return params


def test_the_repositorys_settings_are_valid_and_all_of_them_are_tested_here(committed):
    params = read_params(committed.folder / "params.yaml")
    leaves = dict(walk(VALUES))
    assert leaves.keys() == dict(walk(params.model_dump())).keys()
    empty = {key for key, value in leaves.items() if value == {}}
    tested = {*INTEGERS, *FLOATS, *BOOLEANS, *CHOICES, *OF_A_FOLDER, *OF_A_NETWORK}
    assert set(leaves) - empty == tested


def test_every_setting_is_explained():
    def unexplained(model, prefix=""):
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Strict):
                yield from unexplained(field.annotation, f"{prefix}{name}.")
            elif not field.description:
                yield prefix + name

    assert list(unexplained(Params)) == []


def test_the_repositorys_settings_are_the_defaults_as_they_are_explained(committed):
    text = (committed.folder / "params.yaml").read_text(encoding="utf-8")
    assert text == params_text(Params())


@pytest.mark.parametrize("key", INTEGERS)
@few_examples
@given(data=st.data())
def test_integers(read, key, data):
    least, greatest = INTEGERS[key]
    value = data.draw(st.integers(least, greatest) | st.sampled_from([least, greatest]), "allowed")
    others = {} if key == "embed.patches.n_leading_components" else dict(FEW_COMPONENTS)
    others |= {"embed.patches.pooling_grid": 1} if key == "embed.patches.patch_size" else {}
    assert setting(read(changed(**others | {key: value})), key) == value
    outside = st.integers(max_value=least - 1) | st.integers(min_value=greatest + 1)
    outside |= st.sampled_from([least - 1, greatest + 1, 2**63, 10**30, -(10**30)])
    wrong = data.draw(outside | NEVER_A_NUMBER | st.floats(), "refused")
    assert f"{key} is {wrong!r}, but must be " in refusal(read, changed(**others | {key: wrong}))


@pytest.mark.parametrize(
    ("key", "digits"), [*((key, 30) for key in INTEGERS), *((key, 400) for key in FLOATS)]
)
def test_a_whole_number_too_large_for_the_machine(read, key, digits):
    wrong = f"1{digits * '0'}"
    message = refusal(read, changed(**{key: int(wrong)}))
    assert f" {key} is {wrong[:30]}" in message
    assert len(message) < 400


def test_a_number_of_more_digits_than_python_writes(read):
    message = refusal(read, TEXT.replace("label_budget: 100", f"label_budget: 0x{'f' * 9000}"))
    assert "label_budget is a number of thousands of digits, but must be less than" in message


@pytest.mark.parametrize("key", FLOATS)
@few_examples
@given(data=st.data())
def test_floats(read, key, data):
    least, greatest = FLOATS[key]
    allowed = st.floats(least, greatest) | st.sampled_from([least, greatest, 1e-05])
    # A whole number is a number, too, where it is in range.
    if math.ceil(least) <= greatest:
        allowed |= st.integers(math.ceil(least), int(min(greatest, 10**9)))
    value = data.draw(allowed, "allowed")
    assert setting(read(changed(**{key: value})), key) == value
    outside = st.floats(max_value=UP(least, -1), allow_infinity=False)
    outside |= st.just(UP(least, -1)) | st.integers(max_value=-1)
    if greatest < HUGE:
        outside |= st.floats(min_value=UP(greatest, 1000)) | st.just(UP(greatest, 1000))
    wrong = data.draw(outside | NEVER_A_NUMBER, "refused")
    assert f"{key} is {wrong!r}, but must be " in refusal(read, changed(**{key: wrong}))


@pytest.mark.parametrize("key", BOOLEANS)
@few_examples
@given(wrong=TEXTS | st.integers() | st.none() | st.sampled_from(["true", 0, 1, 1.0]))
def test_booleans(read, key, wrong):
    assert [setting(read(changed(**{key: v})), key) for v in (False, True)] == [False, True]
    assert f"{key} is {wrong!r}, but must be " in refusal(read, changed(**{key: wrong}))


@pytest.mark.parametrize("key", CHOICES)
@few_examples
@given(wrong=TEXTS | st.integers() | st.booleans() | st.none())
def test_choices(read, key, wrong):
    message = refusal(read, changed(**{key: wrong}))
    assert f"{key} is {wrong!r}, but must be " in message
    assert all(repr(choice) in message for choice in CHOICES[key])


@pytest.mark.parametrize(
    ("key", "choice"), [(key, choice) for key in CHOICES for choice in CHOICES[key]]
)
def test_every_choice_is_accepted(read, key, choice):
    others = {"folder": FOLDER, "digits": DIGITS, "standard": STANDARD}.get(choice, {})
    assert setting(read(changed(**others | {key: choice})), key) == choice


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"dataset.folder.class_names": []},
            "dataset.folder.class_names is [], but must be a list of two",
        ),
        ({"dataset.folder.class_names": ["cat", "cat "]}, "two or more different names"),
        (
            {"dataset.folder.class_names": "cat"},
            "dataset.folder.class_names is 'cat', but must be a valid list",
        ),
        (
            {"dataset.folder.class_names": [1, 2]},
            "dataset.folder.class_names.0 is 1, but must be a valid string",
        ),
        ({"dataset.folder.class_names": ["cat", "?"]}, "none of ?, !, not sure, no image of a"),
        ({"dataset.folder.class_names": ["cat", "not sure"]}, "none of ?, !, not sure, no image"),
        ({"dataset.folder.path": None}, "dataset.folder.path is None, but must be a valid string"),
        (
            {"dataset.folder.image_size": 7},
            "dataset.folder.image_size is 7, but must be greater than or equal to 8",
        ),
        (
            {"dataset.folder.image_size": 513},
            "dataset.folder.image_size is 513, but must be less than or equal to 512",
        ),
        ({"dataset.folder.image_size": 8.0}, "image_size is 8.0, but must be a valid integer"),
        (
            {"dataset.folder.test_labels": 1},
            "dataset.folder.test_labels is 1, but must be a valid string",
        ),
        ({"label.source": "oracle"}, "label.source is 'oracle', but must be 'human'"),
    ],
)
def test_wrong_settings_of_a_folder(read, wrong, words):
    assert words in refusal(read, changed(**FOLDER | wrong))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"image_size": 15}, "image_size is 15, but must be greater than or equal to 16"),
        ({"image_size": 1025}, "image_size is 1025, but must be less than or equal to 1024"),
        ({"image_size": "64"}, "image_size is '64', but must be a valid integer"),
        ({"model": "resnet"}, "model is 'resnet', but must be one of convnext_tiny, "),
        ({"model": "/tmp/mine.keras"}, "or a .keras or .onnx file in data/networks/"),
        ({"model": "data/networks/../mine.onnx"}, "or a .keras or .onnx file in data/networks/"),
        ({"scaling": "own"}, "scaling is 'own', but must be 'none', 'unit', 'symmetric', "),
        ({"model": "mobilenetv2"}, "scaling is 'unit', but must be 'own' where"),
    ],
)
def test_wrong_settings_of_a_network(read, wrong, words):
    wrong = {f"embed.pretrained.{key}": value for key, value in wrong.items()}
    assert words in refusal(read, changed(**OWN_NETWORK | wrong))


@pytest.mark.parametrize("image_size", [None, 16, 1024])
def test_settings_of_a_network(read, image_size):
    params = read(changed(**OWN_NETWORK | {"embed.pretrained.image_size": image_size}))
    assert params.embed.pretrained.image_size == image_size


def test_how_many_images_a_folder_has_is_not_known_yet(read):
    params = read(changed(**FOLDER | {"label_budget": 10**6, "dataset.folder.test_labels": None}))
    assert params.dataset.folder.test_labels is None


def test_a_number_as_dvc_writes_it_is_a_number(read):
    # YAML 1.2; PyYAML, which follows 1.1, makes text of it.
    # The last one of the file.
    start, end = TEXT.rsplit("learning_rate: ", 1)
    rest = end.partition("\n")[2]
    params = read(f"{start}learning_rate: 1e-05\n{rest}")
    assert params.train.wide_mlp.learning_rate == 1e-5
    message = refusal(read, f'{start}learning_rate: "1e-05"\n{rest}')
    assert "train.wide_mlp.learning_rate is '1e-05', but must be a valid" in message


@pytest.mark.parametrize(
    ("name", "n_images"), [("fashion_mnist", 60_000), ("mnist", 60_000), ("digits", 1437)]
)
def test_no_more_labels_or_neighbors_than_the_data_set_has_images(read, name, n_images):
    most = {"dataset.name": name, "label_budget": n_images, "graph.n_neighbors": n_images - 1}
    most |= DIGITS
    assert read(changed(**most)).label_budget == n_images
    for key in ("label_budget", "graph.n_neighbors"):
        message = refusal(read, changed(**most | {key: most[key] + 1}))
        assert f"{key} is {most[key] + 1}, but must be at most {most[key]} with {name}" in message


@pytest.mark.parametrize(("name", "n_pixels"), [("fashion_mnist", 784), ("digits", 64)])
def test_no_more_principal_components_than_pixels(read, name, n_pixels):
    settings = DIGITS | {"dataset.name": name, "embed.pca.n_components": n_pixels + 1}
    read(changed(**settings))  # they do not count with another method
    settings["embed.method"] = "pca"
    assert f"is {n_pixels + 1}, but must be at most {n_pixels}: there are " in refusal(
        read, changed(**settings)
    )
    assert read(changed(**settings | {"embed.pca.n_components": n_pixels}))


PATCHES = "embed.patches."


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"patch_size": 29},
            "embed.patches.patch_size is 29, but must be at most 28: images are 28 x 28 pixels",
        ),
        (
            {"patch_size": 26},
            "embed.patches.pooling_grid is 4, but must be at most 3: a patch of 26 pixels has 3 "
            "positions per side, since images are 28 x 28 pixels",
        ),
        ({"patch_size": 1}, "embed.patches.patch_size is 1, but must be at least 2 where images"),
        (
            {"n_leading_components": 513},
            "embed.patches.n_leading_components is 513, but must be at most 512: they are the "
            "first of embed.patches.n_components",
        ),
        (
            {"n_centroids": 31},
            "embed.patches.n_components is 512, but must be at most 496: they are of 496 responses",
        ),
        ({"n_components": 10_001, "n_centroids": 4000}, "is 10001, but must be at most 10000: "),
    ],
)
def test_patches_that_images_do_not_have(read, wrong, words):
    wrong = {PATCHES + key: value for key, value in wrong.items()}
    assert words in refusal(read, changed(**wrong))
    # They do not count with another method.
    assert read(changed(**wrong | {"embed.method": "pca"})).embed.method == "pca"


def test_a_choice_is_checked_where_the_images_are_known(read):
    wrong = {"embed.method": "auto", "embed.patches.patch_size": 29}
    assert "patch_size is 29, but must be at most 28" in refusal(read, changed(**wrong))
    assert read(changed(**wrong | {"dataset.name": "elpv"})).embed.method == "auto"
    for name in (FOLDER, {"dataset.name": "elpv"}):
        wrong = name | {"embed.method": "auto", "embed.pretrained.model": "a"}
        assert "embed.pretrained.model is 'a', but" in refusal(read, changed(**wrong))


def test_of_a_folder_only_what_any_image_lacks_is_refused(read):
    # Color images have patches of one pixel; how large images are is not known yet.
    params = read(changed(**FOLDER | {f"{PATCHES}patch_size": 1, f"{PATCHES}pooling_grid": 32}))
    assert params.embed.patches.patch_size == 1
    message = refusal(read, changed(**FOLDER | {f"{PATCHES}n_leading_components": 513}))
    assert "n_leading_components is 513, but must be at most 512" in message


@pytest.mark.parametrize(
    ("others", "asks"),
    [
        ({}, "embed.method is 'patches'"),
        ({"embed.method": "pca"}, "train.cnn_mlp_ensemble.cnn.augment is True"),
        ({"embed.method": "pca", "train.model": "cnn"}, "train.cnn.augment is True"),
        ({"embed.method": "auto"}, "embed.method is 'auto'"),
        (
            {"embed.method": "pca", "train.model": "auto"},
            "train.cnn_mlp_ensemble.cnn.augment is True",
        ),
    ],
)
def test_standardized_pixels_are_refused_where_black_must_be_0(read, others, asks):
    message = refusal(read, changed(**others | {"normalize.method": "standard"}))
    assert f"normalize.method is 'standard', but must be 'unit' or 'minmax' where {asks}" in message


@pytest.mark.parametrize("model", ["logistic_regression", "mlp"])
def test_standardized_pixels_are_accepted_where_black_may_be_anything(read, model):
    others = {"embed.method": "pca", "train.model": model}
    assert read(changed(**others | {"normalize.method": "standard"})).train.model == model


# Ordered: pytest-xdist needs the same order of tests in each of its processes.
@pytest.mark.parametrize("key", sorted({key.rpartition(".")[0] for key, _ in walk(VALUES)} | {""}))
def test_an_unknown_key_is_refused_with_those_allowed(read, key):
    unknown = f"{key}.sed".lstrip(".")
    message = refusal(read, changed(**{unknown: 1}))
    section, _ = section_of(VALUES, unknown)
    _, allowed = message.split(f" {unknown} is no setting; allowed here are ")
    assert set(allowed.split(", ")) == (set(section) or {"none"})


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("7: 1", "7 is no setting; allowed here are seed, "),
        ('"a\\nb": 1', "a b is no setting; allowed here are seed, "),
        ("seed: 1", 'found duplicate key "seed"'),
        ("seed", "cannot be read: while scanning"),
        ("x: *unknown", "found undefined alias"),
        ("x: 2001-99-99", "cannot be read: month must be in 1..12"),
        ("x: !!int one", "cannot be read: invalid literal for int()"),
    ],
)
def test_a_line_that_does_not_belong_there(read, line, problem):
    assert problem in refusal(read, f"{TEXT}\n{line}\n")


@pytest.mark.parametrize(("content", "value"), [("", None), ("[1, 2]", [1, 2]), ("abc", "abc")])
def test_a_file_that_is_no_mapping(read, content, value):
    assert f"the file is {value!r}, but must be a mapping of settings" in refusal(read, content)


def test_a_section_that_is_no_mapping(read):
    message = refusal(read, changed(**{"embed.pixels": None, "train": 3}))
    assert "embed.pixels is None, but must be a mapping of settings" in message
    assert "train is 3, but must be a mapping of settings" in message


def test_a_section_without_settings_allows_none(read):
    message = refusal(read, changed(**{"embed.pixels": {"a": 1}}))
    assert message.endswith("embed.pixels.a is no setting; allowed here are none")


SECTIONS_OF_OTHER_METHODS = [
    "dataset.cifar10",
    "dataset.digits",
    "dataset.elpv",
    "dataset.mnist",
    "embed.auto",
    "embed.pixels",
    "propagate.auto",
    "train.auto",
]


@pytest.mark.parametrize("key", [*VALUES, *(key for key, _ in walk(VALUES) if "." in key)])
def test_a_missing_key(read, key):
    values = copy.deepcopy(VALUES)
    section, leaf = section_of(values, key)
    del section[leaf]
    if key in SECTIONS_OF_OTHER_METHODS:  # a new method needs no section until it is chosen
        read(values)
    else:
        assert refusal(read, values).endswith(f": {key} is missing")


def test_a_method_that_is_chosen_needs_its_section(read):
    values = changed(**{"embed.method": "pixels"})
    del values["embed"]["pixels"]
    assert refusal(read, values).endswith(": embed.pixels is missing")


def test_all_problems_are_named_at_once(read):
    message = refusal(read, changed(**{"seed": -1, "train.model": "svm", "label_budget": 0}))
    for part in ("seed is -1, but", "train.model is 'svm', but", "label_budget is 0, but"):
        assert part in message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ParamsError, match=r"params\.yaml cannot be read: .*No such file"):
        read_params(tmp_path / "params.yaml")


def test_a_folder_in_place_of_the_file(tmp_path):
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(ParamsError, match=r"params\.yaml cannot be read: .*Is a directory"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "content", ["[" * 20_000, "a: " + "[" * 20_000 + "]" * 20_000, "{a: " * 9999]
)
def test_a_file_that_is_nested_too_deeply(read, content):
    assert refusal(read, content).endswith("params.yaml cannot be read: it is nested too deeply")


def test_a_mapping_that_is_merged_into_itself(read):
    assert "a is no setting" in refusal(read, "a: &a {<<: *a}")


def test_aliases_of_aliases_stay_short(read):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join(10 * [f'*a{i - 1}'])}]" for i in range(1, 15)]
    message = refusal(read, TEXT.replace("seed: 0", "\n".join([*lines, "seed: *a14"])))
    assert "seed is [[[[[" in message
    assert len(message) < 20_000


def test_merges_of_merges_are_refused(read):
    # Each line holds ten times what the line before it does.
    lines = ["a0: &a0 {k: 1, l: 2}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join(10 * [f'*a{i - 1}'])}]}}" for i in range(1, 15)]
    assert "cannot be read: << may merge one mapping only" in refusal(read, "\n".join(lines))


def test_an_alias_and_a_merge_are_as_if_written_out(read):
    text = TEXT.replace("\n  cnn:\n", "\n  cnn: &cnn\n")
    start, end = text.index("    cnn:\n"), text.index("    wide_mlp:\n")
    for merged in ("    cnn: *cnn\n", "    cnn:\n      <<: *cnn\n      epochs: 7\n"):
        cnn = read(text[:start] + merged + text[end:]).train.cnn_mlp_ensemble.cnn
        assert cnn.epochs == 7 if "epochs" in merged else cnn.model_dump() == VALUES["train"]["cnn"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"seed: \0", "unacceptable character #x0000"),
        (b"\0" * 900_000, "unacceptable character #x0000"),
        (b"a: \xff\xff", "unacceptable character #x00ff"),
        (b"#" * 1_000_001, "has more than 1,000,000 bytes"),
    ],
)
def test_bytes_that_are_no_settings(tmp_path, content, words):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ParamsError, match=re.escape(words)) as error:
        read_params(path)
    assert len(str(error.value)) < 400 + len(str(path))


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "params.yaml"
    with path.open("wb") as file:
        file.truncate(10**12)  # sparse: it takes no space, but would not fit into memory
    with pytest.raises(ParamsError, match="has more than 1,000,000 bytes"):
        read_params(path)


LONG, LONG_KEY = 100_000 * "x", 1000 * "k"


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": LONG}, {"seed": 9 * [LONG]}, {"seed": {LONG_KEY: LONG}}, {LONG_KEY: 1},
        {"train.model": LONG}, {"dataset.folder.class_names": LONG}, {"embed": LONG},
        FOLDER | {"dataset.folder.class_names": [LONG]}, {f"k{i}": LONG[:99] for i in range(999)},
    ],
)  # fmt: skip
def test_a_long_value_is_shortened(read, wrong):
    message = refusal(read, changed(**wrong))
    assert "…" in message or "more problems" in message
    assert len(message) < 5000


@pytest.mark.parametrize("text", [f"!!int {LONG}", f"seed: *{LONG}", f"&{LONG}"])
def test_a_long_reason_is_shortened(read, text):
    assert len(refusal(read, text)) < 1000


@few_examples
@given(st.text(max_size=60))
def test_any_text_is_refused_in_one_line(read, text):
    refusal(read, text)


def test_settings_do_not_change():
    params = read_params(CHECKOUT / "tests/params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        params.train.cnn.epochs = 7


def test_run_passes_settings_and_words_on_and_ends_with_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stage", "one", "two"])

    def main(params, *words):
        raise FewlabelError(f"{params.label_budget} {words}")

    with pytest.raises(SystemExit, match=r"^error: params\.yaml cannot be read"):
        run_stage(main)
    (tmp_path / "params.yaml").write_text(TEXT, encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        run_stage(main)
    # Python prints text on the error stream and exits with 1.
    assert end.value.code == f"error: {VALUES['label_budget']} ('one', 'two')"


def test_reading_the_settings_loads_nothing_heavy():
    # A stage must refuse a wrong setting before it spends seconds on imports.
    read = "from fewlabel.settings import read_params; read_params('tests/params.yaml')"
    script = f"import sys; {read}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    heavy = {"keras", "matplotlib", "pandas", "scipy", "sklearn", "tensorflow"}
    assert heavy.isdisjoint(done.stdout.split())
