"""Protocols: one run's score on differently chosen pictures, beside a table that has learned nothing."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from facedep.app import page
from facedep.app.evaluate.predictions import follow_predictions
from facedep.data.sources import Dataset
from facedep.errors import FacedepError
from facedep.evaluation.evaluation import Evaluation
from facedep.evaluation.protocol_comparison import ProtocolScore, compare_protocols
from facedep.evaluation.score_cache import find_evaluation_key
from facedep.evaluation.subset_selection import select_pictures
from facedep.inference.prediction_cache import read_predictions
from facedep.reporting import sentences
from facedep.reporting.plots import comparison


def show_protocol_comparison(evaluation: Evaluation) -> None:
    """Shows one run's score on differently chosen pictures, beside a table that learned nothing, and the inversion.

    Args:
        evaluation: The run on its pictures.
    """
    st.write(sentences.LOOKUP_TEXT)
    try:
        scores = _load_protocol_scores(evaluation)
    except FacedepError as error:
        st.info(str(error))
        return
    run, dataset, scan = evaluation.run, evaluation.dataset, evaluation.scan
    missing = next((score for score in scores if np.isnan(score.accuracy)), None)
    if missing is not None:
        mask = select_pictures(run.path, dataset, scan, missing.subset).mask
        if follow_predictions(run, dataset, scan, mask, like=run.name, subset=missing.subset) is None:
            return
    page.show_chart(comparison.plot_protocol_comparison([vars(score) for score in scores]), key="protocols")
    st.dataframe(_build_table(scores), hide_index=True, key="protocols_table")
    st.markdown(sentences.INVERSION_TEXT)
    page.show_chart(comparison.plot_inversion(evaluation.confusion), key="inversion")


def _load_protocol_scores(evaluation: Evaluation) -> list[ProtocolScore]:
    """Returns the scores, kept until another input or more predictions are there."""
    predictions = read_predictions(evaluation.run.path, evaluation.dataset)
    num_predicted = int(predictions.is_predicted.sum()) if predictions else 0
    key = find_evaluation_key(evaluation.run.path, evaluation.dataset)
    return _compare_protocols(key, num_predicted, evaluation.run.path, evaluation.dataset)


@st.cache_resource(max_entries=4, show_spinner=False)
def _compare_protocols(key: str, num_predicted: int, _run_dir: Path, _dataset: Dataset) -> list[ProtocolScore]:
    return compare_protocols(_run_dir, _dataset)


def _build_table(scores: list[ProtocolScore]) -> pd.DataFrame:
    baselines = [score.majority_baseline for score in scores]
    return pd.DataFrame(
        {
            "Scored on": [score.what for score in scores],
            "Pictures": [score.num_images for score in scores],
            "Right": [f"{score.accuracy:.1%}" for score in scores],
            "Table": ["–" if np.isnan(score.lookup_accuracy) else f"{score.lookup_accuracy:.1%}" for score in scores],
            "Larger group": [f"{baseline.share:.1%} ({baseline.label})" for baseline in baselines],
            "Copies in train": [score.num_in_train for score in scores],
            "Learned from": [score.num_in_training_set for score in scores],
        }
    )
