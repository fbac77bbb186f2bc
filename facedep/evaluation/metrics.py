"""Scores of a two-group classifier, in NumPy. The positive class is *depressed*, always. Undefined scores are NaN,
those of a network that answers NaN among them.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from facedep.networks.majority_baseline import find_majority_baseline

NUM_CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv 1706.04599
NUM_RESAMPLES = 1000  # from seed to seed the ends of a 0.03 wide interval then move by 0.0007 (3,649 pictures)
_INTERVAL_PERCENTILES = (2.5, 97.5)
_UNDEFINED = (float("nan"), float("nan"))
_Z_95 = 1.959963984540054  # the 97.5th percentile of the standard normal distribution
_SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Confusion:
    """How many pictures of each group got which answer. Accuracy is the share of the two that are true.

    Attributes:
        num_true_depressed: *Depressed* by the label and the answer.
        num_false_alarms: *Non-depressed* by the label, called *depressed*.
        num_missed: *Depressed* by the label, called *non-depressed*.
        num_true_non_depressed: *Non-depressed* by the label and the answer.
    """

    num_true_depressed: int
    num_false_alarms: int
    num_missed: int
    num_true_non_depressed: int

    @property
    def num_images(self) -> int:
        """All pictures."""
        return self.num_true_depressed + self.num_false_alarms + self.num_missed + self.num_true_non_depressed

    @property
    def false_alarm_rate(self) -> float:
        """Share of the *non-depressed* pictures that are called *depressed*: 0..1, low is good; NaN without any."""
        return _divide(self.num_false_alarms, self.num_false_alarms + self.num_true_non_depressed)

    @property
    def miss_rate(self) -> float:
        """Share of the *depressed* pictures that are called *non-depressed*: 0..1, low is good; NaN without any."""
        return _divide(self.num_missed, self.num_missed + self.num_true_depressed)


@dataclass(frozen=True)
class Curve:
    """What a classifier can do at each threshold.

    Attributes:
        x: `float64` array of shape `(points,)`, 0..1; NaN where it is undefined.
        y: Likewise.
        thresholds: P(depressed) at and above which the answer is *depressed* there: `float64`, shape `(points,)`; inf
            where no picture is called *depressed*.
    """

    x: np.ndarray
    y: np.ndarray
    thresholds: np.ndarray


@dataclass(frozen=True)
class Reliability:
    """Whether P(depressed) means what it says: arrays over equal-width bins of it, of shape `(num_bins,)`.

    Attributes:
        mean_probability: Mean P(depressed) of the bin's pictures, `float64`, 0..1; NaN in an empty bin.
        share_depressed: Share of them whose label is *depressed*, likewise; where it is calibrated, that mean.
        num_images: Pictures in the bin, `int64`.
        low: Lower end of the share's 95 % Wilson interval, `float64`, 0..1; NaN in an empty bin.
        high: Its upper end.
    """

    mean_probability: np.ndarray
    share_depressed: np.ndarray
    num_images: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class PairedComparison:
    """Two classifiers on the same pictures.

    Attributes:
        num_images: Pictures that both answered.
        num_only_first_right: Those that only the first one got right.
        num_only_second_right: Those that only the second one got right.
        difference: Accuracy of the first less that of the second, -1..1; NaN without pictures.
        interval: Low and high end of its 95 % bootstrap interval.
        p_value: How likely a difference at least this large is among two equally good ones, 0..1; NaN without pictures.
    """

    num_images: int
    num_only_first_right: int
    num_only_second_right: int
    difference: float
    interval: tuple[float, float]
    p_value: float

    @property
    def is_beyond_chance(self) -> bool:
        """Whether chance alone would give such a difference less than one time in twenty."""
        return self.p_value < _SIGNIFICANCE


def compute_accuracy(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> float:
    """Returns the share of pictures on the right side of the threshold: 0..1, high is good; NaN without pictures.

    Args:
        is_depressed: `bool` array of shape `(n,)`, the data set's label.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.
    """
    if not len(is_depressed) or np.isnan(probabilities).any():
        return float("nan")
    return float(np.mean(is_depressed == (probabilities >= threshold)))


def compute_balanced_accuracy(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> float:
    """Returns the mean of the two groups' own accuracies: 0..1, 0.5 is guessing; NaN unless both groups are there."""
    correct = is_depressed == (probabilities >= threshold)
    if is_depressed.all() or not is_depressed.any() or np.isnan(probabilities).any():
        return float("nan")
    return float((correct[is_depressed].mean() + correct[~is_depressed].mean()) / 2)


def count_confusion(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> Confusion:
    """Returns how many pictures of each group are on which side of the threshold.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.

    Raises:
        ValueError: A probability is NaN, which is on neither side.
    """
    if np.isnan(probabilities).any():
        raise ValueError("a probability is NaN")
    called_depressed = probabilities >= threshold
    return Confusion(
        num_true_depressed=int(np.sum(is_depressed & called_depressed)),
        num_false_alarms=int(np.sum(~is_depressed & called_depressed)),
        num_missed=int(np.sum(is_depressed & ~called_depressed)),
        num_true_non_depressed=int(np.sum(~is_depressed & ~called_depressed)),
    )


def count_emotion_confusion(true_emotions: np.ndarray, answered_emotions: np.ndarray, names: list[str]) -> np.ndarray:
    """Returns how many pictures of each emotion (row) got which answer (column): `int64`, shape `(names, names)`.

    Args:
        true_emotions: `str` array of shape `(n,)`; a picture of another emotion, or of none, is not counted.
        answered_emotions: `str` array of shape `(n,)`, the most probable one for each picture; likewise.
        names: The emotions of rows and columns.
    """
    places = {name: place for place, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    for truth, answer in zip(true_emotions, answered_emotions, strict=True):
        if truth in places and answer in places:
            counts[places[truth], places[answer]] += 1
    return counts


def compute_roc_auc(is_depressed: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the chance that a *depressed* picture gets the higher P(depressed) of two, ties counting half.

    0..1, 0.5 is guessing, high is good; NaN unless both groups are there.

    Reference: the Mann-Whitney form of the area under the ROC curve, Hanley & McNeil 1982, Radiology 143(1).
    """
    num_positive = int(is_depressed.sum())
    num_negative = len(is_depressed) - num_positive
    if not num_positive or not num_negative or np.isnan(probabilities).any():
        return float("nan")
    _, inverse, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = mean_ranks[inverse][is_depressed].sum()
    return float((rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))


def compute_calibration_error(
    is_depressed: np.ndarray, probabilities: np.ndarray, num_bins: int = NUM_CALIBRATION_BINS
) -> float:
    """Returns the expected calibration error of P(depressed): 0..1, low is good; NaN without pictures.

    Equal-width bins over 0..1; in each, the distance between the mean P(depressed) and the share of *depressed*
    pictures, weighted by the bin's share of all pictures.

    Reference: Naeini et al. 2015 (AAAI), in the form for one class.
    """
    if not len(is_depressed) or np.isnan(probabilities).any():
        return float("nan")
    bins = _find_bins(probabilities, num_bins)
    gaps = np.bincount(bins, weights=probabilities - is_depressed, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(is_depressed))


def compute_brier_score(is_depressed: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean squared distance of P(depressed) from the label: 0..1, low is good; NaN without pictures.

    Always answering 0.5 gets 0.25.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.

    Reference: Brier 1950, Monthly Weather Review 78(1), in the form for two classes.
    """
    if not len(is_depressed):
        return float("nan")
    return float(np.mean((np.asarray(probabilities, np.float64) - is_depressed) ** 2))


def compute_roc_curve(is_depressed: np.ndarray, probabilities: np.ndarray) -> Curve:
    """Returns the share of each group that is called *depressed*, from no picture to all, a point for each value.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.

    Returns:
        `x`: the false positive rate, of the *non-depressed* pictures; `y`: the true positive rate, of the *depressed*
        ones. From (0, 0) at threshold inf to (1, 1). NaN for a group without pictures, and throughout with a NaN.

    Reference: Fawcett 2006, Pattern Recognition Letters 27(8), algorithm 1, with all points kept.
    """
    thresholds, num_alarms, num_found = _count_called_depressed(is_depressed, probabilities)
    start = np.zeros(1)
    return Curve(
        x=_divide_by_last(np.concatenate([start, num_alarms])),
        y=_divide_by_last(np.concatenate([start, num_found])),
        thresholds=np.concatenate([[np.inf], thresholds]),
    )


def compute_precision_recall_curve(is_depressed: np.ndarray, probabilities: np.ndarray) -> Curve:
    """Returns how many are found and how many alarms are true, from the lowest threshold to one that calls none.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.

    Returns:
        `x`: recall, the share of the *depressed* pictures that are called so; `y`: precision, the share of those called
        *depressed* that are. The last point is (0, 1) at threshold inf, by convention. `x` is NaN without *depressed*
        pictures, both are with a NaN.

    Reference: Manning, Raghavan & Schütze 2008, Introduction to Information Retrieval, section 8.4.
    """
    thresholds, num_alarms, num_found = _count_called_depressed(is_depressed, probabilities)
    recall = _divide_by_last(num_found) if len(num_found) else np.zeros(0)
    return Curve(
        x=np.concatenate([recall[::-1], [0.0]]),
        y=np.concatenate([(num_found / (num_found + num_alarms))[::-1], [1.0]]),
        thresholds=np.concatenate([thresholds[::-1], [np.inf]]),
    )


def compute_average_precision(is_depressed: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the precision, averaged over the *depressed* pictures in the order in which they are found: 0..1.

    High is good; guessing gets the share of *depressed* pictures. NaN without any.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.

    Reference: Manning, Raghavan & Schütze 2008, Introduction to Information Retrieval, section 8.4; without
    interpolation.
    """
    if not is_depressed.any() or np.isnan(probabilities).any():
        return float("nan")
    curve = compute_precision_recall_curve(is_depressed, probabilities)
    return float(-np.sum(np.diff(curve.x) * curve.y[:-1]))


def compute_reliability(
    is_depressed: np.ndarray, probabilities: np.ndarray, num_bins: int = NUM_CALIBRATION_BINS
) -> Reliability:
    """Returns how often P(depressed) came true, in the bins of `compute_calibration_error`.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1; with a NaN all bins are empty.
        num_bins: Of equal width.

    Reference: Niculescu-Mizil & Caruana 2005, "Predicting good probabilities with supervised learning", ICML.
    """
    if np.isnan(probabilities).any():
        is_depressed, probabilities = is_depressed[:0], probabilities[:0]
    bins = _find_bins(probabilities, num_bins)
    num_images = np.bincount(bins, minlength=num_bins)
    num_depressed = np.bincount(bins, weights=is_depressed, minlength=num_bins)
    total = np.bincount(bins, weights=probabilities, minlength=num_bins)
    intervals = [compute_wilson_interval(*counts) for counts in zip(num_depressed, num_images, strict=True)]
    low, high = np.array(intervals).T
    is_empty = num_images == 0
    divisors = np.where(is_empty, np.nan, num_images)
    return Reliability(total / divisors, num_depressed / divisors, num_images, low, high)


def compute_metrics(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> dict[str, Any]:
    """Returns all scores of one set of pictures, with what always answering the larger group would get.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.
    """
    return {
        "num_images": len(is_depressed),
        "accuracy": compute_accuracy(is_depressed, probabilities, threshold),
        "majority_baseline": asdict(find_majority_baseline(is_depressed)),
        "balanced_accuracy": compute_balanced_accuracy(is_depressed, probabilities, threshold),
        "roc_auc": compute_roc_auc(is_depressed, probabilities),
        "ece": compute_calibration_error(is_depressed, probabilities),
    }


def compute_intervals(
    is_depressed: np.ndarray,
    probabilities: np.ndarray,
    threshold: float = 0.5,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Returns the 95 % confidence intervals of `accuracy`, `balanced_accuracy` and `roc_auc`: low and high end, 0..1.

    About 95 of 100 intervals that are made in this way, each from other pictures of the same kind, contain the score on
    all such pictures. They do not cover another training. Accuracy is a proportion and has its Wilson interval; the
    others are none and have a bootstrap interval. Resamples with an undefined score (one group only) are left out;
    (NaN, NaN) where the score itself is undefined. The same pictures and seed give the same intervals.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.
        num_resamples: How often the pictures are drawn again, with replacement.
        seed: Of the resampling.

    Reference: `compute_wilson_interval`; percentile bootstrap, Efron & Tibshirani 1993, An Introduction to the
    Bootstrap, chapter 13.
    """
    num_images = len(is_depressed)
    if not num_images or np.isnan(probabilities).any():
        return dict.fromkeys(("accuracy", "balanced_accuracy", "roc_auc"), _UNDEFINED)
    # Both scores follow from how often each value was drawn in either group: no resample is sorted again.
    values, places = np.unique(probabilities, return_inverse=True)
    first_depressed_prediction = np.count_nonzero(values < threshold)
    codes = 2 * places + is_depressed
    rng = np.random.default_rng(seed)
    true_negative_rates, true_positive_rates, areas = np.full((3, num_resamples), np.nan)
    for number in range(num_resamples):
        drawn = codes[rng.integers(0, num_images, num_images)]
        negatives, positives = np.bincount(drawn, minlength=2 * len(values)).reshape(-1, 2).T
        num_negative, num_positive = negatives.sum(), positives.sum()
        if num_negative and num_positive:
            true_negative_rates[number] = negatives[:first_depressed_prediction].sum() / num_negative
            true_positive_rates[number] = positives[first_depressed_prediction:].sum() / num_positive
            num_won_twice = positives @ (2 * np.cumsum(negatives) - negatives)  # a win counts 2, a tie 1
            areas[number] = num_won_twice / (2 * num_negative * num_positive)
    return {
        "accuracy": compute_wilson_interval(np.sum(is_depressed == (probabilities >= threshold)), num_images),
        "balanced_accuracy": _find_interval((true_negative_rates + true_positive_rates) / 2),
        "roc_auc": _find_interval(areas),
    }


def compute_wilson_interval(num_right: int, num_all: int) -> tuple[float, float]:
    """Returns the 95 % Wilson interval of a share of pictures: low and high end, 0..1; (NaN, NaN) without pictures.

    The one interval of every share in this project, so that no two pages disagree. Unlike the bootstrap's it has a
    width where all or none are right.

    Args:
        num_right: Pictures that count.
        num_all: Pictures in all.

    Reference: Wilson 1927, JASA 22(158); Brown, Cai & DasGupta 2001, Statistical Science 16(2), who recommend it for
    few pictures.
    """
    if not num_all:
        return _UNDEFINED
    share, squared = num_right / num_all, _Z_95**2
    middle = (share + squared / (2 * num_all)) / (1 + squared / num_all)
    half = _Z_95 * math.sqrt(share * (1 - share) / num_all + squared / (4 * num_all**2)) / (1 + squared / num_all)
    low = 0.0 if num_right == 0 else middle - half  # exact there; rounding would leave 1e-17
    high = 1.0 if num_right == num_all else middle + half
    return float(low), float(high)


def compare_predictions(
    is_right_first: np.ndarray, is_right_second: np.ndarray, *, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> PairedComparison:
    """Returns how two classifiers differ on the same pictures, and whether by more than chance.

    Only the pictures that one of them got right and the other wrong tell them apart: of equally good ones each wins
    half of those.

    Args:
        is_right_first: `bool` array of shape `(n,)`: where the first one is right.
        is_right_second: Likewise for the second one, for the same pictures in the same order.
        num_resamples: How often the pictures are drawn anew for the interval, with replacement.
        seed: Of the resampling.

    Raises:
        ValueError: The arrays differ in length.

    Reference: McNemar 1947, Psychometrika 12(2), as an exact two-sided binomial test; Dietterich 1998, Neural
    Computation 10(7), who recommends it for two classifiers and one test set. The interval: paired percentile
    bootstrap, Efron & Tibshirani 1993, chapter 13.
    """
    if len(is_right_first) != len(is_right_second):
        raise ValueError(f"{len(is_right_first)} answers of the first, {len(is_right_second)} of the second")
    num_images = len(is_right_first)
    num_first = int(np.sum(is_right_first & ~is_right_second))
    num_second = int(np.sum(~is_right_first & is_right_second))
    if not num_images:
        return PairedComparison(0, 0, 0, float("nan"), _UNDEFINED, float("nan"))
    # A resample is how often each kind of picture was drawn: multinomial, so no picture has to be drawn by itself.
    shares = np.array([num_first, num_second, num_images - num_first - num_second]) / num_images
    drawn = np.random.default_rng(seed).multinomial(num_images, shares, num_resamples)
    return PairedComparison(
        num_images=num_images,
        num_only_first_right=num_first,
        num_only_second_right=num_second,
        difference=(num_first - num_second) / num_images,
        interval=_find_interval((drawn[:, 0] - drawn[:, 1]) / num_images),
        p_value=_compute_sign_test(min(num_first, num_second), num_first + num_second),
    )


def _compute_sign_test(num_wins: int, num_games: int) -> float:
    """Returns the two-sided chance of at most so many wins, or as many losses, in fair games; in whole numbers."""
    ways, num_ways = 1, 0  # one way to win none
    for wins in range(num_wins + 1):
        num_ways += ways
        ways = ways * (num_games - wins) // (wins + 1)
    return min(1.0, 2 * num_ways / 2**num_games)


def _count_called_depressed(
    is_depressed: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the different values, the highest first, and how many of each group are at or above each one.

    *Non-depressed* pictures first. All NaN where a probability is.
    """
    probabilities = np.asarray(probabilities, np.float64)
    values, places = np.unique(probabilities, return_inverse=True)
    num_alarms = np.bincount(places[~is_depressed], minlength=len(values))[::-1].cumsum()
    num_found = np.bincount(places[is_depressed], minlength=len(values))[::-1].cumsum()
    if np.isnan(values).any():
        nothing = np.full(len(values), np.nan)
        return nothing, nothing, nothing
    return values[::-1], num_alarms.astype(np.float64), num_found.astype(np.float64)


def _divide_by_last(counts: np.ndarray) -> np.ndarray:
    return counts / (counts[-1] or np.nan)


def _divide(number: float, by: float) -> float:
    return number / by if by else float("nan")


def _find_bins(probabilities: np.ndarray, num_bins: int) -> np.ndarray:
    return np.minimum((probabilities * num_bins).astype(int), num_bins - 1)


def _find_interval(scores: np.ndarray) -> tuple[float, float]:
    defined = scores[~np.isnan(scores)]
    if not len(defined):
        return _UNDEFINED
    low, high = np.percentile(defined, _INTERVAL_PERCENTILES)
    return float(low), float(high)
