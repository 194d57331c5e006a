"""The contact sheet: what it shows, and that it is the same bytes each time."""

import io

import numpy as np
import pytest

from fewlabel.annotation.contact_sheet import draw_contact_sheet

NAMES = [f"class {i}" for i in range(10)]


def draw(n_clusters, names=NAMES):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n_clusters, 8, 8), np.uint8)
    labels = rng.integers(0, len(names), n_clusters)
    sizes = rng.permutation(n_clusters) * 37 + 1
    positions = rng.permutation(n_clusters + 3)[:n_clusters]
    every_image = np.zeros((n_clusters + 3, 8, 8), np.uint8)
    every_image[positions] = images
    return images, labels, sizes, draw_contact_sheet(every_image, positions, labels, sizes, names)


@pytest.mark.parametrize("n_clusters", [1, 37, 150])
def test_shows_the_largest_clusters_by_class_and_size(n_clusters):
    images, labels, sizes, figure = draw(n_clusters)
    largest = np.argsort(-sizes)[:100]
    order = largest[np.lexsort((-sizes[largest], labels[largest]))]
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == len(order) == min(n_clusters, 100)
    for axis, i in zip(shown, order, strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), images[i])
        assert axis.get_title() == NAMES[labels[i]]
        assert axis.get_xlabel() == f"{sizes[i]:,} images"
    assert not any(axis.axison for axis in figure.axes if not axis.images)


@pytest.mark.parametrize(
    ("n_clusters", "title"),
    [
        (37, "Representatives of 37 clusters: label, cluster size"),
        (150, "Representatives of the 100 largest of 150 clusters: label, cluster size"),
    ],
)
def test_title_says_how_many(n_clusters, title):
    assert draw(n_clusters)[-1].get_suptitle() == title


@pytest.mark.parametrize("n_clusters", [1, 7, 150])
def test_texts_lie_inside_the_figure_and_apart(n_clusters, require_texts_apart):
    require_texts_apart(draw(n_clusters)[-1])


@pytest.mark.parametrize("n_clusters", [1, 37, 150])
def test_saved_twice_is_the_same_bytes(n_clusters):
    saved = []
    for _ in range(2):
        content = io.BytesIO()
        draw(n_clusters)[-1].savefig(content, format="png")
        saved.append(content.getvalue())
    assert saved[0] == saved[1]
    assert saved[0].startswith(b"\x89PNG")


def test_names_are_no_formulas():
    figure = draw(3, ["$", "$a_b_c$"])[-1]
    figure.draw_without_rendering()
    assert {axis.get_title() for axis in figure.axes if axis.images} <= {"$", "$a_b_c$"}


@pytest.mark.parametrize(("side", "colors"), [(28, "gray_r"), (65, "gray")])
def test_gray_photographs_are_no_negatives(side, colors):
    images = np.zeros((2, side, side), np.uint8)
    figure = draw_contact_sheet(images, np.arange(2), np.arange(2), np.ones(2, int), NAMES)
    assert {axis.images[0].cmap.name for axis in figure.axes if axis.images} == {colors}


def test_more_than_ten_classes_have_colors_of_their_own():
    *_, labels, _, figure = draw(100, [f"class {i}" for i in range(30)])
    colors = {axis.title.get_color() for axis in figure.axes}
    assert len(colors) == len(np.unique(labels))
