"""The picture of `make demo-photos`: which images it shows, and that it can be read."""

import numpy as np
import pytest

from benchmarks.photographs import draw_panels, prediction_tiles, representative_tiles, title

NAMES = ["functional", "defective"]
N = 60


@pytest.fixture(scope="module")
def made():
    """Return images, each of one gray value of its own, true classes and probabilities."""
    rng = np.random.default_rng(0)
    images = np.tile(np.arange(N, dtype=np.uint8)[:, None, None], (20, 20))
    sure = rng.permutation(np.linspace(0.013, 0.99, N)).astype(np.float32)
    return images, rng.integers(2, size=N), np.column_stack([1 - sure, sure])


def shown(tiles):
    return [int(tile.image[0, 0]) for tile in tiles]


def test_the_panels_show_the_surest_the_least_sure_and_the_wrong(made):
    images, labels, probabilities = made
    panels = prediction_tiles(images, labels, probabilities, NAMES)
    most, least, wrong = (shown(tiles) for tiles in panels.values())
    sure = probabilities[:, 1]
    assert most[:6] == sorted(range(N), key=lambda i: sure[i])[:6]
    assert most[6:] == sorted(range(N), key=lambda i: -sure[i])[:6]
    assert least == sorted(range(N), key=lambda i: abs(sure[i] - 0.5))[:12]
    is_wrong = [i for i in range(N) if (sure[i] > 0.5) != labels[i]]
    assert wrong == sorted(is_wrong, key=lambda i: -abs(sure[i] - 0.5))[:12]
    for tiles in panels.values():
        for tile, i in zip(tiles, shown(tiles), strict=True):
            guess = int(sure[i] > 0.5)
            assert tile.above == f"{NAMES[guess]} {probabilities[i, guess]:.1%}"
            assert tile.below == f"in truth {NAMES[labels[i]]}"
            assert (tile.color == "tab:red") == (guess != labels[i])


def test_representatives_are_of_the_largest_clusters(made):
    images, labels, _ = made
    sizes = np.random.default_rng(1).permutation(N) + 1000
    tiles = representative_tiles(images, labels, sizes, NAMES)
    assert shown(tiles) == sorted(range(N), key=lambda i: -sizes[i])[:12]
    for tile, i in zip(tiles, shown(tiles), strict=True):
        assert (tile.above, tile.below) == (NAMES[labels[i]], f"{sizes[i]:,} images")


@pytest.mark.parametrize("n_wrong", [0, 5, N])
def test_the_picture_has_texts_apart_and_grays_as_they_are(made, n_wrong, require_texts_apart):
    images, _, probabilities = made
    labels = probabilities.argmax(axis=1)
    labels[:n_wrong] = 1 - labels[:n_wrong]
    panels = prediction_tiles(images, labels, probabilities, NAMES)
    panels = {"Labeled": representative_tiles(images, labels, labels + 9, NAMES)} | panels
    heading = title(dict.fromkeys(("random images", "representatives", "propagated"), 0.875))
    figure = draw_panels(heading, panels)
    require_texts_apart(figure)
    axes = [axis for axis in figure.axes if axis.images]
    assert len(axes) == 3 * 12 + min(n_wrong, 12)
    for axis in axes:
        (drawn,) = axis.images
        assert drawn.get_cmap().name == "gray"  # 0 is black
        assert drawn.get_clim() == (0, 255)
    assert not any(axis.axison for axis in figure.axes if not axis.images)
