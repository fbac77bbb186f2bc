"""What is said of one set of pictures, from answers written by hand; and which pictures are scored."""

import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facedep import emotions
from facedep.data import load_dataset
from facedep.evaluation import evaluate_model, score_answers
from facedep.metrics import compute_intervals, compute_share_interval, score_predictions
from facedep.model import Classifier, Predictions

KNOWN = ("angry", "happy", "neutral", "sad")


def _index(*names: str) -> pd.DataFrame:
    """Returns the index table of pictures with these emotions; a group's name stands for a picture with no emotion."""
    rows = [("", name) if name in emotions.GROUPS else (name, emotions.group_of(name)) for name in names]
    return pd.DataFrame(rows, columns=["emotion", "label"], dtype=str)


def _answer(*tops: tuple[str, float]) -> Predictions:
    """Returns answers with these most probable emotions and P(depressed)."""
    answers = [{name: 0.7 if name == top else 0.1 for name in KNOWN} for top, _ in tops]
    return Predictions(np.array([probability for _, probability in tops]), answers)


def _score(index, predictions, threshold=0.5, band=None):
    return score_answers(index, predictions, threshold=threshold, band=band)


def _are_undefined(scores: dict, *names: str) -> bool:
    return bool(np.isnan(np.hstack([scores[name] for name in names])).all())


INDEX = _index("sad", "sad", "sad", "neutral", "happy", "happy", "angry", "contempt")
PREDICTIONS = _answer(
    ("sad", 0.9), ("neutral", 0.6), ("angry", 0.2), ("neutral", 0.55),
    ("happy", 0.1), ("sad", 0.7), ("angry", 0.45), ("happy", 0.3),
)  # fmt: skip


def test_all_scores_and_their_intervals_are_those_of_the_metrics():
    scores = _score(INDEX, PREDICTIONS, threshold=0.4)
    is_depressed = np.array([True] * 4 + [False] * 4)
    for name, value in score_predictions(is_depressed, PREDICTIONS.probabilities, 0.4).items():
        assert scores[name] == value
    expected = compute_intervals(is_depressed, PREDICTIONS.probabilities, 0.4)
    assert scores["intervals"] == {name: list(interval) for name, interval in expected.items()}


def test_emotion_accuracy_counts_only_pictures_whose_emotion_the_model_knows():
    scores = _score(INDEX, PREDICTIONS)
    assert scores["emotion_accuracy"] == pytest.approx(4 / 7)  # contempt is none of the model's
    assert scores["emotion_accuracy_interval"] == list(compute_share_interval(4, 7))


def test_per_emotion_by_hand():
    per_emotion = _score(INDEX, PREDICTIONS)["per_emotion"]
    assert list(per_emotion) == ["angry", "happy", "neutral", "sad", "contempt"]
    sad = per_emotion["sad"]
    assert sad["num_images"] == 3
    assert sad["group_accuracy"] == pytest.approx(2 / 3)  # a sad face called neutral is in the right group
    assert sad["emotion_accuracy"] == pytest.approx(1 / 3)
    assert sad["mean_probability"] == pytest.approx(1.7 / 3)
    assert sad["group_accuracy_interval"] == list(compute_share_interval(2, 3))
    assert sad["emotion_accuracy_interval"] == list(compute_share_interval(1, 3))
    assert per_emotion["happy"]["group_accuracy"] == 0.5
    assert per_emotion["contempt"]["group_accuracy"] == 1.0
    assert _are_undefined(per_emotion["contempt"], "emotion_accuracy", "emotion_accuracy_interval")


def test_group_accuracy_moves_with_the_threshold():
    per_emotion = _score(INDEX, PREDICTIONS, threshold=0.65)["per_emotion"]
    assert per_emotion["sad"]["group_accuracy"] == pytest.approx(1 / 3)
    assert per_emotion["neutral"]["group_accuracy"] == 0.0


def test_model_of_two_groups_has_no_emotion_accuracy():
    scores = _score(INDEX, Predictions(PREDICTIONS.probabilities, None))
    assert _are_undefined(scores, "emotion_accuracy", "emotion_accuracy_interval")
    assert all(_are_undefined(row, "emotion_accuracy") for row in scores["per_emotion"].values())
    assert scores["per_emotion"]["sad"]["group_accuracy"] == pytest.approx(2 / 3)


def test_data_that_names_no_emotions_has_no_rows_per_emotion():
    scores = _score(_index("depressed", "non_depressed"), _answer(("sad", 0.9), ("happy", 0.1)))
    assert scores["per_emotion"] == {}
    assert scores["accuracy"] == 1.0
    assert np.isnan(scores["emotion_accuracy"])


# The uncertain band


def test_answers_within_the_band_are_left_out():
    answered = _score(INDEX, PREDICTIONS, band=(0.4, 0.65))["answered"]
    assert answered["num_images"] == 5  # without 0.6, 0.55 and 0.45
    assert answered["share"] == pytest.approx(5 / 8)
    assert answered["accuracy"] == pytest.approx(3 / 5)
    assert answered["accuracy_interval"] == list(compute_share_interval(3, 5))
    assert answered["always_non_depressed_accuracy"] == pytest.approx(3 / 5)


def test_band_holds_its_low_end_and_not_its_high_end():
    index = _index("happy", "happy", "sad", "sad")
    predictions = _answer(("happy", 0.39), ("happy", 0.4), ("sad", 0.59), ("sad", 0.6))
    answered = _score(index, predictions, band=(0.4, 0.6))["answered"]
    assert (answered["num_images"], answered["share"], answered["accuracy"]) == (2, 0.5, 1.0)


def test_empty_band_answers_all_and_without_a_band_there_is_no_such_score():
    scores = _score(INDEX, PREDICTIONS, band=(0.5, 0.5))
    assert scores["answered"]["share"] == 1.0
    assert scores["answered"]["accuracy"] == scores["accuracy"]
    assert "answered" not in _score(INDEX, PREDICTIONS)


def test_band_that_holds_everything_answers_nothing_and_is_right_about_nothing():
    answered = _score(INDEX, PREDICTIONS, band=(0.0, 1.0))["answered"]
    assert (answered["num_images"], answered["share"]) == (0, 0.0)
    assert _are_undefined(answered, "accuracy", "accuracy_interval", "always_non_depressed_accuracy")


@pytest.mark.parametrize("band", [(0.6, 0.7), (0.3, 0.4), (0.6, 0.4), (float("nan"), 0.6)])
def test_band_away_from_the_threshold_is_a_mistake(band):
    with pytest.raises(ValueError, match=r"the threshold 0\.5 is not within the band"):
        _score(INDEX, PREDICTIONS, band=band)


# Undefined is NaN, never 0


def test_no_pictures_have_no_scores_and_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = _score(INDEX[:0], Predictions(np.zeros(0), []), band=(0.4, 0.6))
    assert (scores["num_images"], scores["per_emotion"], scores["answered"]["num_images"]) == (0, {}, 0)
    assert _are_undefined(scores, "accuracy", "emotion_accuracy", "emotion_accuracy_interval")
    assert _are_undefined(scores["answered"], "share", "accuracy", "accuracy_interval", "always_non_depressed_accuracy")


def test_network_that_answers_nan_has_no_scores_where_it_does():
    predictions = _answer(("sad", np.nan), ("sad", 0.9), ("happy", 0.1))
    scores = _score(_index("sad", "sad", "happy"), predictions, band=(0.4, 0.6))
    sad, happy = scores["per_emotion"]["sad"], scores["per_emotion"]["happy"]
    assert _are_undefined(scores, "accuracy")
    assert _are_undefined(sad, "group_accuracy", "group_accuracy_interval", "mean_probability")
    assert _are_undefined(scores["answered"], "share", "accuracy")
    assert happy["group_accuracy"] == 1.0


def test_scores_are_plain_numbers_that_json_can_hold():
    scores = _score(INDEX, PREDICTIONS, band=(0.4, 0.65))
    assert json.loads(json.dumps(scores))["per_emotion"]["sad"] == scores["per_emotion"]["sad"]


# Which pictures are scored


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder of 12 dark sad faces and 12 bright happy ones, and one damaged file."""
    rng = np.random.default_rng(0)
    for folder, brightness in (("Sad", 60), ("Happy", 180)):
        (tmp_path / "faces" / folder).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(brightness, brightness + 60, (48, 48), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "faces" / folder / f"{number:02}.png")
    (tmp_path / "faces" / "Sad" / "damaged.png").write_bytes(b"no picture")
    return tmp_path / "faces"


def _classifier(**card) -> Classifier:
    """Returns a model that takes dark pictures for sad ones, P(depressed) 0.8 at most."""

    def predict_on_batch(images: np.ndarray) -> np.ndarray:
        is_dark = images.mean(axis=(1, 2, 3)) < 128
        return np.where(is_dark[:, np.newaxis], [[0.2, 0.8]], [[0.9, 0.1]])

    network = SimpleNamespace(input_shape=(None, 48, 48, 1), output_shape=(None, 2), predict_on_batch=predict_on_batch)
    names = {"class_names": ["happy", "sad"], "positive_classes": ["sad"]}
    return Classifier("stand-in", network, {"recipe": "compact", "threshold": 0.5, **names, **card}, frozenset())


def _calibrated(low: float, high: float) -> dict:
    uncertain = {"low": low, "high": high, "target_error": 0.1}
    return {"temperature": 1.0, "uncertain": uncertain, "chosen_on": "val", "num_images": 9, "run": ""}


def test_evaluation_says_what_was_scored_and_how_well(pictures):
    scores = evaluate_model(_classifier(), load_dataset(str(pictures)), part="all")
    assert (scores["model"], scores["data"], scores["part"], scores["num_images"]) == ("stand-in", "faces", "all", 24)
    assert (scores["num_unreadable"], scores["num_seen_in_training"], scores["num_also_in_train"]) == (1, 0, 0)
    assert (scores["accuracy"], scores["roc_auc"], scores["emotion_accuracy"]) == (1.0, 1.0, 1.0)
    assert scores["intervals"]["accuracy"] == [1.0, 1.0]
    assert scores["per_emotion"]["sad"]["num_images"] == 12
    assert "answered" not in scores


def test_evaluation_leaves_out_what_the_models_own_band_calls_uncertain(pictures):
    classifier = _classifier(calibration=_calibrated(0.3, 0.85))
    answered = evaluate_model(classifier, load_dataset(str(pictures)), part="all")["answered"]
    assert (answered["num_images"], answered["share"], answered["accuracy"]) == (12, 0.5, 1.0)
