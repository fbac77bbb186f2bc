"""Whether P(depressed) means what it says: the reliability diagram's numbers and the calibration error."""

from dataclasses import dataclass

import numpy as np

from facedep.evaluation.intervals import compute_wilson_interval

NUM_CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv 1706.04599


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


def _find_bins(probabilities: np.ndarray, num_bins: int) -> np.ndarray:
    return np.minimum((probabilities * num_bins).astype(int), num_bins - 1)
