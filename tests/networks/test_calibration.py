"""Temperatures and the uncertain band, on answers whose truth is known because it was drawn from them."""

import numpy as np
import pytest

from facedep.evaluation.reliability import compute_calibration_error
from facedep.networks.calibration import apply_temperature, find_abstention_band, find_temperature

IS_POSITIVE = np.array([False, True, True, False])


def _draw_answers(num_images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns probabilities over four classes that are right, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (num_images, 4))
    outputs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return outputs, rng.random(num_images) < outputs[:, IS_POSITIVE].sum(axis=1)


def test_temperature_divides_the_logits():
    outputs = np.array([[0.1, 0.2, 0.3, 0.4]])
    powers = outputs ** (1 / 2.5)
    assert apply_temperature(outputs, 2.5) == pytest.approx(powers / powers.sum(), abs=1e-12)
    one = np.array([[0.9]])
    logit = np.log(0.9 / 0.1) / 2.5
    assert apply_temperature(one, 2.5)[0, 0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-12)


def test_temperature_of_one_changes_nothing_and_none_makes_no_number():
    outputs = np.array([[0.0, 0.0, 1.0, 0.0], [0.25, 0.25, 0.25, 0.25]], np.float32)
    assert np.array_equal(apply_temperature(outputs, 1.0), outputs)
    for temperature in (0.01, 0.5, 3.0, 100.0):
        changed = apply_temperature(outputs, temperature)
        assert changed.sum(axis=1) == pytest.approx([1, 1])
        assert changed[1] == pytest.approx(outputs[1])
    assert apply_temperature(np.array([[0.0], [1.0]]), 2.0)[:, 0] == pytest.approx([0, 1], abs=1e-6)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.0])
def test_temperature_that_spoiled_the_answers_is_found_and_mends_them(true_temperature):
    outputs, is_depressed = _draw_answers(20_000)
    spoiled = apply_temperature(outputs, 1 / true_temperature)
    found = find_temperature(spoiled, IS_POSITIVE, is_depressed)
    assert found == pytest.approx(true_temperature, rel=0.05)
    mended = apply_temperature(spoiled, found)[:, IS_POSITIVE].sum(axis=1)
    assert compute_calibration_error(is_depressed, mended) < 0.015
    if true_temperature != 1:
        assert compute_calibration_error(is_depressed, spoiled[:, IS_POSITIVE].sum(axis=1)) > 0.03


def test_temperature_of_one_output_is_found():
    rng = np.random.default_rng(1)
    probabilities = 1 / (1 + np.exp(-rng.normal(0, 2, 20_000)))
    is_depressed = rng.random(20_000) < probabilities
    surer = apply_temperature(probabilities[:, np.newaxis], 0.4)
    assert find_temperature(surer, np.array([True]), is_depressed) == pytest.approx(2.5, rel=0.05)


def test_outside_the_band_the_share_of_wrong_answers_is_kept_to_on_other_pictures():
    outputs, is_depressed = _draw_answers(20_000)
    low, high = find_abstention_band(is_depressed, outputs[:, IS_POSITIVE].sum(axis=1), 0.5, 0.10)
    assert low == pytest.approx(1 - high, abs=1e-3)
    others, others_depressed = _draw_answers(20_000, seed=9)
    probabilities = others[:, IS_POSITIVE].sum(axis=1)
    is_predicted = (probabilities < low) | (probabilities >= high)
    is_wrong = others_depressed != (probabilities >= 0.5)
    assert is_wrong.mean() > 0.12
    assert is_wrong[is_predicted].mean() == pytest.approx(0.10, abs=0.01)
    assert 0.5 < is_predicted.mean() < 1


def test_band_is_the_narrowest():
    probabilities = np.array([0.05, 0.1, 0.2, 0.9, 0.95, 0.40, 0.42, 0.55])
    is_depressed = np.array([False, False, False, True, True, True, True, False])
    low, high = find_abstention_band(is_depressed, probabilities, 0.5, 0.10)
    assert 0.2 < low < 0.40
    assert 0.55 < high < 0.9
    low, high = find_abstention_band(is_depressed, probabilities, 0.5, 0.20)  # one of six may be wrong
    assert 0.40 < low < 0.42


def test_band_of_a_model_that_is_good_enough_everywhere_is_empty():
    probabilities = np.array([0.1, 0.2, 0.7, 0.8, 0.9])
    assert find_abstention_band(probabilities > 0.5, probabilities, 0.5, 0.10) == (0.5, 0.5)


def test_no_band_makes_a_guesser_reliable():
    rng = np.random.default_rng(2)
    assert find_abstention_band(rng.random(2000) < 0.5, rng.random(2000), 0.5, 0.10) is None
    assert find_abstention_band(np.zeros(0, bool), np.zeros(0), 0.5, 0.10) is None


def test_equal_probabilities_are_on_the_same_side_of_the_band():
    probabilities = np.repeat([0.1, 0.3, 0.9], 10)
    is_depressed = np.repeat([False, False, True], 10)
    is_depressed[10:14] = True  # four of the ten at 0.3 are wrong: 4 of 30 in all
    low, high = find_abstention_band(is_depressed, probabilities, 0.5, 0.10)
    assert low <= 0.1 + 0.2
    assert not ((probabilities[10:20] < low) | (probabilities[10:20] >= high)).any()
