"""Probabilities that are as good as they say, and what says how good they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fewlabel.calibration import (
    MAX_TEMPERATURE,
    temperature_by_accuracy,
    temperature_by_labels,
    tempered,
    to_keras,
)
from fewlabel.estimate import estimate
from fewlabel.keras_session import import_keras
from fewlabel.metrics import expected_calibration_error

LOGITS = arrays(np.float64, (6, 4), elements=st.floats(-30, 30))


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@given(LOGITS, st.floats(1 / MAX_TEMPERATURE, MAX_TEMPERATURE))
def test_a_temperature_divides_logits(logits, temperature):
    expected = softmax(logits / temperature)
    np.testing.assert_allclose(tempered(softmax(logits), temperature), expected, atol=1e-6)


def test_classes_that_no_label_was_of_stay_impossible():
    even = tempered(np.array([[0, 1, 0], [0, 0.5, 0.5]], np.float32), MAX_TEMPERATURE)
    np.testing.assert_array_equal(even, [[0, 1, 0], [0, 0.5, 0.5]])


@pytest.mark.parametrize("temperature", [1 / MAX_TEMPERATURE, 0.5, 1, 2, MAX_TEMPERATURE])
def test_keras_gives_the_same(temperature):
    keras = import_keras()
    probabilities = np.random.default_rng(0).dirichlet([0.1] * 5, 50).astype(np.float32)
    row = keras.Input((5,))
    model = keras.Model(row, to_keras(keras, row, temperature) + 0.0)
    expected = tempered(probabilities, temperature)
    np.testing.assert_allclose(model(probabilities), expected, atol=1e-6)


def overconfident(n, temperature, seed=0):
    """Return labels, and probabilities of them that a temperature would make true."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 5)) * 2
    true = softmax(logits)
    labels = (true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return labels, softmax(logits * temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_labels_find_the_temperature(temperature):
    labels, probabilities = overconfident(20_000, temperature)
    found = temperature_by_labels(probabilities, labels)
    assert found == pytest.approx(temperature, rel=0.05)
    after = expected_calibration_error(labels, tempered(probabilities, found))
    assert after < 0.015


def test_labels_that_are_impossible_decide_nothing():
    probabilities = np.array([[0.99, 0.01, 0]] * 5)
    assert temperature_by_labels(probabilities, np.array([0, 0, 0, 1, 2])) == pytest.approx(
        temperature_by_labels(probabilities[:4], np.array([0, 0, 0, 1])), rel=0.01
    )


@pytest.mark.parametrize("n", [1, 20, 100])
def test_labels_that_are_all_right_make_nothing_certain(n):
    probabilities = np.array([[0.9, 0.1]] * n)
    found = temperature_by_labels(probabilities, np.zeros(n, int))
    assert 0.9 < tempered(probabilities, found)[0, 0] < 1 - 0.1 / (n + 1)


def test_accuracy_finds_the_temperature():
    labels, probabilities = overconfident(20_000, 3.0)
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    assert temperature_by_accuracy(probabilities, accuracy) == pytest.approx(3, rel=0.1)
    assert temperature_by_accuracy(probabilities, 0.0) == pytest.approx(MAX_TEMPERATURE, rel=0.01)
    assert temperature_by_accuracy(probabilities, 1.0) == pytest.approx(
        1 / MAX_TEMPERATURE, rel=0.3
    )


def test_what_a_classifier_was_taught_measures_nothing():
    labels, probabilities = overconfident(1000, 3.0)
    check = np.where(np.arange(1000) < 500, labels, -1)
    taught = np.where(np.arange(1000) < 300, labels, -1)
    metrics, images, predicted = estimate(
        probabilities.__getitem__, taught, check, 0.1, is_overconfident=True
    )
    np.testing.assert_array_equal(images, np.arange(300, 500))
    np.testing.assert_array_equal(predicted, probabilities[300:500].argmax(axis=1))
    assert metrics["check_images"] == 200
    assert metrics["check_accuracy"] == (predicted == labels[300:500]).mean()
    assert metrics["check_low"] < metrics["check_accuracy"] < metrics["check_high"]
    assert metrics["temperature"] == temperature_by_labels(probabilities[300:500], labels[300:500])


@pytest.mark.parametrize(
    ("is_overconfident", "expected", "confidence"),
    [
        (True, 0.5, 0.5),
        (True, 0.95, 0.95),
        (False, 0.95, 0.95),
        (False, 0.5, None),
        (True, None, None),
        (False, None, None),
    ],
)
def test_without_images_that_measure_labels_that_predict_each_other_calibrate(
    is_overconfident, expected, confidence
):
    _, probabilities = overconfident(3000, 1.0)
    before = probabilities.max(axis=1).mean()
    assert 0.5 < before < 0.95
    nothing = np.full(3000, -1)
    metrics, images, predicted = estimate(
        probabilities.__getitem__, nothing, nothing, expected, is_overconfident=is_overconfident
    )
    assert (len(images), len(predicted)) == (0, 0)
    after = tempered(probabilities, metrics["temperature"]).max(axis=1).mean()
    assert after == pytest.approx(confidence or before, abs=0.02)
    assert confidence or metrics == {"temperature": 1}
