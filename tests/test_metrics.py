import math
import time
import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from facedep.metrics import (
    compute_accuracy,
    compute_balanced_accuracy,
    compute_calibration_error,
    compute_intervals,
    compute_roc_auc,
    compute_share_interval,
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


# Intervals


def _compute_intervals_slowly(is_depressed, probabilities, threshold, num_resamples, seed):
    """The same resamples, each scored by scikit-learn."""
    rng = np.random.default_rng(seed)
    scores = {"accuracy": [], "balanced_accuracy": [], "roc_auc": []}
    for _ in range(num_resamples):
        rows = rng.integers(0, len(is_depressed), len(is_depressed))
        truth, answers = is_depressed[rows], probabilities[rows] >= threshold
        scores["accuracy"].append(accuracy_score(truth, answers))
        if truth.any() and not truth.all():
            scores["balanced_accuracy"].append(balanced_accuracy_score(truth, answers))
            scores["roc_auc"].append(roc_auc_score(truth, probabilities[rows]))
    return {name: tuple(np.percentile(values, [2.5, 97.5])) for name, values in scores.items()}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("threshold", [0.3, 0.5, 1.0])
def test_intervals_agree_with_scikit_learn_on_the_same_resamples(case, threshold):
    is_depressed, probabilities = _draw(case, seed=3)
    expected = _compute_intervals_slowly(is_depressed, probabilities, threshold, 50, 7)
    intervals = compute_intervals(is_depressed, probabilities, threshold, num_resamples=50, seed=7)
    assert list(intervals) == list(expected)
    for name, interval in intervals.items():
        assert interval == pytest.approx(expected[name], abs=1e-9)


def test_resamples_of_one_group_only_are_left_out():
    is_depressed, probabilities = np.array([True, False, False]), np.array([0.9, 0.1, 0.2])
    expected = _compute_intervals_slowly(is_depressed, probabilities, 0.5, 200, 0)
    intervals = compute_intervals(is_depressed, probabilities, num_resamples=200)
    assert intervals == expected == dict.fromkeys(expected, (1.0, 1.0))


def test_the_score_lies_within_its_interval():
    is_depressed, probabilities = _draw("ties", seed=2)
    scores = score_predictions(is_depressed, probabilities)
    for name, (low, high) in compute_intervals(is_depressed, probabilities).items():
        assert 0 <= low <= scores[name] <= high <= 1


def test_the_same_pictures_have_the_same_intervals_and_another_seed_has_others():
    is_depressed, probabilities = _draw("random", seed=5)
    first = compute_intervals(is_depressed, probabilities)
    assert compute_intervals(is_depressed, probabilities) == first
    assert compute_intervals(is_depressed, probabilities, seed=1) != first


@pytest.mark.parametrize("only", [True, False])
def test_one_group_alone_has_an_interval_of_accuracy_only(only):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        intervals = compute_intervals(np.array([only] * 40), np.array([0.9, 0.2] * 20))
    low, high = intervals["accuracy"]
    assert 0.2 < low < 0.5 < high < 0.8
    assert np.isnan([*intervals["balanced_accuracy"], *intervals["roc_auc"]]).all()


@pytest.mark.parametrize(
    ("is_depressed", "probabilities"),
    [(np.zeros(0, bool), np.zeros(0)), (np.array([True, False]), np.array([0.5, np.nan]))],
    ids=["no pictures", "a network that answers nan"],
)
def test_undefined_scores_have_undefined_intervals_and_no_warnings(is_depressed, probabilities):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        intervals = compute_intervals(is_depressed, probabilities)
    assert list(intervals) == ["accuracy", "balanced_accuracy", "roc_auc"]
    assert np.isnan(list(intervals.values())).all()


def test_intervals_of_the_kaggle_sets_size_take_no_time():
    rng = np.random.default_rng(0)
    is_depressed = rng.random(3649) < 0.33
    started = time.process_time()
    compute_intervals(is_depressed, rng.random(3649))
    assert time.process_time() - started < 1.5


def test_intervals_hold_the_true_score_about_95_times_in_100():
    # Depressed pictures score 1 higher on average, all with a standard deviation of 1: the true scores are known.
    def normal(x: float) -> float:
        return (1 + math.erf(x / math.sqrt(2))) / 2

    true_scores = {"accuracy": normal(0.5), "balanced_accuracy": normal(0.5), "roc_auc": normal(1 / math.sqrt(2))}
    num_held = dict.fromkeys(true_scores, 0)
    rng = np.random.default_rng(0)
    for number in range(400):
        is_depressed = rng.random(200) < 0.35
        intervals = compute_intervals(is_depressed, rng.normal(is_depressed), num_resamples=200, seed=number)
        for name, (low, high) in intervals.items():
            num_held[name] += low <= true_scores[name] <= high
    for name, number in num_held.items():
        assert 0.92 <= number / 400 <= 0.98, name


def test_share_intervals_hold_the_true_share_about_95_times_in_100():
    rng = np.random.default_rng(0)
    num_held = 0
    for number in range(1000):
        low, high = compute_share_interval(rng.binomial(300, 0.7), 300, num_resamples=300, seed=number)
        num_held += low <= 0.7 <= high
    assert 0.93 <= num_held / 1000 <= 0.97


def test_share_interval_is_the_interval_of_an_accuracy():
    is_depressed = np.array([True] * 500)
    probabilities = np.array([0.9] * 350 + [0.1] * 150)
    expected = compute_intervals(is_depressed, probabilities, num_resamples=20_000)["accuracy"]
    assert compute_share_interval(350, 500, num_resamples=20_000) == pytest.approx(expected, abs=0.004)


def test_share_interval_at_its_ends_and_without_pictures():
    assert compute_share_interval(0, 20) == (0.0, 0.0)
    assert compute_share_interval(20, 20) == (1.0, 1.0)
    assert np.isnan(compute_share_interval(0, 0)).all()
