"""A person labels digits in a real browser, and the pipeline resumes with the labels."""

import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

N_LABELS = 20


@contextmanager
def served(project, *words):
    """Serve the page, or what a command of other words serves; yield its address and process."""
    command = [sys.executable, "-u", "-m", *(words or ("fewlabel.web",))]
    environment = project.environment | {"BROWSER": "true"}
    process = subprocess.Popen(
        command, cwd=project.folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield re.search(r"http[^\s]+/\S*?(?=\.?\s)", process.stdout.readline())[0], process
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox"]  # as root, Chromium starts with no other
        path = shutil.which("chromium")  # else Playwright's own
        browser = playwright.chromium.launch(executable_path=path, args=options)
        page = browser.new_context().new_page()
        problems = []
        page.on("pageerror", lambda error: problems.append(error))
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        yield page
        browser.close()
    assert problems == []
    assert all(re.match(r"http://127\.0\.0\.1:\d+/|data:|blob:", url) for url in requests), requests


@pytest.fixture
def unlabeled(project):
    project.set({"label.source": "human", "label_budget": N_LABELS})
    message = project.run("dvc", "repro", fails=True).stderr
    assert f"{N_LABELS} of {N_LABELS} images have no label yet; run `make label`" in message
    return project


def shown(page):
    """Position of the image that the page asks about."""
    return int(page.get_attribute("#image", "src").removeprefix("image/"))


def wait_for_image(page):
    # Its size is known shortly before its load event, until which the page takes no label.
    # The page's policy forbids eval, with which Playwright would poll by itself.
    while not page.evaluate("visible && !busy"):
        page.wait_for_timeout(10)


def press(page, key, *, n_pending):
    wait_for_image(page)
    page.keyboard.press(key)
    page.wait_for_selector(f"#progress:text-matches(', {n_pending} left$')", state="attached")


def labels_of(project):
    return pd.read_csv(project.folder / "data/annotations/labels.csv", dtype={"label": str})


def test_twenty_digits_are_labeled_by_keyboard(unlabeled, page):
    truth = np.load(unlabeled.folder / "data/raw/train_labels.npy")
    expected = {}

    def label(n_pending):
        position = shown(page)
        expected[position] = str(truth[position])
        press(page, expected[position], n_pending=n_pending)

    with served(unlabeled) as (address, process):
        page.goto(address)
        page.wait_for_selector("#image[src]")
        for n_pending in range(N_LABELS - 1, 11, -1):
            label(n_pending)
        undone = shown(page)
        press(page, str(9 - truth[undone]), n_pending=11)  # a slip
        press(page, "Backspace", n_pending=12)
        assert shown(page) == undone
        label(11)
        expected[shown(page)] = "?"
        press(page, "Space", n_pending=10)
        wait_for_image(page)
        process.kill()
        process.wait()
        page.keyboard.press("1")
        page.wait_for_selector("text=The server does not answer")
    assert len(labels_of(unlabeled)) == 10
    with served(unlabeled) as (address, process):
        page.goto(address)
        for n_pending in range(9, -1, -1):
            page.wait_for_selector("#image[src]")
            label(n_pending)
        page.wait_for_selector("text=All are labeled")
        assert page.locator("#grid button").count() == N_LABELS
        process.terminate()
        assert "`dvc repro` resumes" in process.stdout.read()

    given = labels_of(unlabeled)
    assert dict(zip(given["image"].astype(int), given["label"], strict=True)) == expected
    hashes = pd.read_csv(unlabeled.folder / "data/raw/train_files.csv").set_index("image")["sha256"]
    assert (hashes[given["image"]].to_numpy() == given["sha256"]).all()
    status = unlabeled.run("git", "status", "--porcelain", "data/annotations").stdout
    assert status == " M data/annotations/labels.csv\n"

    unlabeled.repro()
    propagated = np.load(unlabeled.folder / "data/propagated/labels.npy")
    assignment = np.load(unlabeled.folder / "data/clusters/assignment.npy")
    (skipped,) = [position for position, label in expected.items() if label == "?"]
    assert (propagated[assignment == assignment[skipped]] == -1).all()
    assert (propagated >= 0).mean() > 0.5
    assert '"accuracy"' in (unlabeled.folder / "metrics/propagated.json").read_text()
    assert unlabeled.repro() == []

    unlabeled.set({"label.check_size": 3})
    with served(unlabeled) as (address, _):
        page.goto(address)
        for n_pending in (2, 1, 0):
            page.wait_for_selector("text=only measures how good the result is")
            assert page.locator("#nearest img").count() == 0
            press(page, str(truth[shown(page)]), n_pending=n_pending)
        page.click("text=What the labels of the last run say")
        page.wait_for_selector("text=set label.check_size to 100 or more", state="visible")
    unlabeled.repro()
    assert '"check_images": 3' in (unlabeled.folder / "metrics/propagated.json").read_text()
    taught = np.load(unlabeled.folder / "data/propagated/labels.npy")
    assert (taught[np.load(unlabeled.folder / "data/check/labels.npy") >= 0] == -1).all()


def test_labels_are_changed_in_the_review_and_by_mouse(unlabeled, page):
    with served(unlabeled) as (address, _):
        page.set_viewport_size({"width": 390, "height": 844})  # a phone
        page.goto(address)
        page.wait_for_selector("#image[src]")
        first = shown(page)
        wait_for_image(page)
        page.click("#classes button >> nth=3")
        page.wait_for_selector("text=19 left")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.click("#to-review")
        page.click("#grid button")
        page.wait_for_selector("#classes button.chosen")
        wait_for_image(page)
        page.click("#no-class")
        page.wait_for_selector("#grid .unusual")
        page.keyboard.press("Enter")
        page.wait_for_selector("#label:not([hidden])")
    (given,) = labels_of(unlabeled).itertuples()
    assert (int(given.image), given.label) == (first, "!")


def test_two_tabs_do_not_overwrite_each_other(unlabeled, page):
    with served(unlabeled) as (address, _):
        page.goto(address)
        page.wait_for_selector("#image[src]")
        other = page.context.new_page()
        other.goto(address)
        other.wait_for_selector("#image[src]")
        mine, theirs = shown(page), shown(other)
        assert mine != theirs
        press(page, "1", n_pending=19)
        press(other, "2", n_pending=18)
    assert dict(labels_of(unlabeled)[["image", "label"]].to_numpy()) == {mine: "1", theirs: "2"}


def test_a_contradiction_is_settled_on_the_page(unlabeled, page, tmp_path):
    path = unlabeled.folder / "data/annotations/labels.csv"
    hashes = pd.read_csv(unlabeled.folder / "data/raw/train_files.csv", dtype=str)["sha256"]
    header = path.read_text(encoding="utf-8")
    lines = [f"5,{hashes[5]},3,2026-01-01T00:00:00+00:00,Ann", f"5,{hashes[5]},8,,<b>Bob"]
    path.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    with served(unlabeled) as (address, _):
        page.goto(address)
        page.wait_for_selector("#contradiction")
        assert shown(page) == 5
        text = page.inner_text("#contradiction")
        assert text == "People disagree: 8 by <b>Bob, 3 by Ann. Your label replaces these."
        assert page.locator("#classes button.disputed").all_inner_texts() == ["3\n3", "8\n8"]
        wait_for_image(page)
        page.screenshot(path=tmp_path / "contradiction.png")
        press(page, "3", n_pending=19)
        assert page.is_hidden("#contradiction")
        assert shown(page) != 5
        page.keyboard.press("Backspace")  # asks again, and keeps the annotation until then
        page.wait_for_selector("#image[src='image/5']")
        press(page, "8", n_pending=19)
    assert labels_of(unlabeled)[["image", "label"]].to_numpy().tolist() == [[5, "8"]]


def test_an_unreadable_file_is_told_until_it_is_mended(unlabeled, page):
    path = unlabeled.folder / "data/annotations/labels.csv"
    whole = path.read_text(encoding="utf-8")
    with served(unlabeled) as (address, _):
        path.write_text(f"<<<<<<< HEAD\n{whole}", encoding="utf-8")
        page.goto(address)
        page.wait_for_selector("text=has the markers of a merge conflict")
        path.write_text(whole, encoding="utf-8")
        page.wait_for_selector("#image[src]")
        press(page, "1", n_pending=19)
        labeled = path.read_text(encoding="utf-8")
        path.write_text(f"{labeled}<<<<<<< HEAD\n", encoding="utf-8")
        wait_for_image(page)
        page.keyboard.press("2")
        page.wait_for_selector("text=Nothing was saved:")
        path.write_text(labeled, encoding="utf-8")
        press(page, "2", n_pending=18)
        assert page.is_hidden("#message")
    assert len(labels_of(unlabeled)) == 2


def test_dropped_pictures_are_classified(project, page, tmp_path):
    for name, gray in (("dark.png", 20), ("bright.png", 235)):
        Image.new("L", (40, 30), gray).save(tmp_path / name)
    (tmp_path / "text.png").write_text("text")
    names = ("dark.png", "bright.png", "text.png")
    command = ("fewlabel.cli", "serve", "models/classifier.keras", "--port", "0")
    with served(project, *command) as (address, _):
        page.goto(address)
        page.set_input_files("#files", [tmp_path / name for name in names])
        page.wait_for_selector(".problem")
        page.wait_for_selector("meter >> nth=5")
        assert page.locator("meter").count() == 6
        shown = page.locator("article h2").all_inner_texts()
        assert shown == list(reversed(names))
        assert "neither PNG nor JPEG" in page.inner_text(".problem")
        best = page.locator("article:last-child meter").first
        assert 0.1 <= float(best.get_attribute("value")) <= 1
        page.screenshot(path=tmp_path / "classified.png")
        page.click("summary")
        assert "# Model card" in page.inner_text("details pre")
