"""The majority baseline is the larger group's share, whichever group that is, also in what earlier versions wrote."""

import json
import math

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from facedep.cli.options import describe_scores
from facedep.emotions import DEPRESSED, NON_DEPRESSED
from facedep.evaluation.metrics import compute_metrics
from facedep.files import nan_to_null
from facedep.networks.card import Card
from facedep.networks.card_scores import RecordedEvaluation, Scores
from facedep.networks.majority_baseline import UNKNOWN, MajorityBaseline, find_majority_baseline, read_majority_baseline
from facedep.reporting.sentences import describe_accuracy

# A network that guesses, on pictures of which 72 % are depressed, as this and as an earlier version describe it.
SCORES = {"num_images": 400, "accuracy": 0.72, "balanced_accuracy": 0.5, "roc_auc": 0.5, "ece": 0.0}
GUESSING = {
    "as written": {**SCORES, "majority_baseline": {"name": DEPRESSED, "share": 0.72}},
    "of an earlier version": {**SCORES, "always_non_depressed_accuracy": 0.28},
}


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
    scores = nan_to_null(compute_metrics(is_depressed, np.full(len(is_depressed), 0.5)))
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


@pytest.mark.parametrize("scores", GUESSING.values(), ids=GUESSING)
def test_every_sentence_compares_with_the_larger_group(scores):
    assert "(always depressed: 0.720)" in describe_scores(Scores.from_json(scores))
    asked = {"data": "faces", "content_hash": "", "protocol": "leak-free", "subset": "test", **scores}
    asked |= {"intervals": {"accuracy": [0.67, 0.76]}, "num_in_training_set": 0}
    said = describe_accuracy(RecordedEvaluation.from_json(asked))
    assert "always answering *depressed* would get **72**" in said


@pytest.mark.parametrize("scores", GUESSING.values(), ids=GUESSING)
def test_predict_warns_of_a_model_that_is_no_better_than_the_larger_group(scores):
    def page(scores):
        from types import SimpleNamespace

        from facedep.app.predict.result import warn_of_untrained
        from facedep.networks.card_scores import Scores

        card = SimpleNamespace(scores={"test": Scores.from_json(scores)})
        warn_of_untrained(SimpleNamespace(name="guessing", card=card))

    shown = AppTest.from_function(page, kwargs={"scores": scores}, default_timeout=60).run()
    assert not shown.exception
    assert "always answering *depressed*: 72% against 72% right" in shown.warning[0].value
    assert not AppTest.from_function(page, kwargs={"scores": scores | {"accuracy": 0.8}}).run(timeout=60).warning


@pytest.mark.parametrize("scores", GUESSING.values(), ids=GUESSING)
def test_train_compares_a_run_with_the_larger_group(scores):
    def page(scores):
        from types import SimpleNamespace

        import streamlit as st

        from facedep.app.train import model_list, results
        from facedep.networks.card import Card

        names = {"recipe": "compact", "class_names": ["depressed"], "positive_classes": ["depressed"]}
        card = Card.from_json({**names, "scores": {"test": scores}})
        run = SimpleNamespace(name="guessing", state="finished", config=None, card=card)
        results.show_scores(card)
        st.json(model_list.describe_row(run))

    shown = AppTest.from_function(page, kwargs={"scores": scores}, default_timeout=60).run()
    assert not shown.exception
    assert "72 into the right group**; always answering *depressed* would get 72." in shown.markdown[0].value
    assert json.loads(shown.json[0].value)["always one answer, %"] == 72.0


@pytest.mark.parametrize("scores", GUESSING.values(), ids=GUESSING)
def test_card_holds_the_baseline_of_any_version(scores):
    card = {"recipe": "compact", "class_names": [DEPRESSED], "positive_classes": [DEPRESSED]}
    baseline = Card.from_json({**card, "scores": {"test": scores}}).scores["test"].majority_baseline
    assert (baseline.name, baseline.share) == (DEPRESSED, pytest.approx(0.72))
    assert not Card.from_json({**card, "scores": {"test": SCORES}}).scores["test"].majority_baseline.is_known
