"""Confident learning: a small example counted by hand, and planted wrong labels."""

import numpy as np
import pandas as pd
import pytest

from facedep import emotions
from facedep.evaluation.label_issues import find_label_issues
from facedep.inference.prediction_cache import DatasetPredictions

NAN = float("nan")


def _index(*names: str) -> pd.DataFrame:
    """Returns the samples of pictures with these emotions; a group's name stands for a picture with no emotion."""
    rows = [("", name) if name in emotions.GROUPS else (name, emotions.group_of(name)) for name in names]
    return pd.DataFrame(rows, columns=["emotion", "label"], dtype=str)


def _answer(class_names: list[str], *rows: tuple[float, ...]) -> DatasetPredictions:
    outputs = np.array(rows, np.float32).reshape(-1, len(class_names))
    positive = [name for name in class_names if name in ("neutral", "sad", "depressed")]
    return DatasetPredictions(
        class_names, positive, outputs, np.zeros((len(rows), 1), np.float16), ~np.isnan(outputs[:, 0])
    )


NAMES = ["happy", "sad", "angry"]
INDEX = _index("happy", "happy", "happy", "sad", "sad", "sad", "sad", "contempt")
ANSWERS = _answer(
    NAMES,
    (0.9, 0.05, 0.05),
    (0.7, 0.2, 0.1),
    (0.1, 0.8, 0.1),  # surely sad, says the model
    (0.2, 0.7, 0.1),
    (0.1, 0.6, 0.3),
    (0.5, 0.4, 0.1),  # rather happy, but less sure than it is of happy faces on average
    (NAN, NAN, NAN),  # damaged
    (0.9, 0.05, 0.05),  # an emotion it does not know
)


def test_small_example_is_as_counted_by_hand():
    hints = find_label_issues(ANSWERS, INDEX)
    assert hints.class_names == ("happy", "sad", "angry")
    assert hints.given.tolist() == [0, 0, 0, 1, 1, 1, -1, -1]
    np.testing.assert_allclose(hints.self_confidence, [0.9, 0.7, 0.1, 0.7, 0.6, 0.4, NAN, NAN], atol=1e-6)
    np.testing.assert_allclose(hints.thresholds, [1.7 / 3, 1.7 / 3, NAN], atol=1e-6)
    assert hints.confident_joint.tolist() == [[2, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert hints.suggested.tolist() == [0, 0, 1, 1, 1, 0, -1, -1]
    assert hints.is_suspicious.tolist() == [False, False, True, *[False] * 5]
    assert hints.ranking.tolist() == [2]


def test_least_likely_label_comes_first():
    sure, wrong, more_wrong = (0.99, 0.01), (0.2, 0.8), (0.1, 0.9)
    answers = _answer(["happy", "sad"], *[sure] * 8, wrong, more_wrong, *[(0.3, 0.7)] * 4)
    hints = find_label_issues(answers, _index(*["happy"] * 10, *["sad"] * 4))
    assert hints.ranking.tolist() == [9, 8]


def test_label_that_is_the_most_probable_one_is_never_suspicious():
    answers = _answer(["happy", "sad"], (0.9, 0.1), (0.9, 0.1), (0.55, 0.45), (0.7, 0.3), (0.6, 0.4))
    hints = find_label_issues(answers, _index("happy", "happy", "happy", "sad", "sad"))
    assert hints.confident_joint.tolist() == [[2, 1], [0, 1]]  # the third counts as sad: 0.45 is much for a sad face
    assert not hints.is_suspicious.any()


def test_whole_class_of_one_confidence_is_confidently_itself():
    answers = _answer(["happy", "sad"], *[(0.7, 0.3)] * 7, *[(0.1, 0.9)] * 3)
    hints = find_label_issues(answers, _index(*["happy"] * 7, *["sad"] * 3))
    assert hints.confident_joint.tolist() == [[7, 0], [0, 3]]


# Which labels are compared


def test_groups_are_compared_where_most_pictures_name_no_emotion():
    rows = [(0.1, 0.5, 0.4), (0.8, 0.1, 0.1), (0.9, 0.05, 0.05)]
    samples = _index("depressed", "depressed", "non_depressed")
    hints = find_label_issues(_answer(["happy", "neutral", "sad"], *rows), samples)
    assert hints.class_names == ("non_depressed", "depressed")
    np.testing.assert_allclose(hints.self_confidence, [0.9, 0.2, 0.9], atol=1e-6)
    assert hints.given.tolist() == [1, 1, 0]


def test_groups_are_compared_where_the_model_knows_only_them():
    hints = find_label_issues(_answer(["depressed"], (0.9,), (0.8,), (NAN,)), _index("sad", "happy", "sad"))
    assert hints.class_names == ("non_depressed", "depressed")
    np.testing.assert_allclose(hints.self_confidence, [0.9, 0.2, NAN], atol=1e-6)
    assert hints.given.tolist() == [1, 0, -1]


def test_without_pictures_there_is_no_hint():
    hints = find_label_issues(_answer(NAMES), _index())
    assert (len(hints.given), len(hints.ranking), hints.confident_joint.sum()) == (0, 0, 0)


def test_pictures_of_the_training_are_noted():
    assert not find_label_issues(ANSWERS, INDEX).in_training_set.any()
    in_training_set = np.arange(8) % 2 == 0
    assert (
        find_label_issues(ANSWERS, INDEX, in_training_set=in_training_set).in_training_set.tolist()
        == in_training_set.tolist()
    )


# Planted wrong labels


@pytest.mark.parametrize("names", [["angry", "fear", "happy", "neutral", "sad"], ["depressed"]], ids=len)
def test_planted_wrong_labels_are_found_and_hardly_any_other(names):
    """Each picture's true class gets most of the probability; the labels of 5 % are then exchanged for others."""
    random = np.random.default_rng(0)
    num_images, num_classes = 4000, max(2, len(names))
    true = random.integers(num_classes, size=num_images)
    logits = random.normal(size=(num_images, num_classes))
    logits[np.arange(num_images), true] += 7
    outputs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    is_wrong = random.random(num_images) < 0.05
    given = np.where(is_wrong, (true + random.integers(1, num_classes, size=num_images)) % num_classes, true)
    groups = len(names) == 1
    samples = _index(*(np.array(emotions.GROUPS if groups else names)[given]))
    hints = find_label_issues(_answer(names, *(outputs[:, 1:] if groups else outputs)), samples)
    found = hints.is_suspicious
    assert (found & is_wrong).sum() / found.sum() > 0.95
    assert (found & is_wrong).sum() / is_wrong.sum() > 0.9
    assert (hints.suggested[found & is_wrong] == true[found & is_wrong]).mean() > 0.99
    np.testing.assert_array_equal(hints.given, given)
