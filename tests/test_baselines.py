"""The majority baseline is the larger group's share, whichever group that is, also in what earlier versions wrote."""

import math

import numpy as np
import pytest

from facedep.baselines import UNKNOWN, MajorityBaseline, find_majority_baseline, read_majority_baseline
from facedep.emotions import DEPRESSED, NON_DEPRESSED
from facedep.metrics import score_predictions
from facedep.runs import replace_nan


@pytest.mark.parametrize(
    ("num_depressed", "num_others", "expected"),
    [
        (72, 28, MajorityBaseline(DEPRESSED, 0.72)),
        (28, 72, MajorityBaseline(NON_DEPRESSED, 0.72)),
        (5, 5, MajorityBaseline(NON_DEPRESSED, 0.5)),
        (3, 0, MajorityBaseline(DEPRESSED, 1.0)),
        (0, 3, MajorityBaseline(NON_DEPRESSED, 1.0)),
    ],
)
def test_baseline_is_the_larger_group_and_its_share(num_depressed, num_others, expected):
    found = find_majority_baseline(np.array([True] * num_depressed + [False] * num_others))
    assert (found.name, found.is_known) == (expected.name, True)
    assert found.share == pytest.approx(expected.share)


def test_baseline_of_no_pictures_is_unknown():
    assert find_majority_baseline(np.zeros(0, bool)) is UNKNOWN
    assert not UNKNOWN.is_known


@pytest.mark.parametrize("key", ["always_non_depressed_accuracy", "always_non_depressed"])
@pytest.mark.parametrize(("share", "name", "expected"), [(0.28, DEPRESSED, 0.72), (0.64, NON_DEPRESSED, 0.64)])
def test_earlier_share_of_non_depressed_becomes_the_majority(key, share, name, expected):
    found = read_majority_baseline({key: share})
    assert (found.name, found.label) == (name, name.replace("_", "-"))
    assert found.share == pytest.approx(expected)


@pytest.mark.parametrize("is_depressed", [[True, True, False], [False, False, True], [True], []])
def test_baseline_of_scores_is_read_back_from_their_json(is_depressed):
    is_depressed = np.array(is_depressed, bool)
    scores = replace_nan(score_predictions(is_depressed, np.full(len(is_depressed), 0.5)))
    found, expected = read_majority_baseline(scores), find_majority_baseline(is_depressed)
    assert found == expected or not (found.is_known or expected.is_known)


@pytest.mark.parametrize(
    "scores",
    [
        {},
        {"always_non_depressed": None},
        {"always_non_depressed_accuracy": float("nan")},
        {"always_non_depressed_accuracy": True},
        {"always_non_depressed_accuracy": 1.5},
        {"always_non_depressed_accuracy": "0.6"},
        {"majority_baseline": 0.7},
        {"majority_baseline": {"name": "happy", "share": 0.7}},
        {"majority_baseline": {"name": ["depressed"], "share": 0.7}},
        {"majority_baseline": {"name": DEPRESSED, "share": 0.3}},
        {"majority_baseline": {"name": DEPRESSED, "share": None}},
        {"majority_baseline": {"name": DEPRESSED}},
    ],
)
def test_what_is_missing_or_makes_no_sense_is_unknown(scores):
    assert math.isnan(read_majority_baseline(scores).share)
