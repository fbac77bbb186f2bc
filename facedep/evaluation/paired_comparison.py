"""Two classifiers on the same pictures: which one is better, and whether by more than chance."""

from dataclasses import dataclass

import numpy as np

from facedep.evaluation.intervals import NUM_RESAMPLES, UNDEFINED, find_percentile_interval

_SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class PairedComparison:
    """Two classifiers on the same pictures.

    Attributes:
        num_images: Pictures that both have predictions for.
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


def compare_predictions(
    is_right_first: np.ndarray, is_right_second: np.ndarray, *, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> PairedComparison:
    """Returns how two classifiers differ on the same pictures, and whether by more than chance.

    Only the pictures that one of them got right and the other wrong count: of equally good classifiers each wins
    half of those.

    Args:
        is_right_first: `bool` array of shape `(n,)`: whether the first one is right.
        is_right_second: Likewise for the second one, for the same pictures in the same order.
        num_resamples: How often the pictures are drawn again for the interval, with replacement.
        seed: Of the resampling.

    Raises:
        ValueError: The arrays differ in length.

    Reference: McNemar 1947, Psychometrika 12(2), as an exact two-sided binomial test; Dietterich 1998, Neural
    Computation 10(7), who recommends it for two classifiers and one test set. The interval: paired percentile
    bootstrap, Efron & Tibshirani 1993, chapter 13.
    """
    if len(is_right_first) != len(is_right_second):
        raise ValueError(f"{len(is_right_first)} predictions of the first, {len(is_right_second)} of the second")
    num_images = len(is_right_first)
    num_first = int(np.sum(is_right_first & ~is_right_second))
    num_second = int(np.sum(~is_right_first & is_right_second))
    if not num_images:
        return PairedComparison(0, 0, 0, float("nan"), UNDEFINED, float("nan"))
    # A resample is how often each kind of picture was drawn: multinomial, so no picture has to be drawn by itself.
    shares = np.array([num_first, num_second, num_images - num_first - num_second]) / num_images
    drawn = np.random.default_rng(seed).multinomial(num_images, shares, num_resamples)
    return PairedComparison(
        num_images=num_images,
        num_only_first_right=num_first,
        num_only_second_right=num_second,
        difference=(num_first - num_second) / num_images,
        interval=find_percentile_interval((drawn[:, 0] - drawn[:, 1]) / num_images),
        p_value=_compute_sign_test(min(num_first, num_second), num_first + num_second),
    )


def _compute_sign_test(num_wins: int, num_games: int) -> float:
    """Returns the two-sided chance of at most so many wins, or as many losses, in fair games; in whole numbers."""
    ways, num_ways = 1, 0  # one way to win none
    for wins in range(num_wins + 1):
        num_ways += ways
        ways = ways * (num_games - wins) // (wins + 1)
    return min(1.0, 2 * num_ways / 2**num_games)
