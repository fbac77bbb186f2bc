"""The majority baseline: what a classifier gets that gives every picture the same answer, the larger group's.

Reference: the "ZeroR" baseline, Witten, Frank & Hall 2011, Data Mining, third edition, section 11.4.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from facedep import emotions

_OLD_KEYS = ("always_non_depressed_accuracy", "always_non_depressed")  # of scores, and of a run's first metrics row


@dataclass(frozen=True)
class MajorityBaseline:
    """The answer that is right for most pictures without looking at any.

    Attributes:
        name: The larger group, one of `emotions.GROUPS`; *non-depressed* where both are equally large.
        share: Its share of the pictures, which is the accuracy of always answering it: 0.5..1; NaN where there are no
            pictures, or it was not recorded.
    """

    name: str
    share: float

    @property
    def is_known(self) -> bool:
        """Whether there is a share to compare with."""
        return not math.isnan(self.share)

    @property
    def label(self) -> str:
        """The group's name in words: "depressed" or "non-depressed"."""
        return self.name.replace("_", "-")


UNKNOWN = MajorityBaseline(emotions.NON_DEPRESSED, float("nan"))


def find_majority_baseline(is_depressed: np.ndarray) -> MajorityBaseline:
    """Returns the larger group and its share.

    Args:
        is_depressed: `bool` array of shape `(n,)`, the data set's labels.
    """
    if not len(is_depressed):
        return UNKNOWN
    return _build_from_share(float(np.mean(~np.asarray(is_depressed, bool))))


def read_majority_baseline(scores: Mapping[str, Any]) -> MajorityBaseline:
    """Returns the baseline that scores, or the first row of a run's measurements, hold; `UNKNOWN` where they hold none.

    Runs of earlier versions recorded the accuracy of always answering *non-depressed*, also where *depressed* was the
    larger group. With two groups the one share follows from the other.

    Args:
        scores: A table with `majority_baseline` (`name` and `share`) or one of the earlier keys. It may come from
            anywhere: what makes no sense counts as not recorded.
    """
    recorded = scores.get("majority_baseline")
    if isinstance(recorded, Mapping):
        name, share = recorded.get("name"), recorded.get("share")
        if isinstance(name, str) and name in emotions.GROUPS and _is_share(share) and share >= 0.5:
            return MajorityBaseline(name, float(share))
        return UNKNOWN
    share = next((scores[key] for key in _OLD_KEYS if key in scores), None)
    return _build_from_share(float(share)) if _is_share(share) else UNKNOWN


def _build_from_share(share_non_depressed: float) -> MajorityBaseline:
    if share_non_depressed >= 0.5:
        return MajorityBaseline(emotions.NON_DEPRESSED, share_non_depressed)
    return MajorityBaseline(emotions.DEPRESSED, 1 - share_non_depressed)


def _is_share(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
