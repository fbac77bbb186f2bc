"""The parts of the Evaluate page: one run on one part of a data set, from one sentence down to single faces.

Nothing here runs a network: answers are computed by a background process and read from its file.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from facedep import emotions
from facedep.app import gallery, ui
from facedep.app.background_jobs import follow_job, forget_job, name_job
from facedep.app.scanning import follow_face_check, follow_scan
from facedep.data import splits
from facedep.data.eval_subset import ALL, EvalSubset
from facedep.data.scan import Scan
from facedep.data.sources import SAMPLE, Dataset
from facedep.evaluation import game
from facedep.evaluation.evaluation import Evaluation, MissingPredictionsError, read_evaluation
from facedep.evaluation.score_cache import find_evaluation_key
from facedep.evaluation.slices import find_confident_mistakes, find_worst
from facedep.evaluation.subset_selection import list_available, needs_face_check
from facedep.evaluation.training_spec import find_grouping_mismatch, find_training_dataset
from facedep.inference.prediction_cache import (
    DatasetPredictions,
    find_in_training_set,
    has_predictions,
    read_predictions,
)
from facedep.networks.decision_threshold import (
    choose_threshold,
    forget_threshold,
    read_choice,
    write_threshold,
)
from facedep.reporting import sentences
from facedep.reporting.plots import errors
from facedep.reporting.plots import scores as plots_scores
from facedep.runs import run_folder

SENTENCE, CURVES, THRESHOLD, FAILS, FLATTERY, ROBUSTNESS, COMPARE, GAME, REPORT = (
    "In one sentence", "Curves", "Threshold", "Where it fails", "Honest or flattering", "Robustness", "Compare runs",
    "You against it", "Report",
)  # fmt: skip
SUBSETS = {
    EvalSubset(splits.LEAK_FREE, "test"): "Test part, free of leaks",
    EvalSubset(splits.LEAK_FREE, ALL): "All pictures, each once",
    EvalSubset(splits.LEAK_FREE, "val"): "Validation part, free of leaks",
    EvalSubset(splits.SUPPLIED_CLEAN, "test"): "Test part as supplied, copies left out of train",
    EvalSubset(splits.SUPPLIED, "test"): "Test part as supplied",
    EvalSubset(splits.SUPPLIED, "val"): "Validation part as supplied",
    EvalSubset(splits.PUBLISHED, "val"): "Validation part as published",
}
_NUM_PICTURES = 18
_NUM_MISTAKES = 8
_CELLS = {
    "true_depressed": ("labelled depressed, called depressed", True, True),
    "missed": ("labelled depressed, called non-depressed", True, False),
    "false_alarm": ("labelled non-depressed, called depressed", False, True),
    "true_non_depressed": ("labelled non-depressed, called non-depressed", False, False),
}


# What is looked at ---------------------------------------------------------------------------------------------------


def choose_view(dataset: Dataset, scan: Scan) -> Evaluation | None:
    """Lets the visitor choose a run and a subset; returns them scored, or None while a background process is at it."""
    found = {run.name: run for run in run_folder.list_runs() if run.card is not None}
    if not found:
        st.info("There is no model here yet. Train one, then see how good it is.")
        return None
    left, middle, right = st.columns([1.2, 1.1, 0.9], vertical_alignment="bottom")
    with left:
        name = ui.choose_run("Model", list(found), key="evaluated", default=next(iter(found)))
    run = found[name]
    if follow_scan(find_training_dataset(run.path, dataset)) is None:  # the run's own split needs it
        return None
    with ui.show_errors():
        if needs_face_check(run.path, dataset) and not follow_face_check(dataset):
            st.caption(
                f"Pictures without a face were left out before {name} was trained, so its split needs to know them."
            )
            return None
        key = find_evaluation_key(run.path, dataset)
        options, share_seen = _list_options(key, run.path, dataset, scan)
    if not options:
        st.info("None of these pictures can be read, so no model can be judged on them. Choose others on Explore.")
        return None
    with middle:
        place = options.index(_choose_first(dataset, run, options, has_training_images=share_seen > 0))
        subset = st.selectbox("Pictures", options, place, format_func=SUBSETS.get, key=f"part_{name}_{dataset.name}")
    with right:
        excludes_training_images = st.toggle(
            "Only pictures it never saw",
            share_seen > 0.5,  # else the first number that is seen would be memory
            key=f"unseen_{name}_{dataset.name}",
            disabled=not share_seen,
            persist_state="session",
            help="Leaves out exact copies of what it was trained on. Near copies may remain.",
        )
    if words := sentences.describe_grouping_mismatch(find_grouping_mismatch(run.path, dataset), name):
        st.warning(words, icon=":material/tune:")
    subset = replace(subset, excludes_training_images=excludes_training_images and share_seen > 0)
    with ui.show_errors():
        return _follow_evaluation(run, dataset, scan, subset)


@st.cache_resource(max_entries=16, show_spinner=False)
def _list_options(key: str, _run_dir: Path, _dataset: Dataset, _scan: Scan) -> tuple[list[EvalSubset], float]:
    """Returns the subsets that a data set has for a run, and the share of all pictures that it was trained on."""
    share_seen = float(find_in_training_set(_run_dir, _scan.fingerprints).mean())
    return list_available(_run_dir, _dataset, _scan, SUBSETS), share_seen


def _choose_first(
    dataset: Dataset, run: run_folder.Run, options: list[EvalSubset], *, has_training_images: bool
) -> EvalSubset:
    """Returns the subset that is shown first: the run's own test part where it was trained on these pictures."""
    trained_on = run.card.data
    if trained_on.content_hash == dataset.content_hash:
        for subset in options:
            if (subset.protocol, subset.subset) == (trained_on.protocol, "test"):
                return subset
    first = EvalSubset(splits.LEAK_FREE, "test" if has_training_images else ALL)
    return first if first in options else options[0]


def has_published_labels(dataset: Dataset) -> bool:
    """Returns whether labels are people's, in the article's groups: only of these it is known what they are worth."""
    return dataset.source != SAMPLE and set(dataset.depressed_emotions) == set(emotions.DEPRESSED_EMOTIONS)


def _follow_evaluation(run: run_folder.Run, dataset: Dataset, scan: Scan, subset: EvalSubset) -> Evaluation | None:
    """Returns a run's evaluation, or shows how far the background process is that asks for its answers."""
    key = find_evaluation_key(run.path, dataset, subset)
    try:
        view = _load_evaluation(key, run.path, dataset, subset)
    except MissingPredictionsError as missing:
        follow_predictions(run, dataset, scan, missing.mask, like=run.name, subset=subset)
        return None
    forget_job(_name_predictions_job(run, dataset, run.name, subset))
    return view


@st.cache_resource(max_entries=6, show_spinner=False)
def _load_evaluation(key: str, _run_dir: Path, _dataset: Dataset, _subset: EvalSubset) -> Evaluation:
    """Returns an evaluation, kept by what it depends on: a click neither splits nor measures again."""
    return read_evaluation(_run_dir, _dataset, _subset)


@st.cache_resource(max_entries=16, show_spinner=False)
def _load_at_threshold(key: str, threshold: float, _view: Evaluation) -> Evaluation:
    return _view.at_threshold(threshold)


def _name_predictions_job(run: run_folder.Run, dataset: Dataset, like: str, subset: EvalSubset) -> str:
    return name_job("evaluate", dataset, run.name, like, *subset.to_argv())


def follow_predictions(
    run: run_folder.Run, dataset: Dataset, scan: Scan, mask: np.ndarray, *, like: str, subset: EvalSubset
) -> DatasetPredictions | None:
    """Returns a run's kept answers to some pictures, or shows how far the background process is and returns None.

    Args:
        run: Who is asked.
        dataset: The data set.
        scan: Its scan.
        mask: `bool` array of shape `(n,)`: the pictures.
        like: The run for which the subset is selected.
        subset: What the pictures are, or more.

    Raises:
        ModelError: The run holds no model, and no answers to these pictures.
    """
    answers = read_predictions(run.path, dataset)
    job = _name_predictions_job(run, dataset, like, subset)
    if has_predictions(answers, scan, mask):
        forget_job(job)
        return answers
    choice = ["--model", run.name, "--like", like, *subset.to_argv()]
    follow_job(job, ["evaluate", *dataset.spec.to_argv(), *choice])
    return None


# In one sentence -----------------------------------------------------------------------------------------------------


def show_sentence(view: Evaluation) -> None:
    """Shows the one sentence, the scores with their intervals, what is mistaken for what; a cell shows its pictures."""
    scores = view.scores
    st.markdown(f"### {sentences.describe_accuracy(scores)}")
    is_own_data = view.run.card.data.content_hash == view.dataset.content_hash
    if words := sentences.describe_seen(scores, is_own_data=is_own_data):
        st.warning(words, icon=":material/history:")
    if view.dataset.source == SAMPLE and view.run.name == run_folder.SHIPPED_RUN:
        st.info(
            "It learned from photographs, and these are drawings: the hardest question it can be asked. On photographs "
            "of real faces it does better (see its card, or choose the Kaggle set on Explore).",
            icon=":material/draw:",
        )
    words = sentences.describe_coverage(scores)
    if has_published_labels(view.dataset):
        words = f"{words} {game.PEOPLE_SENTENCE}"
    st.markdown(words)
    with st.container(horizontal=True):
        _show_metric("In the right group", scores["accuracy"], scores["intervals"]["accuracy"])
        _show_metric("Mean of both groups", scores["balanced_accuracy"], scores["intervals"]["balanced_accuracy"])
        _show_metric("ROC AUC", scores["roc_auc"], scores["intervals"]["roc_auc"], is_share=False)
        if not np.isnan(scores["emotion_accuracy"]):
            _show_metric("Right emotion", scores["emotion_accuracy"], scores["emotion_accuracy_interval"])
    left, right = st.columns(2)
    with left:
        _show_cells(view, errors.plot_confusion(view.confusion), key="confusion")
    with right:
        figure = errors.plot_emotion_errors(scores["per_emotion"], depressed_emotions=view.dataset.depressed_emotions)
        ui.show_chart(figure, key="emotion_errors")


def _show_metric(title: str, value: float, interval: list[float], *, is_share: bool = True) -> None:
    def write(number: float) -> str:
        if np.isnan(number):
            return "–"
        return f"{number:.1%}" if is_share else f"{number:.3f}"

    st.metric(
        title,
        write(value),
        f"{write(interval[0])} to {write(interval[1])}",
        delta_color="off",
        delta_arrow="off",
        border=True,
        width=193,
        help=f"Gray: its 95 % confidence interval. {sentences.INTERVAL_TEXT}"
        + (
            ""
            if is_share
            else " The score is the chance that of two pictures the right one gets more; 0.5 is guessing."
        ),
    )


def _show_cells(view: Evaluation, figure: Any, *, key: str) -> None:
    """Shows clickable cells, and the pictures of the one that was clicked."""
    event = st.plotly_chart(
        figure, key=key, config={"displayModeBar": False}, on_select="rerun", selection_mode="points"
    )
    points = event["selection"]["points"]
    if not points:
        st.caption("Click a field to see its pictures.")
        return
    cell = points[0]["customdata"]
    cell = cell[0] if isinstance(cell, list) else cell
    if cell in _CELLS:
        words, is_depressed, says_depressed = _CELLS[cell]
        says = view.predictions.probabilities >= view.threshold
        chosen = (view.is_depressed == is_depressed) & (says == says_depressed)
    else:
        true, answered = cell.split("|")
        words = f"{true}, called {answered}"
        chosen = (view.samples["emotion"] == true).to_numpy() & (view.predictions.likeliest_emotions == answered)
    show_pictures(view, np.nonzero(chosen)[0], words, key=f"{key}_pictures")


def show_pictures(view: Evaluation, places: np.ndarray, words: str, *, key: str) -> None:
    """Shows some of the scored pictures with P(depressed) beneath; a click opens one.

    Args:
        view: What is looked at.
        places: `int` array: which of the n pictures.
        words: What they are.
        key: The grid's key.
    """
    st.markdown(f"**{len(places):,} pictures: {words}**")
    shown = places[:_NUM_PICTURES]
    names = view.samples["emotion"].where(view.samples["emotion"] != "", view.samples["label"])
    captions = [
        f"{names.iat[place].replace('_', '-')} · {view.predictions.probabilities[place]:.0%}" for place in shown
    ]
    picked = gallery.show_grid(view.dataset, view.indices[shown].tolist(), key=key, captions=captions)
    st.caption(f"The label, and P(“depressed”){f'; the first {_NUM_PICTURES}' if len(places) > len(shown) else ''}.")
    if picked is not None:
        gallery.show_details(view.dataset, view.scan, picked)


# Curves --------------------------------------------------------------------------------------------------------------


def show_curves(view: Evaluation) -> None:
    """Shows ROC and precision-recall curves, calibration, how scores are spread, and which emotions are confused."""
    name, truth, probabilities = view.run.name, view.is_depressed, view.predictions.probabilities
    if not view.has_both_groups:
        st.info("All of these pictures have the same label, so there is nothing to tell apart. Choose others.")
        return
    left, right = st.columns(2)
    with left:
        figure = plots_scores.plot_roc(
            {name: view.roc_curve}, {name: view.scores["roc_auc"]}, point=view.roc_point
        )  # fmt: skip
        ui.show_chart(figure, key="roc")
        ui.show_chart(plots_scores.plot_reliability(view.reliability, view.scores["ece"]), key="reliability")
    with right:
        figure = plots_scores.plot_precision_recall(
            {name: view.precision_recall_curve},
            {name: view.average_precision},
            share_depressed=float(truth.mean()),
            point=view.precision_recall_point,
        )
        ui.show_chart(figure, key="precision_recall")
        ui.show_chart(plots_scores.plot_scores(truth, probabilities, view.threshold, view.band), key="scores")
    if view.emotion_confusion is not None:
        matrix, names = view.emotion_confusion
        figure = errors.plot_emotion_confusion(matrix, names, depressed_emotions=view.dataset.depressed_emotions)
        _show_cells(view, figure, key="emotion_confusion")


# Threshold -----------------------------------------------------------------------------------------------------------


@st.fragment
def show_threshold(view: Evaluation) -> None:
    """Lets the visitor move the threshold, see what it costs, and keep it where it is chosen on val."""
    st.write(
        "A network gives a number; somebody has to say from where on it means *depressed*. Each place has its price."
    )
    key = _name_threshold_key(view)
    if key not in st.session_state:
        st.session_state[key] = _clamp(view.threshold)
    threshold = st.slider(
        "Calls a face *depressed* from P(“depressed”) of", 0.01, 0.99, step=0.01, key=key, persist_state="session"
    )
    with ui.show_errors():
        inputs = find_evaluation_key(view.run.path, view.dataset, view.subset, threshold=view.threshold)
    moved = _load_at_threshold(inputs, threshold, view)
    scores, band = moved.scores, moved.band
    st.markdown(f"#### {sentences.describe_confusion(moved.confusion)}")
    words = f"**{scores['accuracy']:.1%}** in the right group, {scores['balanced_accuracy']:.1%} as the mean of both."
    st.markdown(f"{words} {sentences.describe_coverage(scores)}")
    if view.band and not band:
        st.caption("So far from where its uncertain band was found, this model has none: it always answers.")
    left, right = st.columns(2)
    with left:
        ui.show_chart(errors.plot_confusion(moved.confusion), key="threshold_confusion")
    with right:
        figure = plots_scores.plot_scores(view.is_depressed, view.predictions.probabilities, threshold, band)
        ui.show_chart(figure, key="threshold_scores")
    _show_keeping(view, threshold)


def _show_keeping(view: Evaluation, threshold: float) -> None:
    """Offers to keep a threshold with the run, only where it is chosen on validation pictures."""
    chosen_on = read_choice(view.run.path)
    in_force = f"In force: {view.threshold:.2f}{f', chosen on {chosen_on}' if chosen_on else ''}."
    problem = _find_threshold_problem(view)
    with st.container(horizontal=True, vertical_alignment="center"):
        if not problem:
            best = choose_threshold(view.is_depressed, view.predictions.probabilities)
            st.button(f"Best on these: {best:.2f}", key="best_threshold", on_click=_set_threshold, args=(view, best))
        is_same = abs(threshold - view.threshold) < 0.005
        if st.button(
            f"Use {threshold:.2f} from now on",
            key="keep_threshold",
            disabled=bool(problem) or is_same,
            icon=":material/save:",
        ):
            with ui.show_errors(ends_page=False):
                write_threshold(view.run.path, threshold, chosen_on=f"the validation part of {view.dataset.name}")
                st.rerun()
        is_chosen = view.threshold != view.run.card.decision_threshold
        if is_chosen and st.button("Back to its own threshold", key="forget_threshold"):
            with ui.show_errors(ends_page=False):
                forget_threshold(view.run.path)
                del st.session_state[_name_threshold_key(view)]
                st.rerun()
    st.caption(
        f"{in_force} {problem or 'A kept threshold lies beside the model; Predict follows it.'} Within its uncertain "
        "band a model gives no answer anyway: moved inside, the threshold only changes which way it leans there."
    )


def _find_threshold_problem(view: Evaluation) -> str:
    """Returns why no threshold may be chosen on these pictures, "" where it may."""
    if (view.subset.protocol, view.subset.subset) != (splits.LEAK_FREE, "val"):
        return (
            "To change it, choose **validation part, free of leaks** above: one chosen on test pictures would make "
            "their score too good."
        )
    if view.scores["num_in_training_set"]:
        return "It learned from some of these pictures: leave them out (above) to choose a threshold on the others."
    if view.scores["grouping_mismatch"]:
        return "It was trained with another grouping of the emotions."
    if view.is_depressed.all() or not view.is_depressed.any():
        return "All of these pictures have the same label."
    return ""


def _set_threshold(view: Evaluation, threshold: float) -> None:
    st.session_state[_name_threshold_key(view)] = _clamp(threshold)


def _name_threshold_key(view: Evaluation) -> str:
    """Returns the slider's key; a run's name holds no colon, so none makes the key of another widget."""
    return f"threshold:{view.run.name}"


def _clamp(threshold: float) -> float:
    """Returns a threshold as the slider can show it."""
    return min(0.99, max(0.01, round(threshold, 2)))


# Where it fails ------------------------------------------------------------------------------------------------------


def show_failures(view: Evaluation) -> None:
    """Shows the most confident mistakes and the kinds of pictures on which the run is worst."""
    wrong = find_confident_mistakes(view.is_depressed, view.predictions.probabilities, view.threshold, _NUM_PICTURES)
    if not len(wrong):
        st.success("Not one mistake on these pictures.", icon=":material/check:")
        return
    show_pictures(view, wrong, "its most confident mistakes", key="mistakes")
    _show_overlays(view, wrong[:_NUM_MISTAKES])
    found = find_worst(view.slices)
    figure = errors.plot_slices(found, accuracy=view.scores["accuracy"])
    event = st.plotly_chart(
        figure, key="slices", config={"displayModeBar": False}, on_select="rerun", selection_mode="points"
    )
    small = (
        " Hollow ones have fewer than 30 pictures: too few to say anything." if any(s.is_small for s in found) else ""
    )
    st.caption(f"Click a line to see its mistakes. {sentences.describe_slices(found)}{small}")
    if points := event["selection"]["points"]:
        place = points[0]["customdata"]
        chosen = found[int(place[0] if isinstance(place, list) else place)]
        is_wrong = ~view.is_right[chosen.rows]
        show_pictures(view, chosen.rows[is_wrong], f"mistakes among “{chosen.name}”", key="slice_pictures")
    st.caption(sentences.UNKNOWN_PEOPLE_TEXT)


@st.fragment
def _show_overlays(view: Evaluation, wrong: np.ndarray) -> None:
    """Shows, when asked, where the model looked in its most confident mistakes."""
    if not view.run.has_model:
        return
    with st.expander("Where it looked", icon=":material/search:", key="overlays", on_change="rerun") as box:
        if not box.open:
            return
        ui.wait_for_warm_up()
        from facedep.data.scan import load_images
        from facedep.inference.explain import compute_occlusion_map, overlay_map

        with ui.show_errors():
            classifier = ui.load_classifier(view.run.name)
        mask = np.zeros(len(view.mask), bool)
        mask[view.indices[wrong]] = True
        images = load_images(view.dataset, view.scan, mask, classifier.input_size_px)
        order = np.argsort(np.argsort(view.indices[wrong]))
        with st.container(horizontal=True, gap="small"):
            for place, number in zip(wrong, order, strict=True):
                prepared = images[number][:, :, 0]
                values = compute_occlusion_map(classifier, prepared)
                says = "depressed" if view.predictions.probabilities[place] >= view.threshold else "non-depressed"
                st.image(overlay_map(prepared, values, size_px=144, strength=0.6), width=144, caption=f"says {says}")
        st.caption(
            f"The first {len(wrong)}. Blue: covering this place makes the answer less “depressed”. Orange: more. "
            "Where, not why."
        )
