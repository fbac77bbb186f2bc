"""What is said of one set of pictures, from answers written by hand; and which pictures are scored."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facedep import emotions
from facedep.audit.cleaning import clean_scan
from facedep.audit.neighbors import build_appearance, score_lookup_table
from facedep.audit.quality import measure_quality
from facedep.cli.main import main
from facedep.data.dataset_spec import DatasetSpec
from facedep.data.eval_subset import EvalSubset
from facedep.data.scan import scan_dataset
from facedep.data.sources import Dataset, load_dataset
from facedep.data.splits import LEAK_FREE, PUBLISHED, SUPPLIED, split_dataset
from facedep.errors import DataError, ModelError
from facedep.evaluation import evaluation, score_cache
from facedep.evaluation.evaluation import MissingPredictionsError, evaluate_run, read_evaluation
from facedep.evaluation.intervals import compute_intervals, compute_wilson_interval
from facedep.evaluation.metrics import compute_metrics
from facedep.evaluation.protocol_comparison import compare_protocols
from facedep.evaluation.reliability import compute_reliability
from facedep.evaluation.score_cache import find_evaluation_key, read_scores
from facedep.evaluation.scores import find_emotion_recall, score_predictions
from facedep.evaluation.slices import find_slices
from facedep.evaluation.subset_selection import select_pictures, split_like_training
from facedep.inference.prediction_cache import (
    DatasetPredictions,
    find_predictions_path,
    save_predictions_beside,
    write_predictions,
)
from facedep.networks.card import CARD_FILE, FINGERPRINTS_FILE, MODEL_FILE, Card, CardData, read_card
from facedep.networks.decision_threshold import write_threshold
from facedep.networks.majority_baseline import MajorityBaseline, read_majority_baseline
from facedep.networks.predictions import Predictions
from facedep.paths import PROJECT_DIR

KNOWN = ("angry", "happy", "neutral", "sad")


def _index(*names: str) -> pd.DataFrame:
    """Returns the samples of pictures with these emotions; a group's name stands for a picture with no emotion."""
    rows = [("", name) if name in emotions.GROUPS else (name, emotions.group_of(name)) for name in names]
    return pd.DataFrame(rows, columns=["emotion", "label"], dtype=str)


def _answer(*tops: tuple[str, float]) -> Predictions:
    """Returns answers with these most probable emotions and P(depressed)."""
    answers = [{name: 0.7 if name == top else 0.1 for name in KNOWN} for top, _ in tops]
    return Predictions(np.array([probability for _, probability in tops]), answers)


def _score(samples, predictions, threshold=0.5, band=None):
    return score_predictions(samples, predictions, threshold=threshold, band=band)


def _are_undefined(scores: dict, *names: str) -> bool:
    return bool(np.isnan(np.hstack([scores[name] for name in names])).all())


EVERYTHING = EvalSubset(subset="all")
INDEX = _index("sad", "sad", "sad", "neutral", "happy", "happy", "angry", "contempt")
PREDICTIONS = _answer(
    ("sad", 0.9), ("neutral", 0.6), ("angry", 0.2), ("neutral", 0.55),
    ("happy", 0.1), ("sad", 0.7), ("angry", 0.45), ("happy", 0.3),
)  # fmt: skip


def test_all_scores_and_their_intervals_are_those_of_the_metrics():
    scores = _score(INDEX, PREDICTIONS, threshold=0.4)
    is_depressed = np.array([True] * 4 + [False] * 4)
    for name, value in compute_metrics(is_depressed, PREDICTIONS.probabilities, 0.4).items():
        assert scores[name] == value
    expected = compute_intervals(is_depressed, PREDICTIONS.probabilities, 0.4)
    assert scores["intervals"] == {name: list(interval) for name, interval in expected.items()}


def test_emotion_accuracy_counts_only_pictures_whose_emotion_the_model_knows():
    scores = _score(INDEX, PREDICTIONS)
    assert scores["emotion_accuracy"] == pytest.approx(4 / 7)  # contempt is none of the model's
    assert scores["emotion_accuracy_interval"] == list(compute_wilson_interval(4, 7))


def test_per_emotion_by_hand():
    per_emotion = _score(INDEX, PREDICTIONS)["per_emotion"]
    assert list(per_emotion) == ["angry", "happy", "neutral", "sad", "contempt"]
    sad = per_emotion["sad"]
    assert sad["num_images"] == 3
    assert sad["group_accuracy"] == pytest.approx(2 / 3)  # a sad face called neutral is in the right group
    assert sad["emotion_accuracy"] == pytest.approx(1 / 3)
    assert sad["mean_probability"] == pytest.approx(1.7 / 3)
    assert sad["group_accuracy_interval"] == list(compute_wilson_interval(2, 3))
    assert sad["emotion_accuracy_interval"] == list(compute_wilson_interval(1, 3))
    assert per_emotion["happy"]["group_accuracy"] == 0.5
    assert per_emotion["contempt"]["group_accuracy"] == 1.0
    assert _are_undefined(per_emotion["contempt"], "emotion_accuracy", "emotion_accuracy_interval")


def test_one_share_has_one_interval_wherever_it_is_shown():
    is_depressed = np.array([True] * 30 + [False] * 20)
    probabilities = np.array([0.9] * 27 + [0.1] * 3 + [0.1] * 20)
    names = ["sad" if value else "happy" for value in is_depressed]
    samples = _index(*names)
    scores = _score(samples, _answer(*zip(names, probabilities, strict=True)), band=(0.5, 0.5))
    overall = list(compute_wilson_interval(47, 50))
    assert scores["intervals"]["accuracy"] == scores["selective_accuracy_interval"] == overall
    table = pd.DataFrame(dict.fromkeys(("brightness", "contrast", "sharpness", "width", "height"), [1.0] * 50))
    is_right = is_depressed == (probabilities >= 0.5)
    for one in find_slices(samples, table, is_right, probabilities):
        assert scores["per_emotion"][one.name]["group_accuracy_interval"] == [one.low, one.high]
        assert (one.low, one.high) == compute_wilson_interval(round(one.accuracy * one.num_images), one.num_images)
    reliability = compute_reliability(is_right, np.full(50, 0.95))
    assert [reliability.low[-1], reliability.high[-1]] == overall


def test_flattering_scores_have_the_intervals_of_the_evaluation(run_dir, dataset):
    for row in compare_protocols(run_dir, dataset):
        scores = evaluate_run(run_dir, dataset, row.subset).scores
        assert (row.accuracy, list(row.interval)) == (scores["accuracy"], scores["intervals"]["accuracy"])
        assert row.majority_baseline == read_majority_baseline(scores)


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
    scores = _score(INDEX, PREDICTIONS, band=(0.4, 0.65))
    assert scores["num_covered"] == 5  # without 0.6, 0.55 and 0.45
    assert scores["coverage"] == pytest.approx(5 / 8)
    assert scores["selective_accuracy"] == pytest.approx(3 / 5)
    assert scores["selective_accuracy_interval"] == list(compute_wilson_interval(3, 5))
    assert scores["selective_majority_baseline"] == {"name": "non_depressed", "share": pytest.approx(3 / 5)}


def test_band_holds_its_low_end_and_not_its_high_end():
    samples = _index("happy", "happy", "sad", "sad")
    predictions = _answer(("happy", 0.39), ("happy", 0.4), ("sad", 0.59), ("sad", 0.6))
    scores = _score(samples, predictions, band=(0.4, 0.6))
    assert (scores["num_covered"], scores["coverage"], scores["selective_accuracy"]) == (2, 0.5, 1.0)


def test_empty_band_answers_all_and_without_a_band_there_is_no_such_score():
    scores = _score(INDEX, PREDICTIONS, band=(0.5, 0.5))
    assert scores["coverage"] == 1.0
    assert scores["selective_accuracy"] == scores["accuracy"]
    assert "coverage" not in _score(INDEX, PREDICTIONS)


def test_band_that_holds_everything_answers_nothing_and_is_right_about_nothing():
    scores = _score(INDEX, PREDICTIONS, band=(0.0, 1.0))
    assert (scores["num_covered"], scores["coverage"]) == (0, 0.0)
    assert _are_undefined(scores, "selective_accuracy", "selective_accuracy_interval")
    assert np.isnan(scores["selective_majority_baseline"]["share"])


@pytest.mark.parametrize("band", [(0.6, 0.7), (0.3, 0.4), (0.6, 0.4), (float("nan"), 0.6)])
def test_band_away_from_the_threshold_is_a_mistake(band):
    with pytest.raises(ValueError, match=r"the threshold 0\.5 is not within the band"):
        _score(INDEX, PREDICTIONS, band=band)


# Undefined is NaN, never 0


def test_no_pictures_have_no_scores_and_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = _score(INDEX[:0], Predictions(np.zeros(0), []), band=(0.4, 0.6))
    assert (scores["num_images"], scores["per_emotion"], scores["num_covered"]) == (0, {}, 0)
    assert _are_undefined(scores, "accuracy", "emotion_accuracy", "emotion_accuracy_interval")
    assert _are_undefined(scores, "coverage", "selective_accuracy", "selective_accuracy_interval")


def test_network_that_answers_nan_has_no_scores_where_it_does():
    predictions = _answer(("sad", np.nan), ("sad", 0.9), ("happy", 0.1))
    scores = _score(_index("sad", "sad", "happy"), predictions, band=(0.4, 0.6))
    sad, happy = scores["per_emotion"]["sad"], scores["per_emotion"]["happy"]
    assert _are_undefined(scores, "accuracy")
    assert _are_undefined(sad, "group_accuracy", "group_accuracy_interval", "mean_probability")
    assert _are_undefined(scores, "coverage", "selective_accuracy")
    assert happy["group_accuracy"] == 1.0


def test_recall_of_an_emotion_is_the_share_of_its_pictures_that_are_called_by_its_name():
    predictions = _answer(("sad", 0.9), ("happy", 0.1), ("happy", 0.1), ("happy", 0.2))
    scores = _score(_index("sad", "sad", "happy", "contempt"), predictions)  # it does not know contempt
    assert find_emotion_recall(scores) == {"sad": 0.5, "happy": 1.0}
    without_emotions = _score(_index("sad", "happy"), Predictions(np.array([0.9, 0.1]), None))
    assert find_emotion_recall(without_emotions) == {}


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


@pytest.fixture
def dataset(pictures) -> Dataset:
    return load_dataset(str(pictures))


def _answer_as(dataset: Dataset, run_dir: Path, rows: np.ndarray | None = None) -> None:
    """Keeps the answers of a model that takes dark pictures for sad ones, P(depressed) 0.8 at most."""
    scan = scan_dataset(dataset)
    is_predicted = scan.is_readable if rows is None else scan.is_readable & rows
    is_dark = scan.thumbnails.mean(axis=(1, 2)) < 128
    outputs = np.where(is_dark[:, np.newaxis], [[0.2, 0.8]], [[0.9, 0.1]]).astype(np.float32)
    outputs[~is_predicted] = np.nan
    features = np.zeros((len(outputs), 1), np.float16)
    answers = DatasetPredictions(["happy", "sad"], ["sad"], outputs, features, is_predicted, is_complete=rows is None)
    write_predictions(find_predictions_path(run_dir, dataset), answers)


def _make_run(folder: Path, name: str = "stand-in", **card) -> Path:
    run_dir = folder / name
    run_dir.mkdir(parents=True)
    (run_dir / MODEL_FILE).write_bytes(b"no network is asked here")
    names = {"recipe": "compact", "class_names": ["happy", "sad"], "positive_classes": ["sad"]}
    (run_dir / CARD_FILE).write_text(json.dumps({**names, **card}), "utf-8")
    return run_dir


@pytest.fixture
def run_dir(tmp_path, dataset) -> Path:
    """A run that has answered the whole data set."""
    run_dir = _make_run(tmp_path / "models")
    _answer_as(dataset, run_dir)
    return run_dir


def _change_card(run_dir: Path, **values) -> None:
    card = json.loads((run_dir / CARD_FILE).read_text("utf-8"))
    (run_dir / CARD_FILE).write_text(json.dumps({**card, **values}), "utf-8")


def _calibrated(low: float, high: float) -> dict:
    uncertain = {"low": low, "high": high, "target_error": 0.1}
    return {"temperature": 1.0, "uncertain": uncertain, "chosen_on": "val", "num_images": 9, "run": ""}


def _see(run_dir: Path, dataset: Dataset, rows: np.ndarray) -> None:
    """Makes these pictures those that the run was trained on."""
    (run_dir / FINGERPRINTS_FILE).write_text("\n".join(scan_dataset(dataset).fingerprints[rows]))


def test_evaluation_says_what_was_scored_and_how_well(run_dir, dataset):
    scores = evaluate_run(run_dir, dataset, EVERYTHING).scores
    assert (scores["model"], scores["data"], scores["subset"], scores["num_images"]) == ("stand-in", "faces", "all", 24)
    assert (scores["num_unreadable"], scores["num_in_training_set"], scores["num_also_in_train"]) == (1, 0, 0)
    assert (scores["decision_threshold"], scores["num_skipped"]) == (0.5, 0)
    assert (scores["accuracy"], scores["roc_auc"], scores["emotion_accuracy"]) == (1.0, 1.0, 1.0)
    assert scores["intervals"]["accuracy"] == list(compute_wilson_interval(24, 24))
    assert scores["per_emotion"]["sad"]["num_images"] == 12
    assert "coverage" not in scores


def test_evaluation_leaves_out_what_the_models_own_band_calls_uncertain(run_dir, dataset):
    _change_card(run_dir, calibration=_calibrated(0.3, 0.85))
    scores = evaluate_run(run_dir, dataset, EVERYTHING).scores
    assert (scores["num_covered"], scores["coverage"], scores["selective_accuracy"]) == (12, 0.5, 1.0)


def test_a_chosen_threshold_moves_the_scores_and_leaves_the_band_where_it_was(run_dir, dataset):
    _change_card(run_dir, calibration=_calibrated(0.3, 0.82))
    write_threshold(run_dir, 0.81)
    scores = evaluate_run(run_dir, dataset, EVERYTHING).scores
    assert (scores["decision_threshold"], scores["accuracy"], scores["roc_auc"]) == (0.81, 0.5, 1.0)
    assert scores["num_covered"] == 12
    write_threshold(run_dir, 0.9)  # outside of the band, which says nothing there
    assert "coverage" not in evaluate_run(run_dir, dataset, EVERYTHING).scores
    assert evaluate_run(run_dir, dataset, EVERYTHING, threshold=0.5).scores["accuracy"] == 1.0


def test_no_network_is_imported_for_answers_that_are_kept(run_dir, dataset):
    evaluate_run(run_dir, dataset, EVERYTHING)
    code = f"""
import sys
from pathlib import Path
from facedep.data.sources import load_dataset
from facedep.data.eval_subset import EvalSubset
from facedep.evaluation.evaluation import evaluate_run
dataset = load_dataset({dataset.source!r})
for subset in ("all", "test"):
    evaluate_run(Path({str(run_dir)!r}), dataset, EvalSubset(subset=subset))
sys.exit("keras" in sys.modules or "scipy" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_only_the_pictures_of_the_part_are_asked_about(tmp_path, dataset, monkeypatch):
    run_dir = _make_run(tmp_path / "models")
    asked = []

    def compute_predictions(run_dir, dataset, *, mask, on_progress):
        asked.append(mask)
        on_progress(3, 3)
        _answer_as(dataset, run_dir, mask)
        return evaluation.read_predictions(run_dir, dataset)

    monkeypatch.setattr(evaluation, "compute_predictions", compute_predictions)
    told = []
    scores = evaluate_run(run_dir, dataset, EvalSubset(), on_progress=lambda *step: told.append(step)).scores
    wanted = select_pictures(run_dir, dataset, scan_dataset(dataset), EvalSubset()).mask
    assert scores["num_images"] == wanted.sum() < 6
    np.testing.assert_array_equal(asked, [wanted])
    assert told[-3:] == [("Loading the model", 0, 0), ("Running the model", 3, 3), ("Counting", 0, 0)]
    evaluate_run(run_dir, dataset, EvalSubset(), threshold=0.4)
    assert len(asked) == 1


def test_reading_an_evaluation_never_runs_the_network_and_names_what_is_not_answered(tmp_path, run_dir, dataset):
    assert read_evaluation(run_dir, dataset, EVERYTHING).scores == evaluate_run(run_dir, dataset, EVERYTHING).scores
    other_dir = _make_run(tmp_path / "models", "other")
    _answer_as(dataset, other_dir, np.arange(len(dataset.samples)) < 3)
    with pytest.raises(MissingPredictionsError, match="has not answered these pictures of faces yet") as error:
        read_evaluation(other_dir, dataset, EVERYTHING)
    assert error.value.mask.sum() == 24


def test_curves_and_slices_of_an_evaluation_are_those_of_its_answers(run_dir, dataset):
    evaluation = evaluate_run(run_dir, dataset, EVERYTHING)
    assert (evaluation.confusion.num_true_depressed, evaluation.confusion.num_true_non_depressed) == (12, 12)
    assert (evaluation.roc_point, evaluation.precision_recall_point) == ((0.0, 1.0), (1.0, 1.0))
    assert evaluation.average_precision == 1.0
    matrix, names = evaluation.emotion_confusion
    assert names == ["happy", "sad"]
    np.testing.assert_array_equal(matrix, [[12, 0], [0, 12]])
    table = measure_quality(dataset.samples, evaluation.scan)[evaluation.mask]
    slices = find_slices(evaluation.samples, table, evaluation.is_right, evaluation.predictions.probabilities)
    assert [(one.name, one.num_images) for one in evaluation.slices] == [(one.name, one.num_images) for one in slices]
    assert evaluation.slices is evaluation.slices
    moved = evaluation.at_threshold(0.9)
    assert (moved.threshold, moved.scores["decision_threshold"], moved.scores["accuracy"]) == (0.9, 0.9, 0.5)
    assert moved.confusion.num_missed == 12
    assert evaluation.at_threshold(0.5) is evaluation


@pytest.mark.parametrize("change", ["none", "threshold", "card", "weights", "labels", "subset"])
def test_key_of_an_evaluation_changes_with_its_inputs(change, run_dir, dataset):
    subset, before = EVERYTHING, find_evaluation_key(run_dir, dataset, EVERYTHING)
    if change == "threshold":
        write_threshold(run_dir, 0.4)
    elif change == "card":
        _change_card(run_dir, command="another")
    elif change == "weights":
        (run_dir / MODEL_FILE).write_bytes(b"others")
    elif change == "labels":
        dataset = load_dataset(DatasetSpec(dataset.source, depressed_emotions=("happy",)))
    elif change == "subset":
        subset = EvalSubset(subset="all", excludes_training_images=True)
    assert (find_evaluation_key(run_dir, dataset, subset) == before) is (change == "none")


# Another grouping than the run's


def test_evaluation_says_where_labels_have_another_grouping_than_the_run_learned(run_dir, dataset, capsys):
    _change_card(run_dir, data={"depressed_emotions": ["neutral", "sad"]})
    argv = ["evaluate", "--model", str(run_dir), "--data", dataset.source, "--subset", "all"]
    for grouping, mismatch in (("sad", None), ("happy", {"learned": ["sad"], "labels": ["happy"]})):
        regrouped = load_dataset(DatasetSpec(dataset.source, depressed_emotions=(grouping,)))
        for scores in (
            evaluate_run(run_dir, regrouped, EVERYTHING).scores,
            read_scores(run_dir, regrouped, EVERYTHING),
        ):
            assert scores["grouping_mismatch"] == mismatch
        assert main([*argv, "--depressed", grouping, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["grouping_mismatch"] == mismatch
        assert main([*argv, "--depressed", grouping]) == 0
        sentence = "learned to call sad faces depressed; these labels mean happy."
        assert (sentence in capsys.readouterr().out) is bool(mismatch)


# Pictures that the run was trained on


def test_pictures_of_the_training_are_counted_and_can_be_left_out(run_dir, dataset):
    samples = dataset.samples
    _see(run_dir, dataset, samples["path"].isin(["Happy/00.png", "Happy/01.png", "Sad/00.png"]).to_numpy())
    scores = evaluate_run(run_dir, dataset, EVERYTHING).scores
    assert (scores["num_images"], scores["num_in_training_set"], scores["num_skipped"]) == (24, 3, 0)
    scores = evaluate_run(run_dir, dataset, EvalSubset(subset="all", excludes_training_images=True)).scores
    assert (scores["num_images"], scores["num_in_training_set"], scores["num_skipped"]) == (21, 0, 3)
    assert [row["num_images"] for row in scores["per_emotion"].values()] == [10, 11]


def test_where_all_pictures_are_of_the_training_there_is_a_sentence(run_dir, dataset):
    _see(run_dir, dataset, scan_dataset(dataset).is_readable)
    with pytest.raises(DataError, match="was trained on all of these pictures"):
        evaluate_run(run_dir, dataset, EvalSubset(subset="all", excludes_training_images=True))


# Kept scores


def _kept_files(run_dir: Path) -> list[Path]:
    return sorted((run_dir / "scores").glob("*"))


def test_scores_are_kept_and_read_again(run_dir, dataset, monkeypatch):
    assert read_scores(run_dir, dataset, EVERYTHING) is None
    scores = evaluate_run(run_dir, dataset, EVERYTHING).scores
    assert read_scores(run_dir, dataset, EVERYTHING) == scores
    assert read_scores(run_dir, dataset, EvalSubset(subset="val")) is None
    monkeypatch.setattr(evaluation, "score_predictions", None)
    assert evaluate_run(run_dir, dataset, EVERYTHING).scores == scores
    assert [path.suffix for path in _kept_files(run_dir)] == [".json"]


def test_undefined_scores_come_back_undefined(run_dir, dataset):
    happy = load_dataset(str(Path(dataset.source) / "Happy"))
    _answer_as(happy, run_dir)
    scores = evaluate_run(run_dir, happy, EVERYTHING).scores
    kept = read_scores(run_dir, happy, EVERYTHING)
    assert _are_undefined(scores, "roc_auc", "balanced_accuracy")
    np.testing.assert_equal(kept, scores)  # NaN equals NaN here
    assert "NaN" not in _kept_files(run_dir)[0].read_text()


def test_scores_of_a_renamed_run_bear_its_new_name(run_dir, dataset):
    evaluate_run(run_dir, dataset, EVERYTHING)
    renamed = run_dir.rename(run_dir.with_name("renamed"))
    assert read_scores(renamed, dataset, EVERYTHING)["model"] == "renamed"


@pytest.mark.parametrize(
    "change",
    ["threshold", "band", "weights", "labels", "seen", "seed", "cleaned", "choices", "excludes_training_images",
     "pictures"],
)  # fmt: skip
def test_whatever_changes_the_scores_makes_them_anew(change, run_dir, dataset):
    evaluate_run(run_dir, dataset, EVERYTHING)
    subset = EVERYTHING
    if change == "threshold":
        write_threshold(run_dir, 0.4)
    elif change == "band":
        _change_card(run_dir, calibration=_calibrated(0.3, 0.85))
    elif change == "weights":
        (run_dir / MODEL_FILE).write_bytes(b"others")
    elif change == "labels":
        dataset = load_dataset(DatasetSpec(dataset.source, depressed_emotions=("happy",)))
    elif change == "seen":
        _see(run_dir, dataset, scan_dataset(dataset).is_readable)
    elif change == "seed":
        _change_card(run_dir, data={"seed": 1})
    elif change == "cleaned":
        _change_card(run_dir, data={"dropped_issues": {"all": 1, "blank": 1}})
    elif change == "choices":
        _change_card(run_dir, data={"folder_choices": {"Foo": "sad"}})
    elif change == "excludes_training_images":
        subset = EvalSubset(subset="all", excludes_training_images=True)
    else:
        Image.new("L", (48, 48), 9).save(Path(dataset.source) / "Sad" / "new.png")
        dataset = load_dataset(dataset.source)
    assert read_scores(run_dir, dataset, subset) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\x80"])
def test_damaged_scores_count_as_none_and_are_made_anew(content, run_dir, dataset):
    scores = evaluate_run(run_dir, dataset, EVERYTHING).scores
    _kept_files(run_dir)[0].write_text(content, "latin-1")
    assert read_scores(run_dir, dataset, EVERYTHING) is None
    assert evaluate_run(run_dir, dataset, EVERYTHING).scores == scores == read_scores(run_dir, dataset, EVERYTHING)


def test_a_folder_that_cannot_be_written_costs_the_keeping_and_not_the_scores(run_dir, dataset, monkeypatch):
    def fail(path, content):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(score_cache, "write_json", fail)
    assert evaluate_run(run_dir, dataset, EVERYTHING).scores["num_images"] == 24
    assert read_scores(run_dir, dataset, EVERYTHING) is None


def test_only_the_newest_scores_are_kept(run_dir, dataset, monkeypatch):
    monkeypatch.setattr(score_cache, "_MAX_KEPT", 2)
    for number, threshold in enumerate((0.2, 0.3, 0.4)):
        evaluate_run(run_dir, dataset, EVERYTHING, threshold=threshold)
        os.utime(max(_kept_files(run_dir), key=lambda path: path.stat().st_mtime), (number, number))
    kept = [read_scores(run_dir, dataset, EVERYTHING, threshold=threshold) for threshold in (0.2, 0.3, 0.4)]
    assert [scores is not None for scores in kept] == [False, True, True]


# The split of the training


def _trained_on(dataset: Dataset, **values) -> Card:
    data = CardData(**{"content_hash": dataset.content_hash, "protocol": LEAK_FREE, "seed": 3, **values})
    return Card("compact", ("happy", "sad"), ("sad",), 48, data=data)


def _split(run_dir: Path, dataset: Dataset, card: Card, **seed) -> np.ndarray:
    _change_card(run_dir, **card.to_json())
    return split_like_training(run_dir, dataset, scan_dataset(dataset), LEAK_FREE, **seed)


def test_split_is_made_with_the_seed_of_the_training_or_the_given_one(run_dir, dataset):
    scan, card = scan_dataset(dataset), _trained_on(dataset)
    for seed, expected in ((None, 3), (5, 5)):
        parts = _split(run_dir, dataset, card, seed=seed)
        np.testing.assert_array_equal(parts, split_dataset(dataset.samples, scan, LEAK_FREE, seed=expected))


@pytest.fixture
def faulty(pictures) -> Dataset:
    """The same pictures, four of each folder evenly gray."""
    for folder, level in (("Sad", 10), ("Happy", 200)):
        for number in range(4):
            Image.new("L", (48, 48), level + 9 * number).save(pictures / folder / f"{number:02}.png")
    return load_dataset(str(pictures))


def test_where_pictures_were_cleaned_away_the_split_is_that_of_the_training(tmp_path, faulty):
    run_dir = _make_run(tmp_path / "models")
    scan = scan_dataset(faulty)
    cleaned, counts = clean_scan(faulty, scan, ["blank"], {})
    assert counts == {"all": 8, "blank": 8}
    expected = split_dataset(faulty.samples, cleaned, LEAK_FREE, seed=3)
    plain = split_dataset(faulty.samples, scan, LEAK_FREE, seed=3)
    assert (expected != "").sum() == 16
    card = _trained_on(faulty, dropped_issues=counts)  # as older versions wrote it: the thresholds are the default ones
    np.testing.assert_array_equal(_split(run_dir, faulty, card), expected)
    mask = select_pictures(run_dir, faulty, scan, EvalSubset()).mask
    np.testing.assert_array_equal(mask, expected == "test")
    # Other thresholds clean other pictures away; another split, or other pictures, are not the training's own.
    other = _trained_on(faulty, dropped_issues=counts, issue_limits={"min_entropy": 0.0})
    np.testing.assert_array_equal(_split(run_dir, faulty, other), plain)
    for card in (
        _trained_on(faulty, dropped_issues=counts, protocol=PUBLISHED),
        _trained_on(faulty, dropped_issues=counts, content_hash="0" * 16),
    ):
        np.testing.assert_array_equal(_split(run_dir, faulty, card), plain)
    assert select_pictures(run_dir, faulty, scan, EVERYTHING).mask.sum() == 24


@pytest.mark.parametrize(
    "rules",
    [{"dropped_issues": {"all": 1, "ugly": 1}}, {"dropped_issues": {"all": 1}, "issue_limits": {"x": 1}}],
)
def test_rules_that_this_version_does_not_have_give_a_sentence(rules, run_dir, dataset):
    with pytest.raises(ModelError, match="by rules that this version of the app does not have"):
        _split(run_dir, dataset, _trained_on(dataset, **rules))


@pytest.mark.parametrize(
    "rules", [{"left_out": [1]}, {"left_out": {"all": "1"}}, {"thresholds": {"min_entropy": None}}]
)
def test_card_with_rules_that_are_no_numbers_is_refused(rules, tmp_path):
    run_dir = _make_run(tmp_path, data={"seed": 0, **rules})
    with pytest.raises(ModelError, match="of its data is no "):
        read_card(run_dir)


def test_parts_that_do_not_exist_are_refused(run_dir, dataset):
    with pytest.raises(DataError, match="published split has no test part"):
        EvalSubset(PUBLISHED)
    with pytest.raises(DataError, match="no supplied split"):
        evaluate_run(run_dir, dataset, EvalSubset(SUPPLIED))
    with pytest.raises(ValueError, match="unknown subset"):
        EvalSubset(subset="some")


# A run whose network is not here


def test_scores_without_the_network_are_those_with_it(run_dir, dataset):
    scores = evaluate_run(run_dir, dataset, EVERYTHING).scores
    save_predictions_beside(run_dir, dataset)
    (run_dir / MODEL_FILE).unlink()
    assert read_scores(run_dir, dataset, EVERYTHING) is None  # they are of other answers, as far as can be told
    assert evaluate_run(run_dir, dataset, EVERYTHING).scores == scores


# Flattering and honest scores


def test_flattering_scores_come_first_and_each_has_its_table(tmp_path, dataset):
    folder = tmp_path / "supplied"
    for number, row in enumerate(dataset.samples["path"]):
        if "damaged" not in row:
            part = {0: "test", 3: "test", 1: "val"}.get(number % 6, "train")
            target = folder / part / row
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((Path(dataset.source) / row).read_bytes())
    copy = folder / "test" / "Sad" / "copy.png"  # a test picture that is also in train
    copy.write_bytes((Path(dataset.source) / "Sad" / "04.png").read_bytes())
    split = load_dataset(str(folder))
    assert (folder / "train" / "Sad" / "04.png").exists()
    run_dir = _make_run(tmp_path / "models")
    unanswered = compare_protocols(run_dir, split, others=[dataset])
    assert np.isnan([row.accuracy for row in unanswered]).all()
    for data in (split, dataset):
        _answer_as(data, run_dir)
    _see(run_dir, split, scan_dataset(split).is_readable)
    rows = compare_protocols(run_dir, split, others=[dataset])
    assert [(row.subset.protocol, row.subset.subset, row.data_name) for row in rows] == [
        (PUBLISHED, "val", "supplied"), (SUPPLIED, "test", "supplied"), (LEAK_FREE, "test", "supplied"),
        (LEAK_FREE, "all", "faces"),
    ]  # fmt: skip
    for row in rows:
        interval = compute_wilson_interval(row.num_images, row.num_images)
        assert (row.accuracy, row.interval, row.num_in_training_set) == (1.0, interval, row.num_images)
        assert 0.5 <= row.majority_baseline.share < 0.7
    supplied, leak_free, other = rows[1:]
    assert (supplied.num_images, supplied.num_in_train, leak_free.num_in_train) == (9, 1, 0)
    assert (other.num_images, other.num_in_train, other.lookup_accuracy) == (24, 24, 1.0)  # the same pictures
    scan = scan_dataset(split)
    parts = split_dataset(split.samples, scan, SUPPLIED)
    is_depressed = (split.samples["label"] == emotions.DEPRESSED).to_numpy()
    table = score_lookup_table(build_appearance(scan.thumbnails), is_depressed, parts)
    assert supplied.lookup_accuracy == table.accuracy


def test_leak_free_test_is_also_scored_without_the_pictures_that_the_run_has_seen(run_dir, dataset):
    scan = scan_dataset(dataset)
    is_test = select_pictures(run_dir, dataset, scan, EvalSubset()).mask
    _see(run_dir, dataset, np.nonzero(is_test)[0][:1])
    honest, without = compare_protocols(run_dir, dataset)[-2:]
    assert (honest.num_images, honest.num_in_training_set, honest.subset) == (is_test.sum(), 1, EvalSubset())
    assert without.subset == EvalSubset(excludes_training_images=True)
    assert (without.num_images, without.num_in_training_set, without.accuracy) == (is_test.sum() - 1, 0, 1.0)


def test_scores_on_other_data_that_the_card_holds_come_last(run_dir, dataset):
    path = run_dir / "card.json"
    card = json.loads(path.read_text("utf-8"))
    good = {
        "data": "other.zip", "content_hash": "0123", "split": "supplied", "part": "test", "num_images": 50,
        "accuracy": 0.7, "intervals": {"accuracy": [0.6, 0.8]}, "always_non_depressed_accuracy": 0.65,
        "num_in_training_set": 3, "balanced_accuracy": 0.6, "roc_auc": 0.7,
    }  # fmt: skip
    same = {**good, "content_hash": dataset.content_hash}
    path.write_text(json.dumps({**card, "evaluations": [good, same]}), "utf-8")
    *_, last = compare_protocols(run_dir, dataset)
    assert (last.data_name, last.accuracy, last.num_in_training_set) == ("other.zip", 0.7, 3)
    assert last.interval == compute_wilson_interval(35, 50)  # not the bootstrap interval that earlier cards hold
    assert last.majority_baseline == MajorityBaseline("non_depressed", 0.65)
    assert np.isnan(last.lookup_accuracy)
    assert [row.subset.protocol for row in compare_protocols(run_dir, dataset)] == [PUBLISHED, LEAK_FREE, SUPPLIED]


def test_splits_that_a_data_set_does_not_have_are_left_out(run_dir, dataset):
    assert [row.subset.protocol for row in compare_protocols(run_dir, dataset)] == [PUBLISHED, LEAK_FREE]
