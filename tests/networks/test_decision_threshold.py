"""The threshold that was chosen on this computer, and how one is chosen."""

import json

import numpy as np
import pytest

from facedep.errors import DataError, RunError
from facedep.evaluation.metrics import compute_accuracy, compute_balanced_accuracy
from facedep.networks import decision_threshold
from facedep.networks.card import AbstentionBand, Calibration, Card
from facedep.networks.decision_threshold import (
    THRESHOLD_FILE,
    choose_threshold,
    find_band,
    forget_threshold,
    read_threshold,
)

NAMES = {"recipe": "compact", "class_names": ("depressed",), "positive_classes": ("depressed",), "input_size_px": 48}
PLAIN = Card(**NAMES)
CARD = Card(**NAMES, decision_threshold=0.4, calibration=Calibration(abstention_band=AbstentionBand(0.3, 0.6, 0.1)))


def test_the_cards_threshold_holds_until_one_is_chosen_and_after_it_is_forgotten(tmp_path):
    assert read_threshold(tmp_path, CARD) == 0.4
    assert read_threshold(tmp_path, PLAIN) == 0.5
    decision_threshold.write_threshold(tmp_path, 0.35)
    assert read_threshold(tmp_path, CARD) == 0.35
    assert [path.name for path in tmp_path.iterdir()] == [THRESHOLD_FILE]
    forget_threshold(tmp_path)
    forget_threshold(tmp_path)
    assert read_threshold(tmp_path, CARD) == 0.4


@pytest.mark.parametrize("threshold", [0, 1, 0.0, 1.0, np.float64(0.3)])
def test_any_number_from_0_to_1_can_be_chosen(threshold, tmp_path):
    decision_threshold.write_threshold(tmp_path, threshold)
    assert read_threshold(tmp_path, CARD) == threshold


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "0.3", '{"threshold": null}', '{"threshold": "0.3"}', '{"threshold": 1.5}',
     '{"threshold": NaN}', '{"threshold": true}', "\x80", "[" * 100_000],
    ids=lambda content: content[:20],
)  # fmt: skip
def test_damaged_file_counts_as_none(content, tmp_path):
    (tmp_path / THRESHOLD_FILE).write_text(content, "latin-1")
    assert read_threshold(tmp_path, CARD) == 0.4


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), True, None])
def test_what_is_no_share_is_refused(threshold, tmp_path):
    with pytest.raises(ValueError, match="expected a number from 0 to 1"):
        decision_threshold.write_threshold(tmp_path, threshold)


def test_a_run_that_is_gone_gives_a_sentence(tmp_path):
    with pytest.raises(RunError, match="The threshold of 'gone' could not be kept"):
        decision_threshold.write_threshold(tmp_path / "gone", 0.3)


def test_the_band_holds_for_thresholds_within_it_only():
    for threshold in (0.3, 0.4, 0.6):
        assert find_band(CARD, threshold) == (0.3, 0.6)
    for threshold in (0.29, 0.61):
        assert find_band(CARD, threshold) is None
    assert find_band(PLAIN, 0.5) is None
    assert find_band(Card(**NAMES, calibration=Calibration()), 0.5) is None


# How one is chosen


def _score(is_depressed, probabilities, threshold, aim):
    score = compute_accuracy if aim == "accuracy" else compute_balanced_accuracy
    return score(is_depressed, probabilities, threshold)


@pytest.mark.parametrize("aim", ["accuracy", "balanced_accuracy"])
@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better_and_no_equally_good_step_nearer_to_one_half(aim, seed):
    rng = np.random.default_rng(seed)
    num_images = int(rng.integers(2, 60))
    is_depressed = rng.random(num_images) < 0.35
    is_depressed[:2] = True, False
    probabilities = np.clip(rng.normal(0.3 + 0.3 * is_depressed, 0.25), 0, 1)
    if seed % 2:
        probabilities = np.round(probabilities, 1)
    chosen = choose_threshold(is_depressed, probabilities, aim=aim)
    best = _score(is_depressed, probabilities, chosen, aim)
    grid = np.linspace(0, 1, 2001)
    scores = np.array([_score(is_depressed, probabilities, threshold, aim) for threshold in grid])
    assert best >= scores.max() - 1e-12
    at_half = _score(is_depressed, probabilities, 0.5, aim)
    if at_half >= best - 1e-12:
        assert chosen == 0.5


def test_threshold_lies_in_the_middle_between_two_answers():
    is_depressed = np.array([False, False, True, True])
    assert choose_threshold(is_depressed, np.array([0.1, 0.2, 0.3, 0.9])) == pytest.approx(0.25)
    assert choose_threshold(is_depressed, np.array([0.1, 0.4, 0.8, 0.9])) == 0.5
    assert choose_threshold(is_depressed, np.array([0.1, 0.49999999, 0.5, 0.9])) == 0.5


def test_balanced_accuracy_counts_a_rare_group_as_much_as_a_common_one():
    is_depressed = np.array([True] * 2 + [False] * 8)
    probabilities = np.array([0.4, 0.3, 0.35, 0.35, 0.35, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert choose_threshold(is_depressed, probabilities) == pytest.approx(0.375)  # 9 of 10
    assert choose_threshold(is_depressed, probabilities, aim="balanced_accuracy") == pytest.approx(0.2)  # 2/2, 5/8


@pytest.mark.parametrize("value", [0.0, 0.3, 0.5, 1.0])
def test_constant_answers_get_the_threshold_of_the_larger_group(value):
    is_depressed = np.array([True, False, False])
    threshold = choose_threshold(is_depressed, np.full(3, value))
    calls_depressed = value >= threshold
    assert 0 <= threshold <= 1
    assert calls_depressed == (value == 1.0)  # no threshold calls a certain answer non-depressed
    assert choose_threshold(~is_depressed, np.full(3, value)) <= value


def test_neighbouring_numbers_have_a_threshold_too():
    low = 0.3
    high = np.nextafter(low, 1)
    assert choose_threshold(np.array([False, True]), np.array([low, high])) == high


@pytest.mark.parametrize("truths", [[], [True, True], [False]])
def test_without_both_groups_there_is_a_sentence(truths):
    with pytest.raises(DataError, match="both groups"):
        choose_threshold(np.array(truths, bool), np.full(len(truths), 0.5))


def test_mistakes_of_a_programmer_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        choose_threshold(np.array([True, False]), np.array([0.5, np.nan]))
    with pytest.raises(ValueError, match="unknown aim"):
        choose_threshold(np.array([True, False]), np.array([0.5, 0.4]), aim="f1")


def test_what_is_written_is_one_number_and_what_it_was_chosen_on(tmp_path):
    decision_threshold.write_threshold(tmp_path, 0.1 + 0.2, chosen_on="val of faces.zip")
    assert json.loads((tmp_path / THRESHOLD_FILE).read_text()) == {
        "threshold": 0.1 + 0.2,
        "chosen_on": "val of faces.zip",
    }
    assert decision_threshold.read_choice(tmp_path) == "val of faces.zip"
    decision_threshold.forget_threshold(tmp_path)
    assert decision_threshold.read_choice(tmp_path) == ""
