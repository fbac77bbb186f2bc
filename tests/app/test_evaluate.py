"""The Evaluate page, as a visitor sees it. Without a browser, through `streamlit_app.py`."""

import shutil
import zipfile

import numpy as np
import pytest
from app_tools import encode_face, texts

from facedep.app import models
from facedep.app.evaluate import game
from facedep.app.evaluate import tabs as evaluate
from facedep.cli.main import main
from facedep.data import sources
from facedep.data.eval_subset import EvalSubset
from facedep.data.scan import scan_dataset
from facedep.evaluation import evaluation, protocol_comparison, robustness_run, subset_selection
from facedep.inference import dataset_predictions, prediction_cache
from facedep.networks import decision_threshold
from facedep.networks.card import FINGERPRINTS_FILE, read_card
from facedep.networks.card_scores import RecordedEvaluation
from facedep.paths import models_dir
from facedep.reporting import sentences
from facedep.runs import run_folder as runs


@pytest.fixture
def small_set(app, tmp_path):
    """A data set of 30 drawn faces to which the shipped model's predictions are kept, chosen in the app."""
    path = tmp_path / "small.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for emotion in ("sad", "happy", "fear"):
            for number in range(10):
                archive.writestr(f"{emotion}/{number}.png", encode_face(emotion, number))
    app.session_state["source"] = str(path)
    dataset = sources.load_dataset(str(path))
    dataset_predictions.compute_predictions(models_dir() / runs.SHIPPED_RUN, dataset)
    return dataset


def open_evaluate(app, title):
    app.session_state["evaluate_view"] = title
    app.switch_page("pages/evaluate.py").run()
    assert not app.exception
    return app


def read_sentence(app):
    return next(element.value for element in app.markdown if "Of 100 faces" in element.value)


def test_evaluate_says_in_one_sentence_how_good_a_model_is(app, small_set):
    open_evaluate(app, evaluate.OVERVIEW)
    run_dir = models_dir() / runs.SHIPPED_RUN
    scores = evaluation.evaluate_run(run_dir, small_set, EvalSubset(subset="all")).scores
    assert read_sentence(app) == f"### {sentences.describe_accuracy(RecordedEvaluation.from_json(scores))}"
    assert "faces it has never seen" in read_sentence(app)
    assert f"{scores['accuracy']:.1%}" in [metric.value for metric in app.metric]
    assert len(app.get("plotly_chart")) == 2
    assert list((run_dir / "scores").glob("*.json"))


def test_evaluate_counts_pictures_that_the_model_was_trained_on_and_can_leave_them_out(app, small_set):
    known = scan_dataset(small_set).fingerprints[:6]
    path = models_dir() / runs.SHIPPED_RUN / FINGERPRINTS_FILE
    path.write_text("\n".join(known) + "\n")
    open_evaluate(app, evaluate.OVERVIEW)
    app.selectbox(key=f"subset_{runs.SHIPPED_RUN}_{small_set.name}").set_value(EvalSubset(subset="all")).run()
    assert "It was trained on **6 of these" in texts(app)
    app.toggle(key=f"unseen_{runs.SHIPPED_RUN}_{small_set.name}").set_value(True).run()
    assert "It was trained on" not in texts(app)
    assert "faces it has never seen" in read_sentence(app)


def test_evaluate_moves_the_threshold_and_keeps_it_only_when_chosen_on_val(app, small_set):
    run_dir = models_dir() / runs.SHIPPED_RUN
    open_evaluate(app, evaluate.THRESHOLD)
    slider = f"threshold:{runs.SHIPPED_RUN}"
    assert app.slider(key=slider).value == 0.5
    app.slider(key=slider).set_value(0.01).run()
    assert "would miss **0**" in texts(app)
    assert app.button(key="keep_threshold").disabled  # not on all pictures
    app.selectbox(key=f"subset_{runs.SHIPPED_RUN}_{small_set.name}").set_value(EvalSubset(subset="val")).run()
    app.slider(key=slider).set_value(0.37).run()
    app.button(key="keep_threshold").click().run()
    assert decision_threshold.read_threshold(run_dir, read_card(run_dir)) == 0.37
    assert "In force: 0.37, chosen on the validation part of small.zip." in texts(app)
    assert models.load_classifier(runs.SHIPPED_RUN).threshold == 0.37  # Predict follows
    app.button(key="forget_threshold").click().run()
    assert not (run_dir / "threshold.json").exists()
    assert "In force: 0.50" in texts(app)


@pytest.mark.parametrize("name", ["scores", "confusion", "max_shadows"])
def test_run_may_be_named_like_a_widget(app, small_set, name):
    (models_dir() / runs.SHIPPED_RUN).rename(models_dir() / name)
    app.session_state["evaluated"] = name
    open_evaluate(app, evaluate.THRESHOLD)
    assert app.slider(key=f"threshold:{name}").value == 0.5


def test_evaluate_plays_a_round_of_the_game(app, small_set):
    open_evaluate(app, evaluate.GAME)
    for number in range(10):
        assert f"Face {number + 1} of 10" in app.get("progress")[0].proto.text
        app.button(key="guess_Depressed").click().run()
    assert "Of 10 faces you gave the label's answer for 5, the model for " in texts(app)
    app.button(key="play_again").click().run()
    assert "Face 1 of 10" in app.get("progress")[0].proto.text
    assert len(app.session_state.game.results) == 1


def test_evaluate_compares_with_a_run_of_which_only_the_scores_are_here(app, small_set):
    shipped, lonely = models_dir() / runs.SHIPPED_RUN, models_dir() / "lonely"
    shutil.copytree(shipped, lonely)
    prediction_cache.save_predictions_beside(shipped, small_set)
    (shipped / "predictions.npz").rename(lonely / "predictions.npz")
    (lonely / "model.keras").unlink()
    open_evaluate(app, evaluate.COMPARE)
    assert app.multiselect(key="compared").value == ["lonely"]
    assert "alone is right for 0" in texts(app)
    assert "may well be chance" in texts(app)
    app.selectbox(key="evaluated").set_value("lonely").run()
    assert not app.exception
    app.switch_page("pages/predict.py").run()
    assert not [box for box in app.selectbox if "lonely" in box.options]


def test_second_click_of_a_double_click_is_no_guess_on_the_next_face():
    current = game.Round("key", 0, np.array([3, 5]), {})
    for number in (0, 0, 1, 1):
        current.guess(number, number == 0)
    assert current.guesses == [True, False]


def test_evaluate_compares_only_on_pictures_that_no_run_has_learned_from(app, small_set):
    shutil.copytree(models_dir() / runs.SHIPPED_RUN, models_dir() / "twin")
    known = scan_dataset(small_set).fingerprints
    (models_dir() / "twin" / FINGERPRINTS_FILE).write_text("\n".join(known[:4]) + "\n")
    dataset_predictions.compute_predictions(models_dir() / "twin", small_set)
    open_evaluate(app, evaluate.COMPARE)
    app.multiselect(key="compared").set_value(["twin"]).run()
    assert "only 26 were learned from by none of these models" in texts(app)


def test_evaluate_says_that_a_model_learned_another_grouping(app, small_set):
    app.session_state["depressed_emotions"] = ("fear", "sad")
    open_evaluate(app, evaluate.THRESHOLD)
    assert "learned to call neutral and sad faces *depressed*; these labels mean fear and sad" in texts(app)
    app.selectbox(key=f"subset_{runs.SHIPPED_RUN}_{small_set.name}").set_value(EvalSubset(subset="val")).run()
    assert app.button(key="keep_threshold").disabled
    assert "It was trained with another grouping of the emotions." in texts(app)


def test_job_of_a_page_predicts_again_if_scores_are_kept_but_predictions_are_gone(app, small_set):
    run_dir = models_dir() / runs.SHIPPED_RUN
    evaluation.evaluate_run(run_dir, small_set, EvalSubset(subset="all"))
    prediction_cache.find_predictions_path(run_dir, small_set).unlink()
    argv = ["evaluate", "--data", small_set.source, "--subset", "all", "--like", runs.SHIPPED_RUN]
    assert main([*argv, "--model", runs.SHIPPED_RUN]) == 0
    assert prediction_cache.read_predictions(run_dir, small_set).is_complete


def test_evaluate_hands_out_a_report_and_the_card(app, small_set):
    open_evaluate(app, evaluate.REPORT)
    assert {button.key for button in app.get("download_button")} == {"report", "evaluate_card"}
    assert "They contain no picture of a face" in texts(app)


@pytest.mark.parametrize("title", [evaluate.CURVES, evaluate.MISTAKES, evaluate.PROTOCOLS, evaluate.ROBUSTNESS])
def test_evaluate_shows_every_tab(app, small_set, title):
    run_dir, mask = models_dir() / runs.SHIPPED_RUN, np.ones(len(small_set.samples), bool)
    robustness_run.measure_robustness(run_dir, small_set, mask)
    open_evaluate(app, title)
    num_charts = {evaluate.CURVES: 5, evaluate.MISTAKES: 1, evaluate.PROTOCOLS: 2, evaluate.ROBUSTNESS: 7}
    assert len(app.get("plotly_chart")) == num_charts[title]


@pytest.mark.parametrize("title", [evaluate.CURVES, evaluate.THRESHOLD, evaluate.MISTAKES, evaluate.PROTOCOLS])
def test_a_click_in_evaluate_neither_splits_nor_measures_again(app, small_set, title, monkeypatch):
    calls = []

    def count(module, name):
        original = getattr(module, name)

        def call(*arguments, **options):
            calls.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, call)

    count(subset_selection, "split_dataset")
    count(evaluation, "score_predictions")
    count(evaluation, "find_slices")
    count(evaluation, "compute_roc_curve")
    count(protocol_comparison, "score_lookup_table")
    (models_dir() / runs.SHIPPED_RUN / FINGERPRINTS_FILE).write_text(f"{title}\n")  # so that nothing is cached yet
    open_evaluate(app, title)
    assert {"split_dataset", "score_predictions"} <= set(calls)
    num_calls = len(calls)
    for _ in range(2):
        app.run()
    assert not app.exception
    assert len(calls) == num_calls
    decision_threshold.write_threshold(models_dir() / runs.SHIPPED_RUN, 0.4)
    app.run()
    assert calls[num_calls:].count("score_predictions") >= 1
