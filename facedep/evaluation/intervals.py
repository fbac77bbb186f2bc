"""95 % confidence intervals: Wilson's for every share, the bootstrap's for scores that are not shares."""

import math

import numpy as np

NUM_RESAMPLES = 1000  # from seed to seed the ends of a 0.03 wide interval then move by 0.0007 (3,649 pictures)
UNDEFINED = (float("nan"), float("nan"))
_PERCENTILES = (2.5, 97.5)
_Z_95 = 1.959963984540054  # the 97.5th percentile of the standard normal distribution


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
        return UNDEFINED
    share, squared = num_right / num_all, _Z_95**2
    middle = (share + squared / (2 * num_all)) / (1 + squared / num_all)
    half = _Z_95 * math.sqrt(share * (1 - share) / num_all + squared / (4 * num_all**2)) / (1 + squared / num_all)
    low = 0.0 if num_right == 0 else middle - half  # exact there; rounding would leave 1e-17
    high = 1.0 if num_right == num_all else middle + half
    return float(low), float(high)


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
    others are none and have a bootstrap interval. Resamples with an undefined score (one group only) do not count;
    (NaN, NaN) if the score itself is undefined. The same pictures and seed give the same intervals.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the prediction is *depressed*.
        num_resamples: How often the pictures are drawn again, with replacement.
        seed: Of the resampling.

    Reference: `compute_wilson_interval`; percentile bootstrap, Efron & Tibshirani 1993, An Introduction to the
    Bootstrap, chapter 13.
    """
    num_images = len(is_depressed)
    if not num_images or np.isnan(probabilities).any():
        return dict.fromkeys(("accuracy", "balanced_accuracy", "roc_auc"), UNDEFINED)
    # Both scores follow from how often each value was drawn in either group: no resample is sorted again.
    values, inverse = np.unique(probabilities, return_inverse=True)
    first_depressed_prediction = np.count_nonzero(values < threshold)
    codes = 2 * inverse + is_depressed
    rng = np.random.default_rng(seed)
    true_negative_rates, true_positive_rates, areas = np.full((3, num_resamples), np.nan)
    for i in range(num_resamples):
        drawn = codes[rng.integers(0, num_images, num_images)]
        negatives, positives = np.bincount(drawn, minlength=2 * len(values)).reshape(-1, 2).T
        num_negative, num_positive = negatives.sum(), positives.sum()
        if num_negative and num_positive:
            true_negative_rates[i] = negatives[:first_depressed_prediction].sum() / num_negative
            true_positive_rates[i] = positives[first_depressed_prediction:].sum() / num_positive
            num_won_twice = positives @ (2 * np.cumsum(negatives) - negatives)  # a win counts 2, a tie 1
            areas[i] = num_won_twice / (2 * num_negative * num_positive)
    return {
        "accuracy": compute_wilson_interval(np.sum(is_depressed == (probabilities >= threshold)), num_images),
        "balanced_accuracy": find_percentile_interval((true_negative_rates + true_positive_rates) / 2),
        "roc_auc": find_percentile_interval(areas),
    }


def find_percentile_interval(scores: np.ndarray) -> tuple[float, float]:
    """Returns the middle 95 % of a score's resamples: low and high end; (NaN, NaN) if none is defined.

    Args:
        scores: `float64` array of shape `(resamples,)`; NaN where a resample has no score.
    """
    defined = scores[~np.isnan(scores)]
    if not len(defined):
        return UNDEFINED
    low, high = np.percentile(defined, _PERCENTILES)
    return float(low), float(high)
