"""Curves: ROC, precision and recall, calibration, how scores are spread, which emotions are confused."""

import streamlit as st

from facedep.app import page
from facedep.app.evaluate.scored_pictures import show_cells
from facedep.evaluation.evaluation import Evaluation
from facedep.reporting.plots import errors, scores


def show_curves(evaluation: Evaluation) -> None:
    """Shows ROC and precision-recall curves, calibration, how scores are spread, and which emotions are confused.

    Args:
        evaluation: The run on its pictures.
    """
    if not evaluation.has_both_groups:
        st.info("All of these pictures have the same label, and curves need both groups. Choose others.")
        return
    name = evaluation.run.name
    is_depressed, probabilities = evaluation.is_depressed, evaluation.predictions.probabilities
    left, right = st.columns(2)
    with left:
        figure = scores.plot_roc(
            {name: evaluation.roc_curve}, {name: evaluation.scores["roc_auc"]}, point=evaluation.roc_point
        )
        page.show_chart(figure, key="roc")
        page.show_chart(scores.plot_reliability(evaluation.reliability, evaluation.scores["ece"]), key="reliability")
    with right:
        figure = scores.plot_precision_recall(
            {name: evaluation.precision_recall_curve},
            {name: evaluation.average_precision},
            share_depressed=float(is_depressed.mean()),
            point=evaluation.precision_recall_point,
        )
        page.show_chart(figure, key="precision_recall")
        figure = scores.plot_scores(is_depressed, probabilities, evaluation.threshold, evaluation.band)
        page.show_chart(figure, key="scores")
    if evaluation.emotion_confusion is not None:
        matrix, names = evaluation.emotion_confusion
        grouping = evaluation.dataset.depressed_emotions
        figure = errors.plot_emotion_confusion(matrix, names, depressed_emotions=grouping)
        show_cells(evaluation, figure, key="emotion_confusion")
