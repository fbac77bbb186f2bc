"""Scored pictures as several tabs of Evaluate show them: a grid with predictions, and charts that can be clicked."""

import numpy as np
import streamlit as st

from facedep.app import page, picture_grid, pictures
from facedep.evaluation.evaluation import Evaluation
from facedep.reporting.plots.theme import Figure

NUM_PICTURES = 18
_CELLS = {  # of the confusion matrix: in words, the label, the prediction
    "true_depressed": ("labelled depressed, called depressed", True, True),
    "missed": ("labelled depressed, called non-depressed", True, False),
    "false_alarm": ("labelled non-depressed, called depressed", False, True),
    "true_non_depressed": ("labelled non-depressed, called non-depressed", False, False),
}


def show_pictures(evaluation: Evaluation, indices: np.ndarray, text: str, *, key: str) -> None:
    """Shows some of the scored pictures with P(depressed) beneath; a click opens one.

    Args:
        evaluation: The run on its pictures.
        indices: `int` array: which of the n scored pictures.
        text: What they are.
        key: The grid's key.
    """
    st.markdown(f"**{len(indices):,} pictures: {text}**")
    shown = indices[:NUM_PICTURES]
    names = pictures.describe_labels(evaluation.samples.iloc[shown])
    probabilities = evaluation.predictions.probabilities[shown]
    captions = [f"{name} · {probability:.0%}" for name, probability in zip(names, probabilities, strict=True)]
    picked = picture_grid.show_grid(evaluation.dataset, evaluation.indices[shown].tolist(), key=key, captions=captions)
    first = f"; the first {NUM_PICTURES}" if len(indices) > len(shown) else ""
    st.caption(f"The label, and P(“depressed”){first}.")
    if picked is not None:
        picture_grid.show_details(evaluation.dataset, evaluation.scan, picked)


def show_cells(evaluation: Evaluation, figure: Figure, *, key: str) -> None:
    """Shows a confusion matrix, and the pictures of the cell that was clicked.

    Args:
        evaluation: The run on its pictures.
        figure: From `plot_confusion` or `plot_emotion_confusion`.
        key: The chart's key.
    """
    cell = show_selectable(figure, key=key)
    if cell is None:
        st.caption("Click a field to see its pictures.")
        return
    if cell in _CELLS:
        text, is_depressed, is_called_depressed = _CELLS[cell]
        called = evaluation.predictions.probabilities >= evaluation.threshold
        mask = (evaluation.is_depressed == is_depressed) & (called == is_called_depressed)
    else:
        true, predicted = cell.split("|")
        text = f"{true}, called {predicted}"
        likeliest = evaluation.predictions.likeliest_emotions
        mask = (evaluation.samples["emotion"] == true).to_numpy() & (likeliest == predicted)
    show_pictures(evaluation, np.nonzero(mask)[0], text, key=f"{key}_pictures")


def show_selectable(figure: Figure, *, key: str) -> str | None:
    """Shows a chart whose points can be clicked; returns what belongs to the clicked one, or None.

    Args:
        figure: A figure with `customdata`.
        key: The chart's key.
    """
    event = st.plotly_chart(figure, key=key, config=page.CHART_CONFIG, on_select="rerun", selection_mode="points")
    points = event["selection"]["points"]
    if not points:
        return None
    data = points[0]["customdata"]
    return str(data[0] if isinstance(data, list) else data)
