"""A card is parsed and checked once: what is damaged is a sentence, what is unknown stays, what is old is upgraded."""

import copy
import json

import pytest

from facedep.errors import ModelError, RunError
from facedep.networks.card import CARD_FILE, Card, read_card
from facedep.networks.card_scores import RecordedEvaluation
from facedep.networks.majority_baseline import MajorityBaseline
from facedep.paths import PROJECT_DIR
from facedep.runs import run_config, run_folder
from facedep.runs.progress import read_progress

SCORES = {
    "num_images": 200,
    "accuracy": 0.8,
    "always_non_depressed_accuracy": 0.625,
    "balanced_accuracy": 0.75,
    "roc_auc": 0.85,
    "ece": 0.03,
    "intervals": {"accuracy": [0.74, 0.86], "roc_auc": [None, None]},
    "emotion_accuracy": None,
    "emotion_accuracy_interval": [None, None],
    "per_emotion": {"sad": {"num_images": 75, "group_accuracy": 0.7, "group_accuracy_interval": [0.6, 0.8]}},
    "answered": {
        "num_images": 150,
        "share": 0.75,
        "accuracy": 0.9,
        "accuracy_interval": [0.85, 0.94],
        "always_non_depressed_accuracy": 0.375,
    },
}
OLD = {
    "format": 1,
    "recipe": "compact",
    "input_size_px": 48,
    "class_names": ["happy", "sad"],
    "positive_classes": ["sad"],
    "threshold": 0.45,
    "averages_mirror": True,
    "data": {
        "name": "faces.zip",
        "content_hash": "0123",
        "split": "leak-free",
        "seed": 3,
        "num_images": {"train": 700, "val": 150, "test": 150},
        "left_out": {"all": 2, "blank": 2},
        "thresholds": {"min_entropy": 4.5},
        "leaks": {"test": {"num_images": 150, "num_identical": 0, "num_similar": 1}},
        "num_seen_before": {"test": 4},
    },
    "calibration": {"temperature": 0.8, "uncertain": {"low": 0.4, "high": 0.6, "target_error": 0.1}, "run": "b"},
    "training": {"num_epochs": 9, "kept_epoch": 7, "seconds": 12.5, "final_fit_of": "b"},
    "scores": {"test": SCORES},
    "evaluations": [
        {**SCORES, "data": "other", "content_hash": "4567", "split": "supplied", "part": "test", "threshold": 0.45,
         "num_seen_in_training": 5, "num_left_out_seen": 6}
    ],
    "command": "python -m facedep train",
    "versions": {"keras": "3.15.1"},
}  # fmt: skip
REMOVED = object()


def change(path, value):
    card = copy.deepcopy(OLD)
    *parents, name = path
    table = card
    for parent in parents:
        table = table[parent]
    if value is REMOVED:
        del table[name]
    else:
        table[name] = value
    return card


def test_card_of_format_1_is_read_under_the_names_of_today():
    card = Card.from_json(OLD)
    assert (card.decision_threshold, card.uses_flip_tta, card.temperature) == (0.45, True, 0.8)
    assert (card.abstention_band.low, card.abstention_band.high) == (0.4, 0.6)
    assert (card.data.protocol, card.data.seed, card.data.num_in_training_set) == ("leak-free", 3, {"test": 4})
    assert (card.data.dropped_issues, card.data.issue_limits) == ({"all": 2, "blank": 2}, {"min_entropy": 4.5})
    assert (card.training.selected_epoch, card.training.refit_of) == (7, "b")
    scores, (evaluation,) = card.scores["test"], card.evaluations
    assert scores.majority_baseline == MajorityBaseline("non_depressed", 0.625)
    assert (scores.coverage, scores.num_covered, scores.selective_accuracy) == (0.75, 150, 0.9)
    assert scores.selective_majority_baseline == MajorityBaseline("depressed", 0.625)
    assert (evaluation.protocol, evaluation.subset, evaluation.decision_threshold) == ("supplied", "test", 0.45)
    assert (evaluation.num_in_training_set, evaluation.num_skipped) == (5, 6)


def test_what_is_written_is_format_2_and_reads_as_the_same():
    written = json.loads(json.dumps(Card.from_json(OLD).to_json(), allow_nan=False))
    assert written["format"] == 2
    assert not {"threshold", "averages_mirror"} & written.keys()
    assert written["scores"]["test"]["majority_baseline"] == {"name": "non_depressed", "share": 0.625}
    assert Card.from_json(written).to_json() == written


def test_keys_that_this_version_does_not_know_are_kept():
    card = copy.deepcopy(OLD)
    for table in (card, card["data"], card["calibration"], card["training"], card["scores"]["test"],
                  card["evaluations"][0], card["data"]["leaks"]["test"]):  # fmt: skip
        table["later"] = {"a": [1, None]}
    written = Card.from_json(card).to_json()
    for table in (written, written["data"], written["calibration"], written["training"], written["scores"]["test"],
                  written["evaluations"][0], written["data"]["leaks"]["test"]):  # fmt: skip
        assert table["later"] == {"a": [1, None]}


def test_card_that_says_little_has_defaults():
    card = Card.from_json({name: OLD[name] for name in ("recipe", "class_names", "positive_classes")})
    assert (card.input_size_px, card.decision_threshold, card.uses_flip_tta, card.temperature) == (48, 0.5, False, 1.0)
    assert (card.calibration, card.abstention_band, card.training, card.evaluations) == (None, None, None, ())
    assert (card.data.content_hash, card.data.seed, dict(card.scores)) == ("", 0, {})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), 3),
        (("format",), "1"),
        (("recipe",), ["compact"]),
        (("class_names",), []),
        (("positive_classes",), ["fear"]),
        (("input_size_px",), "48"),
        (("input_size_px",), 0),
        (("input_size_px",), 10**9),
        (("threshold",), 1.5),
        (("threshold",), float("nan")),
        (("threshold",), True),
        (("averages_mirror",), 1),
        (("data",), []),
        (("data", "seed"), -1),
        (("data", "seed"), 0.5),
        (("data", "num_images"), {"train": -1}),
        (("data", "num_images"), {"train": 10**30}),
        (("data", "leaks", "test", "num_similar"), REMOVED),
        (("data", "thresholds"), {"min_entropy": float("inf")}),
        (("calibration", "temperature"), 0),
        (("calibration", "uncertain", "low"), 0.5),
        (("training", "seconds"), "long"),
        (("training", "num_epochs"), REMOVED),
        (("scores",), [SCORES]),
        (("scores", "test", "accuracy"), 1.01),
        (("scores", "test", "accuracy"), float("inf")),
        (("scores", "test", "accuracy"), REMOVED),
        (("scores", "test", "always_non_depressed_accuracy"), "much"),
        (("scores", "test", "always_non_depressed_accuracy"), -0.5),
        (("scores", "test", "num_images"), True),
        (("scores", "test", "intervals"), {"accuracy": [0.9, 0.1]}),
        (("scores", "test", "intervals"), {"accuracy": 0.9}),
        (("scores", "test", "per_emotion"), {"sad": {"num_images": -3}}),
        (("scores", "test", "answered"), 0.5),
        (("scores", "test", "answered", "share"), 2),
        (("evaluations",), {"a": 1}),
        (("evaluations",), ["?"]),
        (("evaluations",), [{}]),
        (("evaluations", 0, "num_seen_in_training"), "many"),
        (("evaluations", 0, "data"), None),
        (("evaluations", 0, "accuracy"), 81.3),
        (("earlier_commands",), "python"),
    ],
)
def test_value_of_the_wrong_kind_or_out_of_range_is_a_damaged_card(tmp_path, path, value):
    (tmp_path / CARD_FILE).write_text(json.dumps(change(path, value)))
    with pytest.raises(ModelError, match=r"is not one of this app's: .+\. Choose another model\."):
        read_card(tmp_path)
    assert run_folder.read_run(tmp_path).card is None


def test_recorded_evaluation_takes_the_place_of_the_one_on_the_same_pictures():
    card = Card.from_json(OLD)
    again = RecordedEvaluation.from_json({**OLD["evaluations"][0], "accuracy": 0.9})
    other = RecordedEvaluation.from_json({**OLD["evaluations"][0], "part": "all"})
    assert [one.scores.accuracy for one in card.with_evaluation(again).evaluations] == [0.9]
    assert [one.subset for one in card.with_evaluation(other).evaluations] == ["test", "all"]


@pytest.mark.parametrize("name", [run_folder.SHIPPED_RUN, *run_folder.SHIPPED_SCORES])
def test_cards_of_the_project_are_as_they_would_be_written(name):
    content = json.loads((PROJECT_DIR / "models" / name / CARD_FILE).read_text("utf-8"))
    assert Card.from_json(content).to_json() == content


# Settings and measurements -------------------------------------------------------------------------------------------


def test_settings_under_older_names_are_read():
    old = {
        "recipe": "compact", "data_name": "a", "num_epochs": 9, "batch_size": 32, "learning_rate": 0.001,
        "split": "supplied", "final_fit_of": "b", "num_early_epochs": 2, "left_out": ["blank"],
        "thresholds": {"min_entropy": 4.5}, "depressed_emotions": ["sad"],
    }  # fmt: skip
    config = run_config.RunConfig.from_json(old)
    assert (config.protocol, config.refit_of, config.num_progressive_resizing_epochs) == ("supplied", "b", 2)
    assert (config.drop_issues, config.issue_limits) == (("blank",), {"min_entropy": 4.5})
    assert run_config.RunConfig.from_json(json.loads(json.dumps(vars(config)))) == config


@pytest.mark.parametrize("content", [None, [], "a", {}, {"recipe": "compact"}, {"unknown": 1}])
def test_damaged_settings_are_a_sentence(content):
    with pytest.raises(RunError, match=r"config\.json is damaged"):
        run_config.RunConfig.from_json(content)


@pytest.mark.parametrize("key", ["keeps", "checkpoint_policy"])
def test_checkpoint_policy_is_read_from_old_and_new_measurements(tmp_path, key):
    start = {"kind": "start", "num_train": 1, "num_steps": 1, "num_epochs": 1, key: "best"}
    (tmp_path / run_folder.METRICS_FILE).write_text(json.dumps(start))
    assert read_progress(tmp_path).checkpoint_policy == "best"
