"""The parts of the Evaluate page: one run on one part of a data set, from one sentence down to single faces.

Nothing here runs a network: answers are computed by a background process and read from its file.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from facedep import emotions, evaluation_plots, evaluation_words, game, metrics, runs, splits, ui, ui_gallery
from facedep.answers import Answers, find_seen, has_answers, read_answers
from facedep.data import SAMPLE, Dataset
from facedep.errors import DataError
from facedep.evaluation import ALL, choose_rows, evaluate_run, needs_face_check, score_answers
from facedep.predictions import Predictions
from facedep.scan import Scan
from facedep.slices import find_confident_mistakes, find_slices, find_worst
from facedep.thresholds import (
    choose_threshold,
    find_band,
    forget_threshold,
    read_choice,
    read_threshold,
    write_threshold,
)
from facedep.ui_explore import load_quality
from facedep.ui_jobs import follow_job, forget_job, name_data, name_job
from facedep.ui_scan import follow_face_check

SENTENCE, CURVES, THRESHOLD, FAILS, FLATTERY, ROBUSTNESS, COMPARE, GAME, REPORT = (
    "In one sentence", "Curves", "Threshold", "Where it fails", "Honest or flattering", "Robustness", "Compare runs",
    "You against it", "Report",
)  # fmt: skip
PARTS = {
    (splits.LEAK_FREE, "test"): "Test part, free of leaks",
    (splits.LEAK_FREE, ALL): "All pictures, each once",
    (splits.LEAK_FREE, "val"): "Validation part, free of leaks",
    (splits.SUPPLIED_CLEAN, "test"): "Test part as supplied, copies left out of train",
    (splits.SUPPLIED, "test"): "Test part as supplied",
    (splits.SUPPLIED, "val"): "Validation part as supplied",
    (splits.PUBLISHED, "val"): "Validation part as published",
}
_NUM_PICTURES = 18
_NUM_MISTAKES = 8
_CELLS = {
    "true_depressed": ("labelled depressed, called depressed", True, True),
    "missed": ("labelled depressed, called non-depressed", True, False),
    "false_alarm": ("labelled non-depressed, called depressed", False, True),
    "true_non_depressed": ("labelled non-depressed, called non-depressed", False, False),
}


@dataclass(frozen=True)
class View:
    """One run on one part of a data set.

    Attributes:
        run: The run.
        dataset: The data set.
        scan: Its scan.
        split: One of `splits.SPLIT_KINDS`.
        part: "train", "val", "test" or "all".
        rows: `bool` array of shape `(all,)`: the pictures that are scored, n of them.
        predictions: The answers to them.
        is_depressed: `bool` array of shape `(n,)`: their labels.
        threshold: P(depressed) at and above which the answer is *depressed*.
        band: Where the run is uncertain, or None.
        scores: From `evaluation.evaluate_run`.
    """

    run: runs.Run
    dataset: Dataset
    scan: Scan
    split: str
    part: str
    rows: np.ndarray
    predictions: Predictions
    is_depressed: np.ndarray
    threshold: float
    band: tuple[float, float] | None
    scores: dict[str, Any]

    @property
    def index(self) -> pd.DataFrame:
        """The pictures' rows of the index table."""
        return self.dataset.index[self.rows]

    @property
    def places(self) -> np.ndarray:
        """The pictures' places in the data set's index: `int` array of shape `(n,)`."""
        return np.nonzero(self.rows)[0]

    @property
    def is_right(self) -> np.ndarray:
        """Whether each answer is the label's group: `bool` array of shape `(n,)`."""
        return self.is_depressed == (self.predictions.probabilities >= self.threshold)


# What is looked at ---------------------------------------------------------------------------------------------------


def choose_view(dataset: Dataset, scan: Scan) -> View | None:
    """Lets the visitor choose a run and a part; returns them scored, or None while a background process is at it."""
    found = {run.name: run for run in runs.list_runs() if run.card is not None}
    if not found:
        st.info("There is no model here yet. Train one, then see how good it is.")
        return None
    left, middle, right = st.columns([1.2, 1.1, 0.9], vertical_alignment="bottom")
    with left:
        name = ui.choose_run("Model", list(found), key="evaluated", default=next(iter(found)))
    run = found[name]
    is_seen = find_seen(run.path, scan.fingerprints)
    with ui.show_errors():
        if needs_face_check(dataset, run.card) and not follow_face_check(dataset):
            st.caption(
                f"Pictures without a face were left out before {name} was trained, so its split needs to know them."
            )
            return None
        options = _list_parts(dataset, scan, run)
    if not options:
        st.info("None of these pictures can be read, so no model can be judged on them. Choose others on Explore.")
        return None
    with middle:
        place = options.index(_choose_first(dataset, run, options, has_seen_some=bool(is_seen.any())))
        chosen = st.selectbox("Pictures", options, place, format_func=PARTS.get, key=f"part_{name}_{dataset.name}")
    with right:
        leaves_out_seen = st.toggle(
            "Only pictures it never saw",
            bool(is_seen.mean() > 0.5),  # else the first number that is seen would be memory
            key=f"unseen_{name}_{dataset.name}",
            disabled=not is_seen.any(),
            persist_state="session",
            help="Leaves out exact copies of what it was trained on. Near copies may remain.",
        )
    if find_grouping_mismatch(run, dataset):
        st.warning(
            f"**{name}** learned to call {' and '.join(find_learned_emotions(run))} faces *depressed*; these labels "
            f"mean {' and '.join(dataset.depressed_emotions)}. It is judged by a question that it was not taught.",
            icon=":material/tune:",
        )
    with ui.show_errors():
        return _score(dataset, scan, run, *chosen, leaves_out_seen=leaves_out_seen and bool(is_seen.any()))


def _choose_first(
    dataset: Dataset, run: runs.Run, options: list[tuple[str, str]], *, has_seen_some: bool
) -> tuple[str, str]:
    """Returns the part that is shown first: the run's own test part where it was trained on these pictures."""
    trained_on = run.card.get("data", {})
    own = (trained_on.get("split"), "test")
    if trained_on.get("content_hash") == dataset.content_hash and own in options:
        return own
    first = (splits.LEAK_FREE, "test" if has_seen_some else ALL)
    return first if first in options else options[0]


def find_learned_emotions(run: runs.Run) -> list[str]:
    """Returns the emotions that a run counts as *depressed*; the article's where its card does not say."""
    positive = [name for name in run.card["positive_classes"] if name != emotions.DEPRESSED]
    return sorted(positive or (run.config.depressed_emotions if run.config else emotions.DEPRESSED_EMOTIONS))


def find_grouping_mismatch(run: runs.Run, dataset: Dataset) -> bool:
    """Returns whether a run learned another grouping of the emotions than the one the visitor has chosen."""
    known = [name for name in run.card["class_names"] if name in emotions.EMOTIONS] or emotions.EMOTIONS
    return set(find_learned_emotions(run)) != set(dataset.depressed_emotions) & set(known)


def has_published_labels(dataset: Dataset) -> bool:
    """Returns whether labels are people's, in the article's groups: only of these it is known what they are worth."""
    return dataset.source != SAMPLE and set(dataset.depressed_emotions) == set(emotions.DEPRESSED_EMOTIONS)


def _list_parts(dataset: Dataset, scan: Scan, run: runs.Run) -> list[tuple[str, str]]:
    """Returns the kinds of split and their parts that this data set has."""
    options = []
    for split, part in PARTS:
        try:
            choose_rows(dataset, scan, run.card, split=split, part=part)
        except DataError:
            continue
        options.append((split, part))
    return options


def _score(dataset: Dataset, scan: Scan, run: runs.Run, split: str, part: str, *, leaves_out_seen: bool) -> View | None:
    rows = choose_rows(dataset, scan, run.card, split=split, part=part)
    if leaves_out_seen:
        rows = rows & ~find_seen(run.path, scan.fingerprints)
    if not rows.any():
        raise DataError(f"{run.name} was trained on all of these pictures. Choose others.")
    answers = follow_answers(run, dataset, scan, rows, like=run.name, split=split, part=part)
    if answers is None:
        return None
    threshold = read_threshold(run.path, run.card)
    scores = evaluate_run(run.path, dataset, split=split, part=part, leaves_out_seen=leaves_out_seen)
    is_depressed = (dataset.index["label"] == emotions.DEPRESSED).to_numpy()[rows]
    band = find_band(run.card, threshold)
    return View(run, dataset, scan, split, part, rows, answers.select(rows), is_depressed, threshold, band, scores)


def follow_answers(
    run: runs.Run, dataset: Dataset, scan: Scan, rows: np.ndarray, *, like: str, split: str, part: str
) -> Answers | None:
    """Returns a run's kept answers to some pictures, or shows how far the background process is and returns None.

    Args:
        run: Who is asked.
        dataset: The data set.
        scan: Its scan.
        rows: `bool` array of shape `(n,)`: the pictures.
        like: The run whose part they are, or some of it.
        split: That part's split.
        part: That part.

    Raises:
        ModelError: The run holds no model, and no answers to these pictures.
    """
    answers = read_answers(run.path, dataset)
    job = name_job("evaluate", dataset, run.name, like, split, part)
    if has_answers(answers, scan, rows):
        forget_job(job)
        return answers
    choice = ["--model", run.name, "--like", like, "--split", split, "--part", part]
    follow_job(job, ["evaluate", *name_data(dataset), *choice])
    return None


# In one sentence -----------------------------------------------------------------------------------------------------


def show_sentence(view: View) -> None:
    """Shows the one sentence, the scores with their intervals, what is mistaken for what; a cell shows its pictures."""
    scores = view.scores
    st.markdown(f"### {evaluation_words.describe_accuracy(scores)}")
    is_own_data = view.run.card.get("data", {}).get("content_hash") == view.dataset.content_hash
    if words := evaluation_words.describe_seen(scores, is_own_data=is_own_data):
        st.warning(words, icon=":material/history:")
    if view.dataset.source == SAMPLE and view.run.name == runs.SHIPPED_RUN:
        st.info(
            "It learned from photographs, and these are drawings: the hardest question it can be asked. On photographs "
            "of real faces it does better (see its card, or choose the Kaggle set on Explore).",
            icon=":material/draw:",
        )
    words = evaluation_words.describe_answered(scores)
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
        confusion = metrics.count_confusion(view.is_depressed, view.predictions.probabilities, view.threshold)
        _show_cells(view, evaluation_plots.plot_confusion(confusion), key="confusion")
    with right:
        figure = evaluation_plots.plot_emotion_errors(
            scores["per_emotion"], depressed_emotions=view.dataset.depressed_emotions
        )
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
        help="Gray: its 95 % interval. The score on very many such pictures lies in such a range 95 times of 100."
        + (
            ""
            if is_share
            else " The score is the chance that of two pictures the right one gets more; 0.5 is guessing."
        ),
    )


def _show_cells(view: View, figure: Any, *, key: str) -> None:
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
        chosen = (view.index["emotion"] == true).to_numpy() & (view.predictions.likeliest_emotions == answered)
    show_pictures(view, np.nonzero(chosen)[0], words, key=f"{key}_pictures")


def show_pictures(view: View, places: np.ndarray, words: str, *, key: str) -> None:
    """Shows some of the scored pictures with P(depressed) beneath; a click opens one.

    Args:
        view: What is looked at.
        places: `int` array: which of the n pictures.
        words: What they are.
        key: The grid's key.
    """
    st.markdown(f"**{len(places):,} pictures: {words}**")
    shown = places[:_NUM_PICTURES]
    names = view.index["emotion"].where(view.index["emotion"] != "", view.index["label"])
    captions = [
        f"{names.iat[place].replace('_', '-')} · {view.predictions.probabilities[place]:.0%}" for place in shown
    ]
    picked = ui_gallery.show_grid(view.dataset, view.places[shown].tolist(), key=key, captions=captions)
    st.caption(f"The label, and P(“depressed”){f'; the first {_NUM_PICTURES}' if len(places) > len(shown) else ''}.")
    if picked is not None:
        ui_gallery.show_details(view.dataset, view.scan, picked)


# Curves --------------------------------------------------------------------------------------------------------------


def show_curves(view: View) -> None:
    """Shows ROC and precision-recall curves, calibration, how scores are spread, and which emotions are confused."""
    name, truth, probabilities = view.run.name, view.is_depressed, view.predictions.probabilities
    confusion = metrics.count_confusion(truth, probabilities, view.threshold)
    num_depressed = confusion.num_true_depressed + confusion.num_missed
    num_others = confusion.num_false_alarms + confusion.num_true_non_depressed
    if not num_depressed or not num_others:
        st.info("All of these pictures have the same label, so there is nothing to tell apart. Choose others.")
        return
    left, right = st.columns(2)
    recall = confusion.num_true_depressed / num_depressed
    with left:
        figure = evaluation_plots.plot_roc(
            {name: metrics.compute_roc_curve(truth, probabilities)},
            {name: view.scores["roc_auc"]},
            point=(confusion.num_false_alarms / num_others, recall),
        )
        ui.show_chart(figure, key="roc")
        figure = evaluation_plots.plot_reliability(
            metrics.compute_reliability(truth, probabilities), view.scores["ece"]
        )
        ui.show_chart(figure, key="reliability")
    with right:
        num_called = confusion.num_true_depressed + confusion.num_false_alarms
        figure = evaluation_plots.plot_precision_recall(
            {name: metrics.compute_precision_recall_curve(truth, probabilities)},
            {name: metrics.compute_average_precision(truth, probabilities)},
            share_depressed=float(truth.mean()),
            point=(recall, confusion.num_true_depressed / num_called) if num_called else None,
        )
        ui.show_chart(figure, key="precision_recall")
        ui.show_chart(evaluation_plots.plot_scores(truth, probabilities, view.threshold, view.band), key="scores")
    if view.predictions.emotions and (view.index["emotion"] != "").any():
        names = list(view.predictions.emotions[0])
        true_emotions = view.index["emotion"].to_numpy(dtype=str)
        is_named = np.isin(true_emotions, names)
        matrix = metrics.count_emotion_confusion(
            true_emotions[is_named], view.predictions.likeliest_emotions[is_named], names
        )
        figure = evaluation_plots.plot_emotion_confusion(
            matrix, names, depressed_emotions=view.dataset.depressed_emotions
        )
        _show_cells(view, figure, key="emotion_confusion")


# Threshold -----------------------------------------------------------------------------------------------------------


@st.fragment
def show_threshold(view: View) -> None:
    """Lets the visitor move the threshold, see what it costs, and keep it where it is chosen on val."""
    st.write(
        "A network gives a number; somebody has to say from where on it means *depressed*. Each place has its price."
    )
    key = f"threshold_{view.run.name}"
    if key not in st.session_state:
        st.session_state[key] = _clamp(view.threshold)
    threshold = st.slider(
        "Calls a face *depressed* from P(“depressed”) of", 0.01, 0.99, step=0.01, key=key, persist_state="session"
    )
    probabilities = view.predictions.probabilities
    band = find_band(view.run.card, threshold)
    scores = score_answers(view.index, view.predictions, threshold=threshold, band=band)
    confusion = metrics.count_confusion(view.is_depressed, probabilities, threshold)
    st.markdown(f"#### {evaluation_words.describe_confusion(confusion)}")
    words = f"**{scores['accuracy']:.1%}** in the right group, {scores['balanced_accuracy']:.1%} as the mean of both."
    st.markdown(f"{words} {evaluation_words.describe_answered(scores)}")
    if view.band and not band:
        st.caption("So far from where its uncertain band was found, this model has none: it always answers.")
    left, right = st.columns(2)
    with left:
        ui.show_chart(evaluation_plots.plot_confusion(confusion), key="threshold_confusion")
    with right:
        figure = evaluation_plots.plot_scores(view.is_depressed, probabilities, threshold, band)
        ui.show_chart(figure, key="threshold_scores")
    _show_keeping(view, threshold)


def _show_keeping(view: View, threshold: float) -> None:
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
        is_chosen = view.threshold != float(view.run.card.get("threshold", 0.5))
        if is_chosen and st.button("Back to its own threshold", key="forget_threshold"):
            with ui.show_errors(ends_page=False):
                forget_threshold(view.run.path)
                del st.session_state[f"threshold_{view.run.name}"]
                st.rerun()
    st.caption(
        f"{in_force} {problem or 'A kept threshold lies beside the model; Predict follows it.'} Within its uncertain "
        "band a model gives no answer anyway: moved inside, the threshold only changes which way it leans there."
    )


def _find_threshold_problem(view: View) -> str:
    """Returns why no threshold may be chosen on these pictures, "" where it may."""
    if (view.split, view.part) != (splits.LEAK_FREE, "val"):
        return (
            "To change it, choose **validation part, free of leaks** above: one chosen on test pictures would make "
            "their score too good."
        )
    if view.scores["num_seen_in_training"]:
        return "It learned from some of these pictures: leave them out (above) to choose a threshold on the others."
    if find_grouping_mismatch(view.run, view.dataset):
        return "It was trained with another grouping of the emotions."
    if view.is_depressed.all() or not view.is_depressed.any():
        return "All of these pictures have the same label."
    return ""


def _set_threshold(view: View, threshold: float) -> None:
    st.session_state[f"threshold_{view.run.name}"] = _clamp(threshold)


def _clamp(threshold: float) -> float:
    """Returns a threshold as the slider can show it."""
    return min(0.99, max(0.01, round(threshold, 2)))


# Where it fails ------------------------------------------------------------------------------------------------------


def show_failures(view: View) -> None:
    """Shows the most confident mistakes and the kinds of pictures on which the run is worst."""
    wrong = find_confident_mistakes(view.is_depressed, view.predictions.probabilities, view.threshold, _NUM_PICTURES)
    if not len(wrong):
        st.success("Not one mistake on these pictures.", icon=":material/check:")
        return
    show_pictures(view, wrong, "its most confident mistakes", key="mistakes")
    _show_overlays(view, wrong[:_NUM_MISTAKES])
    table = load_quality(view.dataset, view.scan)[view.rows]
    found = find_worst(find_slices(view.index, table, view.is_right, view.predictions.probabilities))
    figure = evaluation_plots.plot_slices(found, accuracy=view.scores["accuracy"])
    event = st.plotly_chart(
        figure, key="slices", config={"displayModeBar": False}, on_select="rerun", selection_mode="points"
    )
    small = (
        " Hollow ones have fewer than 30 pictures: too few to say anything." if any(s.is_small for s in found) else ""
    )
    st.caption(f"Click a line to see its mistakes.{small}")
    if points := event["selection"]["points"]:
        place = points[0]["customdata"]
        chosen = found[int(place[0] if isinstance(place, list) else place)]
        is_wrong = ~view.is_right[chosen.rows]
        show_pictures(view, chosen.rows[is_wrong], f"mistakes among “{chosen.name}”", key="slice_pictures")
    st.caption(evaluation_words.UNKNOWN_PEOPLE_TEXT)


@st.fragment
def _show_overlays(view: View, wrong: np.ndarray) -> None:
    """Shows, when asked, where the model looked in its most confident mistakes."""
    if not view.run.has_model:
        return
    with st.expander("Where it looked", icon=":material/search:", key="overlays", on_change="rerun") as box:
        if not box.open:
            return
        ui.wait_for_warm_up()
        from facedep.explain import compute_occlusion_map, overlay_map
        from facedep.scan import load_images

        with ui.show_errors():
            classifier = ui.load_classifier(view.run.name)
        rows = np.zeros(len(view.rows), bool)
        rows[view.places[wrong]] = True
        images = load_images(view.dataset, view.scan, rows, classifier.input_size_px)
        order = np.argsort(np.argsort(view.places[wrong]))
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
