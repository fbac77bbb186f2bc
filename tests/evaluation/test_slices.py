"""Slices have exact bounds, sizes, shares and intervals."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from facedep import emotions
from facedep.evaluation import slices


def build_table(num_images, **columns):
    same = dict.fromkeys(("brightness", "contrast", "sharpness"), np.full(num_images, 0.5))
    same |= dict.fromkeys(("width", "height"), np.full(num_images, 48.0))
    return pd.DataFrame(same | columns)


def find(measure, emotion=None, is_right=None, probabilities=None, **columns):
    num_images = len(next(iter([*columns.values(), emotion])))
    samples = pd.DataFrame({"emotion": [""] * num_images if emotion is None else emotion})
    found = slices.find_slices(
        samples,
        build_table(num_images, **columns),
        np.ones(num_images, bool) if is_right is None else is_right,
        np.full(num_images, 0.5) if probabilities is None else probabilities,
    )
    assert {one.measure for one in found} <= {measure}
    return found


def test_emotions_are_slices_with_their_wilson_interval():
    emotion = ["happy"] * 10 + ["sad"] * 40
    is_right = np.array([True] * 7 + [False] * 3 + [True] * 40)
    happy, sad = find("emotion", emotion=emotion, is_right=is_right)
    assert (happy.name, happy.num_images, happy.accuracy, happy.is_small) == ("happy", 10, 0.7, True)
    # 7 of 10 by hand: (0.7 + 1.92073/10 ± 1.95996 sqrt(0.021 + 0.0096036)) / 1.384146
    assert (happy.low, happy.high) == pytest.approx((0.396778, 0.892209), abs=1e-6)
    assert (sad.name, sad.num_images, sad.accuracy, sad.high, sad.is_small) == ("sad", 40, 1.0, 1.0, False)
    assert happy.indices.tolist() == list(range(10))
    assert sad.indices.tolist() == list(range(10, 50))


def test_thirty_pictures_are_no_longer_too_few():
    assert [one.is_small for one in find("emotion", emotion=["fear"] * 29 + ["sad"] * 30)] == [True, False]


def test_measures_are_cut_into_quarters_at_the_bounds_that_are_written():
    brightness = np.arange(100) / 100
    is_right = brightness >= 0.25
    found = find("brightness", brightness=brightness, is_right=is_right)
    # The quartiles are 0.2475, 0.495 and 0.7425.
    assert [one.name for one in found] == [
        "dark quarter: below 0.25",
        "rather dark quarter: 0.25 to 0.50",
        "rather bright quarter: 0.50 to 0.74",
        "bright quarter: from 0.74",
    ]
    assert [one.accuracy for one in found] == [0, 1, 1, 1]
    assert [one.num_images for one in found] == [25, 25, 24, 26]
    assert np.concatenate([one.indices for one in found]).tolist() == list(range(100))


def test_tied_values_give_fewer_parts_and_a_single_value_none():
    width = np.array([48.0] * 60 + [96.0] * 40)
    small, large = find("size", width=width, height=width)
    assert (small.name, small.num_images, large.name, large.num_images) == (
        "small: below 96 px", 60, "large: from 96 px", 40,
    )  # fmt: skip
    found = find("contrast", contrast=np.repeat([0.2, 0.4, 0.6], 10))
    assert [(one.name, one.num_images) for one in found] == [
        ("low-contrast: below 0.40", 10),
        ("medium: 0.40 to 0.60", 10),
        ("high-contrast: from 0.60", 10),
    ]
    assert find("size", width=np.full(5, 48.0)) == []


def test_size_is_the_shorter_side():
    found = find("size", width=np.array([10.0, 90, 90, 90]), height=np.array([90.0, 20, 30, 40]))
    assert [one.indices.tolist() for one in found] == [[0], [1], [2], [3]]


def test_pictures_without_a_measure_or_an_answer_are_left_out():
    sharpness = np.array([0.1, 0.2, 0.3, 0.4, np.nan, 0.5])
    probabilities = np.array([0.5, 0.5, 0.5, 0.5, 0.5, np.nan])
    found = find("sharpness", sharpness=sharpness, probabilities=probabilities)
    assert sorted(np.concatenate([one.indices for one in found]).tolist()) == [0, 1, 2, 3]
    assert find("emotion", emotion=["sad"], probabilities=np.array([np.nan])) == []


def test_no_pictures_have_no_slices():
    assert find("emotion", emotion=[]) == []


def draw_slices(rng, num_images=900, *, bad_emotion=""):
    """Returns slices of pictures of which 80 % are right, whatever they show; of one emotion only 60 %."""
    emotion = rng.choice(emotions.EMOTIONS[:7], num_images)
    is_right = rng.random(num_images) < np.where(emotion == bad_emotion, 0.6, 0.8)
    columns = {name: rng.random(num_images) for name in ("brightness", "contrast", "sharpness")}
    sides = rng.integers(40, 400, num_images).astype(float)
    table = build_table(num_images, **columns, width=sides, height=sides)
    samples = pd.DataFrame({"emotion": emotion})
    return slices.find_slices(samples, table, is_right, np.full(num_images, 0.5)), is_right


def test_a_model_that_is_equally_good_everywhere_has_a_worse_slice_at_most_one_time_in_twenty():
    rng = np.random.default_rng(0)
    num_corrected = num_uncorrected = 0
    for _ in range(300):
        found, is_right = draw_slices(rng)
        assert len(found) == 23
        num_corrected += any(one.is_worse for one in found)
        num_uncorrected += any(one.high < is_right.mean() for one in found)
    assert num_uncorrected / 300 > 0.2  # what the intervals alone would call worse
    assert num_corrected / 300 <= 0.05


def test_a_slice_that_is_worse_is_found():
    rng = np.random.default_rng(1)
    found = [{one.name for one in draw_slices(rng, bad_emotion="fear")[0] if one.is_worse} for _ in range(50)]
    assert np.mean(["fear" in names for names in found]) > 0.9
    assert np.mean([bool(names - {"fear"}) for names in found]) <= 0.1


def test_p_value_is_that_of_fishers_exact_test_against_the_other_pictures_times_the_number_of_slices():
    emotion = np.array(["happy"] * 300 + ["sad"] * 40 + ["fear"] * 10)
    is_right = np.array([True] * 260 + [False] * 40 + [True] * 25 + [False] * 15 + [True] * 2 + [False] * 8)
    found = {one.name: one for one in find("emotion", emotion=emotion, is_right=is_right)}
    expected = fisher_exact([[25, 15], [262, 48]], alternative="less").pvalue
    assert found["sad"].p_value == pytest.approx(2 * expected)  # fear has too few pictures to be one of them
    assert (found["sad"].is_worse, found["happy"].is_worse) == (True, False)
    assert np.isnan(found["fear"].p_value)
    assert not found["fear"].is_worse
    everything = find("emotion", emotion=["sad"] * 40, is_right=is_right[:40])
    assert [one.p_value for one in everything] == [1.0]


def test_p_values_are_corrected_step_by_step():
    # Holm: 4 x 0.01, 3 x 0.013 is below it and so is raised to it, 2 x 0.03, 1 x 0.6.
    assert slices.correct_for_number([0.6, 0.01, 0.03, 0.013]) == pytest.approx([0.6, 0.04, 0.06, 0.04])
    assert slices.correct_for_number([0.9, 0.8]) == [1.0, 1.0]
    assert slices.correct_for_number([]) == []


def test_the_worst_come_first_and_small_ones_last():
    emotion = ["fear"] * 5 + ["happy"] * 40 + ["sad"] * 40 + ["angry"] * 5
    is_right = np.array([False] * 5 + [True] * 40 + [True] * 20 + [False] * 20 + [True] * 5)
    found = slices.find_worst(find("emotion", emotion=emotion, is_right=is_right))
    assert [(one.name, one.accuracy) for one in found] == [("sad", 0.5), ("happy", 1), ("fear", 0), ("angry", 1)]


def test_the_most_confident_mistakes_come_first():
    is_depressed = np.array([True, False, True, False, True, False])
    probabilities = np.array([0.1, 0.95, 0.9, 0.2, np.nan, 0.6])
    assert slices.find_confident_mistakes(is_depressed, probabilities, 0.5, 10).tolist() == [1, 0, 5]
    assert slices.find_confident_mistakes(is_depressed, probabilities, 0.5, 2).tolist() == [1, 0]
    assert slices.find_confident_mistakes(is_depressed, probabilities, 0.7, 10).tolist() == [1, 0]
    assert slices.find_confident_mistakes(is_depressed[:0], probabilities[:0], 0.5, 3).tolist() == []


def test_equal_mistakes_keep_their_order():
    assert slices.find_confident_mistakes(np.ones(4, bool), np.full(4, 0.2), 0.5, 3).tolist() == [0, 1, 2]
