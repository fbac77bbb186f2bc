"""The parts of the Evaluate page that set a score beside others: other pictures, other runs, harder pictures."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from facedep import emotions
from facedep.app import ui
from facedep.app.background_jobs import follow_job, forget_job, name_job
from facedep.app.evaluate import follow_predictions
from facedep.data.sources import Dataset
from facedep.errors import FacedepError
from facedep.evaluation.curves import compute_roc_curve
from facedep.evaluation.evaluation import Evaluation
from facedep.evaluation.intervals import compute_wilson_interval
from facedep.evaluation.metrics import compute_roc_auc
from facedep.evaluation.paired_comparison import compare_predictions
from facedep.evaluation.protocol_comparison import ProtocolScore, compare_protocols
from facedep.evaluation.robustness import CORRUPTIONS, MAX_IMAGES, choose_measured, read_robustness
from facedep.evaluation.score_cache import find_evaluation_key
from facedep.evaluation.slices import MIN_IMAGES
from facedep.evaluation.subset_selection import select_pictures
from facedep.inference.prediction_cache import find_in_training_set, read_predictions
from facedep.networks.decision_threshold import read_threshold
from facedep.networks.majority_baseline import find_majority_baseline
from facedep.networks.predictions import Predictions
from facedep.reporting import sentences
from facedep.reporting.model_card import render_model_card
from facedep.reporting.plots import comparison as plots_comparison
from facedep.reporting.plots import scores as plots_scores
from facedep.reporting.plots import training
from facedep.reporting.report import build_report
from facedep.runs import progress, run_folder
from facedep.training.estimate import describe_seconds

MAX_COMPARED = 3
_SETTINGS = {
    "protocol": "split",
    "seed": "seed",
    "num_epochs": "epochs",
    "num_progressive_resizing_epochs": "of these with small pictures",
    "batch_size": "pictures in a step",
    "learning_rate": "learning rate",
    "ema_momentum": "averaging of weights",
    "depressed_emotions": "counted as depressed",
    "drop_issues": "faults left out",
    "issue_limits": "thresholds of faults",
    "teacher": "labels mixed with answers of",
    "refit_of": "final fit, on train and val, of",
}


# Honest or flattering ------------------------------------------------------------------------------------------------


def show_protocol_comparison(view: Evaluation) -> None:
    """Shows one run's score on differently chosen pictures, beside a table that learned nothing, and the inversion."""
    st.write(sentences.LOOKUP_TEXT)
    try:
        found = _load_protocol_scores(view)
    except FacedepError as error:
        st.info(str(error))
        return
    missing = next((score for score in found if np.isnan(score.accuracy)), None)
    if missing is not None:
        mask = select_pictures(view.run.path, view.dataset, view.scan, missing.subset).mask
        choice = {"like": view.run.name, "subset": missing.subset}
        if follow_predictions(view.run, view.dataset, view.scan, mask, **choice) is None:
            return
    ui.show_chart(plots_comparison.plot_protocol_comparison([vars(score) for score in found]), key="flattery")
    table = pd.DataFrame(
        {
            "Scored on": [score.what for score in found],
            "Pictures": [score.num_images for score in found],
            "Right": [f"{score.accuracy:.1%}" for score in found],
            "Table": ["–" if np.isnan(score.lookup_accuracy) else f"{score.lookup_accuracy:.1%}" for score in found],
            "Always one answer": [
                f"{score.majority_baseline.share:.1%} ({score.majority_baseline.label})" for score in found
            ],
            "Copies in train": [score.num_in_train for score in found],
            "Learned from": [score.num_seen for score in found],
        }
    )
    st.dataframe(table, hide_index=True, key="flattery_table")
    st.markdown(sentences.INVERSION_TEXT)
    ui.show_chart(plots_comparison.plot_inversion(view.confusion), key="inversion")


def _load_protocol_scores(view: Evaluation) -> list[ProtocolScore]:
    """Returns the scores, kept until another input or more answers are there."""
    answers = read_predictions(view.run.path, view.dataset)
    num_answered = int(answers.is_predicted.sum()) if answers else 0
    key = find_evaluation_key(view.run.path, view.dataset)
    return _compare_protocols(key, num_answered, view.run.path, view.dataset)


@st.cache_resource(max_entries=4, show_spinner=False)
def _compare_protocols(key: str, num_answered: int, _run_dir: Path, _dataset: Dataset) -> list[ProtocolScore]:
    return compare_protocols(_run_dir, _dataset)


# Compare -------------------------------------------------------------------------------------------------------------


def show_comparison(view: Evaluation) -> None:
    """Compares up to three runs on the same pictures: scores, whether the difference is chance, curves, settings."""
    others = [run for run in run_folder.list_runs() if run.card is not None and run.name != view.run.name]
    only_elsewhere = [run.name for run in others if not _can_answer(run, view.dataset)]
    others = [run for run in others if run.name not in only_elsewhere]
    if only_elsewhere:
        st.caption(
            f"{' and '.join(only_elsewhere)}: only the scores on other pictures are here, without the network, so that "
            "they cannot be compared on these."
        )
    if not others:
        st.info("No other model can be asked about these pictures. Train one, then compare them here.")
        return
    names = st.multiselect(
        f"Compare {view.run.name} with",
        [run.name for run in others],
        [run.name for run in others][: MAX_COMPARED - 1],
        max_selections=MAX_COMPARED - 1,
        key="compared",
    )
    if not names:
        st.info("Choose at least one run to compare with.")
        return
    answered = {view.run.name: read_predictions(view.run.path, view.dataset)}
    found = {view.run.name: view.run, **{run.name: run for run in others if run.name in names}}
    for name, run in list(found.items())[1:]:
        choice = {"like": view.run.name, "subset": view.subset}
        try:
            answered[name] = follow_predictions(run, view.dataset, view.scan, view.mask, **choice)
        except FacedepError as error:
            st.warning(f"**{name}** cannot be compared here. {error}", icon=":material/block:")
            del found[name]
            continue
        if answered[name] is None:
            return
    rows = _leave_out_seen(view, found)
    if rows is None:
        return
    predictions = {name: answered[name].select(rows) for name in found}
    is_depressed = view.is_depressed[rows[view.mask]]
    thresholds = {name: read_threshold(run.path, run.card) for name, run in found.items()}
    is_right = {name: is_depressed == (predictions[name].probabilities >= thresholds[name]) for name in found}
    for name in list(found)[1:]:
        comparison = compare_predictions(is_right[view.run.name], is_right[name])
        st.markdown(sentences.describe_comparison(comparison, view.run.name, name))
    _show_compared_scores(is_depressed, predictions, is_right)
    _show_compared_settings(found)


def _leave_out_seen(view: Evaluation, found: dict[str, run_folder.Run]) -> np.ndarray | None:
    """Returns the pictures that none of the runs has learned from, `bool`, shape `(all,)`; None where few are left."""
    rows = view.mask.copy()
    for run in found.values():
        rows &= ~find_in_training_set(run.path, view.scan.fingerprints)
    num_left, num_all = int(rows.sum()), int(view.mask.sum())
    if num_left < MIN_IMAGES:
        st.info(
            f"Of these {num_all:,} pictures only {num_left} were learned from by none of these models: too few to "
            "compare them. Choose other pictures above."
        )
        return None
    if num_left < num_all:
        st.caption(f"Compared on the {num_left:,} of {num_all:,} pictures that none of them has learned from.")
    return rows


def _can_answer(run: run_folder.Run, dataset: Dataset) -> bool:
    """Whether a run has its network here, or at least its answers to this data set."""
    try:
        return run.has_model or read_predictions(run.path, dataset) is not None
    except FacedepError:
        return False


def _show_compared_scores(
    is_depressed: np.ndarray, compared: dict[str, Predictions], is_right: dict[str, np.ndarray]
) -> None:
    scores = []
    for name, right in is_right.items():
        low, high = compute_wilson_interval(int(right.sum()), len(right))
        scores.append((name, float(right.mean()), low, high))
    left, right = st.columns(2)
    with left:
        figure = plots_comparison.plot_accuracies(scores, find_majority_baseline(is_depressed))
        ui.show_chart(figure, key="compared_scores")
    with right:
        curves = {name: compute_roc_curve(is_depressed, answers.probabilities) for name, answers in compared.items()}
        areas = {name: compute_roc_auc(is_depressed, answers.probabilities) for name, answers in compared.items()}
        ui.show_chart(plots_scores.plot_roc(curves, areas), key="compared_roc")


def _show_compared_settings(found: dict[str, run_folder.Run]) -> None:
    """Shows how the runs learned, and only those settings in which they differ."""
    measured = {name: progress.read_progress(run.path) for name, run in found.items()}
    curves = {name: one.epochs for name, one in measured.items() if one.epochs}
    if curves:
        ui.show_chart(training.plot_learning(curves), key="compared_learning")
    settings = pd.DataFrame({name: _list_settings(run) for name, run in found.items()}).fillna("–")
    is_different = settings.nunique(axis=1) > 1
    st.markdown("**Settings that differ**")
    if is_different.any():
        st.table(settings[is_different])
    elif len(found) > 1:
        st.caption("None: the runs differ in chance only.")


def _list_settings(run: run_folder.Run) -> dict[str, str]:
    card, settings = run.card, {}
    if run.config:
        settings = {words: _describe_setting(getattr(run.config, name)) for name, words in _SETTINGS.items()}
    return {
        **settings,
        "recipe": card.recipe,
        "data": card.data.name or "–",
        "train pictures": f"{card.data.num_images.get('train', 0):,}",
        "input": f"{card.input_size_px} x {card.input_size_px}",
        "answers with": ", ".join(card.class_names),
        "training took": describe_seconds(card.training.seconds) if card.training and card.training.seconds else "–",
    }


def _describe_setting(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | dict) else str(value)


# Robustness ----------------------------------------------------------------------------------------------------------


def show_robustness(view: Evaluation) -> None:
    """Shows how the accuracy of up to three runs falls when the same faces get blurred, dark, turned or covered."""
    num_measured = len(choose_measured(view.mask))
    drawn = f"{num_measured:,} of these pictures, drawn by chance" if num_measured == MAX_IMAGES else "these pictures"
    st.write(
        f"The same faces again, each time a little worse: what people's own snapshots are like. Measured on {drawn}; "
        "the first point of each line is the score on them as they are."
    )
    if not view.run.has_model:
        st.info("Only this model's scores came with the app, not its network: it cannot be asked about other pictures.")
        return
    others = [run.name for run in run_folder.list_runs() if run.has_model and run.name != view.run.name]
    names = st.multiselect("Beside it", others, max_selections=MAX_COMPARED - 1, key="robust_others") if others else []
    tables = {}
    for name in (view.run.name, *names):
        run_dir = run_folder.find_run_dir(name)
        table = read_robustness(run_dir, view.dataset, view.mask)
        job = name_job("robustness", view.dataset, name, view.run.name, *view.subset.to_argv())
        if table is None:
            choice = ["--model", name, "--like", view.run.name, *view.subset.to_argv()]
            follow_job(job, ["robustness", *view.dataset.spec.to_argv(), *choice])
            return
        forget_job(job)
        tables[name] = table
    is_depressed = (view.dataset.samples["label"] == emotions.DEPRESSED).to_numpy()
    baseline = find_majority_baseline(is_depressed[choose_measured(view.mask)])
    columns = st.columns(2)
    for number, (name, corruption) in enumerate(CORRUPTIONS.items()):
        curves = {run: table[table["corruption"] == name] for run, table in tables.items()}
        figure = plots_comparison.plot_robustness(
            curves, title=corruption.title, unit=corruption.unit, baseline=baseline
        )
        with columns[number % 2]:
            ui.show_chart(figure, key=f"robustness_{name}")


# Report --------------------------------------------------------------------------------------------------------------


def show_report(view: Evaluation) -> None:
    """Offers what is shown here as one file to hand out, and the model card."""
    st.write(
        "Everything that is shown here about this model and these pictures in **one file** that opens without network "
        "in any browser, and the model card as text. No picture of a face is in them."
    )
    name = f"{view.run.name} on {view.dataset.name}"

    with st.container(horizontal=True):
        st.download_button(
            "Report (HTML)",
            partial(build_report, view),
            f"{name}.html",
            "text/html",
            key="report",
            icon=":material/download:",
            type="primary",
        )
        card = render_model_card(view.run.name, view.run.card.to_json())
        st.download_button(
            "Model card (Markdown)",
            card,
            f"{view.run.name}.md",
            "text/markdown",
            key="evaluate_card",
            icon=":material/download:",
        )
    with st.expander("The model card"):
        st.markdown(card)
