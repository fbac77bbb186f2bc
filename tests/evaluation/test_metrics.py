import math
import time
import warnings

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from facedep.evaluation.curves import compute_average_precision, compute_precision_recall_curve, compute_roc_curve
from facedep.evaluation.intervals import compute_intervals, compute_wilson_interval
from facedep.evaluation.metrics import (
    Confusion,
    compute_accuracy,
    compute_balanced_accuracy,
    compute_brier_score,
    compute_metrics,
    compute_roc_auc,
    count_confusion,
    count_emotion_confusion,
)
from facedep.evaluation.paired_comparison import compare_predictions
from facedep.evaluation.reliability import compute_calibration_error, compute_reliability


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
    scores = compute_metrics(np.array([only] * 3), np.array([0.9, 0.8, 0.2]))
    assert scores["accuracy"] == pytest.approx(2 / 3 if only else 1 / 3)
    assert np.isnan(scores["roc_auc"])
    assert np.isnan(scores["balanced_accuracy"])
    assert scores["ece"] >= 0


def test_no_pictures_have_no_scores_and_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = compute_metrics(np.zeros(0, bool), np.zeros(0))
    assert scores.pop("num_images") == 0
    assert np.isnan(scores.pop("majority_baseline")["share"])
    assert all(np.isnan(score) for score in scores.values())
    assert len(scores) == 4


def test_a_network_that_answers_nan_has_no_scores():
    scores = compute_metrics(np.array([True, False, False]), np.array([0.2, np.nan, 0.9]))
    assert scores["num_images"] == 3
    assert scores["majority_baseline"] == {"name": "non_depressed", "share": pytest.approx(2 / 3)}
    assert all(np.isnan(scores[name]) for name in ("accuracy", "balanced_accuracy", "roc_auc", "ece"))


def test_scores_by_hand():
    scores = compute_metrics(np.array([True, True, False, False, False]), np.array([0.9, 0.4, 0.6, 0.1, 0.2]))
    assert scores["num_images"] == 5
    assert scores["accuracy"] == pytest.approx(0.6)
    assert scores["majority_baseline"] == {"name": "non_depressed", "share": pytest.approx(0.6)}
    assert scores["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scores["roc_auc"] == pytest.approx(5 / 6)


# Confusion


@pytest.mark.parametrize("case", [*CASES, "only depressed", "only non-depressed", "one picture"])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_confusion_agrees_with_scikit_learn(case, threshold):
    is_depressed, probabilities = _draw_any(case, seed=4)
    counts = count_confusion(is_depressed, probabilities, threshold)
    table = confusion_matrix(is_depressed, probabilities >= threshold, labels=[False, True]).tolist()
    assert [
        [counts.num_true_non_depressed, counts.num_false_alarms],
        [counts.num_missed, counts.num_true_depressed],
    ] == table
    assert counts.num_images == len(is_depressed)
    num_right = counts.num_true_depressed + counts.num_true_non_depressed
    assert num_right / counts.num_images == pytest.approx(compute_accuracy(is_depressed, probabilities, threshold))


def test_rates_of_false_alarms_and_misses_by_hand():
    counts = Confusion(num_true_depressed=6, num_false_alarms=1, num_missed=2, num_true_non_depressed=9)
    assert (counts.false_alarm_rate, counts.miss_rate) == (0.1, 0.25)
    empty = count_confusion(np.zeros(0, bool), np.zeros(0))
    assert empty == Confusion(0, 0, 0, 0)
    assert np.isnan([empty.false_alarm_rate, empty.miss_rate]).all()


def test_an_answer_that_is_no_number_is_on_neither_side_of_the_threshold():
    with pytest.raises(ValueError, match="NaN"):
        count_confusion(np.array([True]), np.array([np.nan]))


def test_emotion_confusion_counts_known_emotions_only():
    truths = np.array(["sad", "sad", "happy", "contempt", "", "happy"])
    answers = np.array(["sad", "happy", "happy", "sad", "sad", "neutral"])
    names = ["happy", "neutral", "sad"]
    assert count_emotion_confusion(truths, answers, names).tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 1]]
    expected = confusion_matrix(truths[:3], answers[:3], labels=names)
    np.testing.assert_array_equal(count_emotion_confusion(truths[:3], answers[:3], names), expected)


# Curves


def _draw_any(case: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """As `_draw`, and cases with one group only."""
    is_depressed, probabilities = _draw(case, seed)
    if case.startswith("only"):
        is_depressed[:] = case == "only depressed"
    if case == "one picture":
        is_depressed, probabilities = is_depressed[:1], probabilities[:1]
    return is_depressed, probabilities


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(10))
def test_curves_agree_with_scikit_learn(case, seed):
    is_depressed, probabilities = _draw(case, seed)
    curve = compute_roc_curve(is_depressed, probabilities)
    expected = roc_curve(is_depressed, probabilities, drop_intermediate=False)
    for values, wanted in zip((curve.x, curve.y, curve.thresholds), expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-9)
    area = np.trapezoid(curve.y, curve.x)
    assert area == pytest.approx(compute_roc_auc(is_depressed, probabilities), abs=1e-9)

    curve = compute_precision_recall_curve(is_depressed, probabilities)
    precision, recall, thresholds = precision_recall_curve(is_depressed, probabilities)
    np.testing.assert_allclose(curve.y, precision, rtol=0, atol=1e-9)
    np.testing.assert_allclose(curve.x, recall, rtol=0, atol=1e-9)
    np.testing.assert_allclose(curve.thresholds, [*thresholds, np.inf], rtol=0, atol=1e-9)
    found = compute_average_precision(is_depressed, probabilities)
    assert found == pytest.approx(average_precision_score(is_depressed, probabilities), abs=1e-9)
    # scikit-learn would take the answers of a float32 network for float64 ones and round differently
    expected = brier_score_loss(is_depressed, probabilities.astype(np.float64))
    assert compute_brier_score(is_depressed, probabilities) == pytest.approx(expected, abs=1e-9)


@pytest.mark.filterwarnings("ignore:No negative samples", "ignore:No positive")
@pytest.mark.parametrize("case", ["only depressed", "only non-depressed", "one picture"])
@pytest.mark.parametrize("seed", range(3))
def test_one_group_alone_has_the_half_of_each_curve_that_is_defined(case, seed):
    is_depressed, probabilities = _draw_any(case, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        roc = compute_roc_curve(is_depressed, probabilities)
        recalled = compute_precision_recall_curve(is_depressed, probabilities)
        average = compute_average_precision(is_depressed, probabilities)
        brier = compute_brier_score(is_depressed, probabilities)
    false_rate, true_rate, thresholds = roc_curve(is_depressed, probabilities, drop_intermediate=False)
    assert np.isnan(roc.y if case == "only non-depressed" else roc.x)[1:].all()
    np.testing.assert_allclose(roc.x, false_rate, rtol=0, atol=1e-9)  # NaN equals NaN here
    np.testing.assert_allclose(roc.y, true_rate, rtol=0, atol=1e-9)
    np.testing.assert_allclose(roc.thresholds, thresholds, rtol=0, atol=1e-9)
    precision, recall, _ = precision_recall_curve(is_depressed, probabilities)
    np.testing.assert_allclose(recalled.y, precision, rtol=0, atol=1e-9)
    if case == "only non-depressed":  # scikit-learn answers 0 with a warning
        assert np.isnan([*recalled.x[:-1], average]).all()
    else:
        np.testing.assert_allclose(recalled.x, recall, rtol=0, atol=1e-9)
        assert average == pytest.approx(average_precision_score(is_depressed, probabilities), abs=1e-9)
    expected = np.mean((probabilities - is_depressed) ** 2)
    assert brier == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("is_depressed", "probabilities"),
    [(np.zeros(0, bool), np.zeros(0)), (np.array([True, False, True]), np.array([0.5, np.nan, np.nan]))],
    ids=["no pictures", "a network that answers nan"],
)
def test_undefined_curves_are_nan_and_there_are_no_warnings(is_depressed, probabilities):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        roc = compute_roc_curve(is_depressed, probabilities)
        recalled = compute_precision_recall_curve(is_depressed, probabilities)
        reliability = compute_reliability(is_depressed, probabilities, 4)
        scores = (
            compute_average_precision(is_depressed, probabilities),
            compute_brier_score(is_depressed, probabilities),
        )
    assert len(roc.x) == len(roc.y) == len(roc.thresholds)
    assert np.isnan([*roc.x, *roc.y]).all()
    assert (recalled.x[-1], recalled.y[-1], recalled.thresholds[-1]) == (0, 1, np.inf)
    assert np.isnan([*recalled.x[:-1], *recalled.y[:-1], *scores]).all()
    assert reliability.num_images.tolist() == [0] * 4
    assert np.isnan([reliability.mean_probability, reliability.share_depressed, reliability.low]).all()


# Reliability


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("num_bins", [1, 10, 15])
def test_reliability_adds_up_to_the_calibration_error(case, num_bins):
    is_depressed, probabilities = _draw(case, seed=6)
    found = compute_reliability(is_depressed, probabilities, num_bins)
    gaps = np.abs(found.mean_probability - found.share_depressed)
    error = np.nansum(gaps * found.num_images) / len(is_depressed)
    assert error == pytest.approx(compute_calibration_error(is_depressed, probabilities, num_bins), abs=1e-7)
    assert found.num_images.sum() == len(is_depressed)
    np.testing.assert_array_equal(np.isnan(found.mean_probability), found.num_images == 0)


def test_reliability_by_hand():
    is_depressed, probabilities = np.array([True, False, True]), np.array([0.1, 0.2, 1.0])
    found = compute_reliability(is_depressed, probabilities, 4)
    assert found.num_images.tolist() == [2, 0, 0, 1]
    np.testing.assert_allclose(found.mean_probability, [0.15, np.nan, np.nan, 1.0])
    np.testing.assert_allclose(found.share_depressed, [0.5, np.nan, np.nan, 1.0])
    assert (found.low[0], found.high[0]) == compute_wilson_interval(1, 2)
    assert (found.low[3], found.high[3]) == compute_wilson_interval(1, 1)


# Two classifiers on the same pictures


@pytest.mark.parametrize("seed", range(8))
def test_paired_test_agrees_with_the_exact_binomial_test(seed):
    rng = np.random.default_rng(seed)
    num_images = int(rng.integers(1, 4000))
    first, second = rng.random((2, num_images)) < rng.uniform(0.5, 0.9, (2, 1))
    found = compare_predictions(first, second)
    num_first, num_second = int((first & ~second).sum()), int((~first & second).sum())
    assert (found.num_images, found.num_only_first_right, found.num_only_second_right) == (
        num_images, num_first, num_second,
    )  # fmt: skip
    assert found.difference == pytest.approx(first.mean() - second.mean())
    if num_first + num_second:
        expected = binomtest(num_first, num_first + num_second, 0.5).pvalue
        assert found.p_value == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert found.is_beyond_chance == (found.p_value < 0.05)
    assert found.interval[0] <= found.difference <= found.interval[1]
    turned = compare_predictions(second, first)
    assert (turned.difference, turned.p_value) == (-found.difference, found.p_value)


def test_equal_answers_do_not_differ_and_no_pictures_say_nothing():
    rights = np.array([True, False, True])
    same = compare_predictions(rights, rights)
    assert (same.difference, same.interval, same.p_value, same.is_beyond_chance) == (0.0, (0.0, 0.0), 1.0, False)
    none = compare_predictions(rights[:0], rights[:0])
    assert np.isnan([none.difference, *none.interval, none.p_value]).all()
    assert not none.is_beyond_chance
    with pytest.raises(ValueError, match="3 predictions of the first, 2 of the second"):
        compare_predictions(rights, rights[:2])


def test_paired_interval_holds_the_true_difference_about_95_times_in_100_and_is_narrower_than_an_unpaired_one():
    # 8 % only the first gets right, 5 % only the second: a true difference of 3 points.
    rng = np.random.default_rng(1)
    num_held = 0
    for number in range(600):
        kinds = rng.choice(4, 500, p=[0.08, 0.05, 0.7, 0.17])
        found = compare_predictions((kinds == 0) | (kinds == 2), (kinds == 1) | (kinds == 2), seed=number)
        num_held += found.interval[0] <= 0.03 <= found.interval[1]
    assert 0.92 <= num_held / 600 <= 0.98


def test_equally_good_classifiers_differ_beyond_chance_at_most_one_time_in_twenty():
    rng = np.random.default_rng(2)
    kinds = rng.choice(4, (1000, 300), p=[0.1, 0.1, 0.6, 0.2])
    found = [compare_predictions((row == 0) | (row == 2), (row == 1) | (row == 2)) for row in kinds]
    assert np.mean([pair.is_beyond_chance for pair in found]) <= 0.05


# Intervals


@pytest.mark.parametrize(("num_right", "num_all"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (2900, 3649)])
def test_wilson_interval_agrees_with_scipy(num_right, num_all):
    expected = binomtest(num_right, num_all).proportion_ci(0.95, method="wilson")
    assert compute_wilson_interval(num_right, num_all) == pytest.approx((expected.low, expected.high), abs=1e-9)
    low, high = compute_wilson_interval(num_right, num_all)
    assert 0 <= low <= num_right / num_all <= high <= 1


def test_wilson_interval_of_nothing_is_undefined():
    assert np.isnan(compute_wilson_interval(0, 0)).all()


def _compute_intervals_slowly(is_depressed, probabilities, threshold, num_resamples, seed):
    """The same resamples, each scored by scikit-learn; the accuracy's interval is SciPy's Wilson interval."""
    rng = np.random.default_rng(seed)
    scores = {"balanced_accuracy": [], "roc_auc": []}
    for _ in range(num_resamples):
        rows = rng.integers(0, len(is_depressed), len(is_depressed))
        truth, answers = is_depressed[rows], probabilities[rows] >= threshold
        if truth.any() and not truth.all():
            scores["balanced_accuracy"].append(balanced_accuracy_score(truth, answers))
            scores["roc_auc"].append(roc_auc_score(truth, probabilities[rows]))
    num_right = accuracy_score(is_depressed, probabilities >= threshold, normalize=False)
    wilson = binomtest(int(num_right), len(is_depressed)).proportion_ci(0.95, method="wilson")
    bootstrap = {name: tuple(np.percentile(values, [2.5, 97.5])) for name, values in scores.items()}
    return {"accuracy": (wilson.low, wilson.high), **bootstrap}


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
    for name in ("balanced_accuracy", "roc_auc"):
        assert intervals[name] == expected[name] == (1.0, 1.0)


def test_the_score_lies_within_its_interval():
    is_depressed, probabilities = _draw("ties", seed=2)
    scores = compute_metrics(is_depressed, probabilities)
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


def test_wilson_intervals_hold_the_true_share_about_95_times_in_100():
    rng = np.random.default_rng(0)
    for share, num_images in ((0.7, 300), (0.9, 40)):
        intervals = np.array([compute_wilson_interval(n, num_images) for n in rng.binomial(num_images, share, 2000)])
        assert 0.93 <= np.mean((intervals[:, 0] <= share) & (share <= intervals[:, 1])) <= 0.975
