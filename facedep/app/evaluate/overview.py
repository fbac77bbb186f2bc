"""Overview: one sentence on how good a run is, its scores with their intervals, what is mistaken for what."""

import numpy as np
import streamlit as st

from facedep.app import page
from facedep.app.evaluate.choice import has_published_labels
from facedep.app.evaluate.scored_pictures import show_cells
from facedep.data.sources import SAMPLE
from facedep.evaluation import game
from facedep.evaluation.evaluation import Evaluation
from facedep.reporting import sentences
from facedep.reporting.plots import errors
from facedep.runs import run_folder


def show_overview(evaluation: Evaluation) -> None:
    """Shows the one sentence, the scores with their intervals, what is mistaken for what; a cell shows its pictures.

    Args:
        evaluation: The run on its pictures.
    """
    scores, dataset, evaluated = evaluation.scores, evaluation.dataset, evaluation.record
    st.markdown(f"### {sentences.describe_accuracy(evaluated)}")
    is_own_data = evaluation.card.data.content_hash == dataset.content_hash
    if text := sentences.describe_seen(evaluated, is_own_data=is_own_data):
        st.warning(text, icon=":material/history:")
    if dataset.source == SAMPLE and evaluation.run.name == run_folder.SHIPPED_RUN:
        st.info(
            "It learned from photographs, and these are drawings: the hardest test there is for it. On photographs of "
            "real faces it does better (see its card, or choose the Kaggle set on Explore).",
            icon=":material/draw:",
        )
    text = sentences.describe_coverage(evaluated.scores)
    if has_published_labels(dataset):
        text = f"{text} {game.PEOPLE_SENTENCE}"
    st.markdown(text)
    with st.container(horizontal=True):
        _show_metric("In the right group", scores["accuracy"], scores["intervals"]["accuracy"])
        _show_metric("Mean of both groups", scores["balanced_accuracy"], scores["intervals"]["balanced_accuracy"])
        _show_metric("ROC AUC", scores["roc_auc"], scores["intervals"]["roc_auc"], is_share=False)
        if not np.isnan(scores["emotion_accuracy"]):
            _show_metric("Right emotion", scores["emotion_accuracy"], scores["emotion_accuracy_interval"])
    left, right = st.columns(2)
    with left:
        show_cells(evaluation, errors.plot_confusion(evaluation.confusion), key="confusion")
    with right:
        figure = errors.plot_emotion_errors(scores["per_emotion"], depressed_emotions=dataset.depressed_emotions)
        page.show_chart(figure, key="emotion_errors")


def _show_metric(title: str, value: float, interval: list[float], *, is_share: bool = True) -> None:
    def write(number: float) -> str:
        if np.isnan(number):
            return "–"
        return f"{number:.1%}" if is_share else f"{number:.3f}"

    explanation = f"Gray: its 95% confidence interval. {sentences.INTERVAL_TEXT}"
    if not is_share:
        explanation += " The score is the chance that of two pictures the right one gets more; 0.5 is guessing."
    st.metric(
        title,
        write(value),
        f"{write(interval[0])} to {write(interval[1])}",
        delta_color="off",
        delta_arrow="off",
        border=True,
        help=explanation,
    )
