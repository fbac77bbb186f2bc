import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from facedep.metrics import (
    compute_accuracy,
    compute_balanced_accuracy,
    compute_calibration_error,
    compute_roc_auc,
    score_predictions,
)


def _draw(case: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    num_images = int(rng.integers(2, 400))
    is_depressed = rng.random(num_images) < rng.random()
    probabilities = rng.random(num_images)
    if case == "ties":
        probabilities = np.round(probabilities, 1)
    elif case == "all the same":
        probabilities[:] = 0.5
    elif case == "extreme":
        probabilities = np.round(probabilities)
    elif case == "float32":
        probabilities = probabilities.astype(np.float32)
    is_depressed[:2] = True, False
    return is_depressed, probabilities


CASES = ["random", "ties", "all the same", "extreme", "float32"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(10))
def test_scores_agree_with_scikit_learn(case, seed):
    is_depressed, probabilities = _draw(case, seed)
    assert compute_roc_auc(is_depressed, probabilities) == pytest.approx(
        roc_auc_score(is_depressed, probabilities), abs=1e-9
    )
    for threshold in (0.0, 0.3, 0.5, 1.0):
        answers = probabilities >= threshold
        assert compute_accuracy(is_depressed, probabilities, threshold) == pytest.approx(
            accuracy_score(is_depressed, answers), abs=1e-9
        )
        assert compute_balanced_accuracy(is_depressed, probabilities, threshold) == pytest.approx(
            balanced_accuracy_score(is_depressed, answers), abs=1e-9
        )


def _compute_calibration_error_slowly(is_depressed, probabilities, num_bins):
    error = 0.0
    for number in range(num_bins):
        inside = [
            (float(p), bool(d))
            for p, d in zip(probabilities, is_depressed, strict=True)
            if number <= float(p) * num_bins < number + 1 or (number == num_bins - 1 and p == 1)
        ]
        if inside:
            mean = sum(p for p, _ in inside) / len(inside)
            share = sum(d for _, d in inside) / len(inside)
            error += len(inside) / len(is_depressed) * abs(mean - share)
    return error


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("num_bins", [1, 10, 15])
def test_calibration_error_agrees_with_its_definition(case, seed, num_bins):
    is_depressed, probabilities = _draw(case, seed)
    if case == "ties":
        probabilities = np.round(probabilities * 16) / 16  # exact in binary: a tenth times 15 is not
    expected = _compute_calibration_error_slowly(is_depressed, probabilities, num_bins)
    assert compute_calibration_error(is_depressed, probabilities, num_bins) == pytest.approx(expected, abs=1e-9)


def test_calibration_error_by_hand():
    # Bin 3 of 15 (0.2 to 0.267) holds 0.21 and 0.25 with one depressed, bin 14 holds 1.0, which is not depressed.
    error = compute_calibration_error(np.array([True, False, False]), np.array([0.21, 0.25, 1.0]))
    assert error == pytest.approx((abs(0.46 - 1) + 1) / 3)


def test_the_positive_class_is_depressed():
    is_depressed = np.array([True, True, False])
    assert compute_roc_auc(is_depressed, np.array([0.9, 0.8, 0.1])) == 1.0
    assert compute_roc_auc(is_depressed, np.array([0.1, 0.2, 0.9])) == 0.0


def test_a_probability_at_the_threshold_is_depressed():
    assert compute_accuracy(np.array([True]), np.array([0.5])) == 1.0
    assert compute_accuracy(np.array([True]), np.array([0.3], np.float32), 0.3) == 1.0


@pytest.mark.parametrize("only", [True, False])
def test_one_group_alone_has_accuracy_but_no_auc_and_no_balanced_accuracy(only):
    scores = score_predictions(np.array([only] * 3), np.array([0.9, 0.8, 0.2]))
    assert scores["accuracy"] == pytest.approx(2 / 3 if only else 1 / 3)
    assert np.isnan(scores["roc_auc"])
    assert np.isnan(scores["balanced_accuracy"])
    assert scores["ece"] >= 0


def test_no_pictures_have_no_scores_and_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = score_predictions(np.zeros(0, bool), np.zeros(0))
    assert scores.pop("num_images") == 0
    assert all(np.isnan(score) for score in scores.values())
    assert len(scores) == 5


def test_a_network_that_answers_nan_has_no_scores():
    scores = score_predictions(np.array([True, False, False]), np.array([0.2, np.nan, 0.9]))
    assert scores["num_images"] == 3
    assert scores["always_non_depressed_accuracy"] == pytest.approx(2 / 3)
    assert all(np.isnan(scores[name]) for name in ("accuracy", "balanced_accuracy", "roc_auc", "ece"))


def test_scores_by_hand():
    scores = score_predictions(np.array([True, True, False, False, False]), np.array([0.9, 0.4, 0.6, 0.1, 0.2]))
    assert scores["num_images"] == 5
    assert scores["accuracy"] == pytest.approx(0.6)
    assert scores["always_non_depressed_accuracy"] == pytest.approx(0.6)
    assert scores["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scores["roc_auc"] == pytest.approx(5 / 6)
