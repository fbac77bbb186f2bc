"""Compare: up to three runs on the same pictures, whether their difference is chance, and what differs in them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from facedep.app import page
from facedep.app.evaluate.predictions import follow_predictions
from facedep.app.evaluate.robustness import MAX_COMPARED
from facedep.data.sources import Dataset
from facedep.errors import FacedepError
from facedep.evaluation.curves import compute_roc_curve
from facedep.evaluation.evaluation import Evaluation
from facedep.evaluation.intervals import compute_wilson_interval
from facedep.evaluation.metrics import compute_roc_auc
from facedep.evaluation.paired_comparison import compare_predictions
from facedep.evaluation.slices import MIN_IMAGES
from facedep.inference.prediction_cache import DatasetPredictions, find_in_training_set, read_predictions
from facedep.networks.decision_threshold import read_threshold
from facedep.networks.majority_baseline import find_majority_baseline
from facedep.networks.predictions import Predictions
from facedep.reporting import sentences
from facedep.reporting.plots import comparison, scores, training
from facedep.runs import progress, run_folder
from facedep.training.estimate import describe_seconds

_SETTINGS = {  # field of a run's settings to what it is called
    "protocol": "split",
    "seed": "seed",
    "num_epochs": "epochs",
    "num_progressive_resizing_epochs": "of these with small pictures",
    "batch_size": "pictures in a step",
    "learning_rate": "learning rate",
    "ema_momentum": "averaging of weights",
    "depressed_emotions": "counted as depressed",
    "drop_issues": "issues dropped",
    "issue_limits": "issue limits",
    "teacher": "labels mixed with predictions of",
    "refit_of": "refit, on train and val, of",
}


def show_comparison(evaluation: Evaluation) -> None:
    """Compares up to three runs on the same pictures: scores, whether the difference is chance, curves, settings.

    Args:
        evaluation: The run on its pictures.
    """
    chosen = _choose_others(evaluation)
    if not chosen:
        return
    predictions = _follow_all_predictions(evaluation, chosen)
    if predictions is None:
        return
    runs = [run for run in (evaluation.run, *chosen) if run.name in predictions]
    mask = _exclude_training_images(evaluation, runs)
    if mask is None:
        return
    is_depressed = evaluation.is_depressed[mask[evaluation.mask]]
    selected = {name: some.select(mask) for name, some in predictions.items()}
    thresholds = {run.name: read_threshold(run.path, run.card) for run in runs if run.card is not None}
    is_right = {name: is_depressed == (some.probabilities >= thresholds[name]) for name, some in selected.items()}
    for run in runs[1:]:  # the first one is the chosen run itself
        compared = compare_predictions(is_right[evaluation.run.name], is_right[run.name])
        st.markdown(sentences.describe_comparison(compared, evaluation.run.name, run.name))
    _show_compared_scores(is_depressed, selected, is_right)
    _show_compared_settings(runs)


def _choose_others(evaluation: Evaluation) -> list[run_folder.Run]:
    """Lets the visitor choose the runs to compare with; says why if there is none."""
    others = [run for run in run_folder.list_runs() if run.card is not None and run.name != evaluation.run.name]
    only_elsewhere = [run.name for run in others if not _can_predict(run, evaluation.dataset)]
    if only_elsewhere:
        st.caption(
            f"{' and '.join(only_elsewhere)}: only the scores on other pictures are here, without the network, so that "
            "they cannot be compared on these."
        )
    names = [run.name for run in others if run.name not in only_elsewhere]
    if not names:
        st.info("There is no other model here that can predict these pictures. Train one, then compare them here.")
        return []
    chosen = st.multiselect(
        f"Compare {evaluation.run.name} with",
        names,
        names[: MAX_COMPARED - 1],
        max_selections=MAX_COMPARED - 1,
        key="compared",
    )
    if not chosen:
        st.info("Choose at least one run to compare with.")
    return [run for run in others if run.name in chosen]


def _can_predict(run: run_folder.Run, dataset: Dataset) -> bool:
    """Returns whether a run has its network here, or at least its predictions for this data set."""
    try:
        return run.has_model or read_predictions(run.path, dataset) is not None
    except FacedepError:
        return False


def _follow_all_predictions(
    evaluation: Evaluation, others: list[run_folder.Run]
) -> dict[str, DatasetPredictions] | None:
    """Returns the predictions of all runs by name, or None until a background process has computed them.

    A run that cannot be compared here is not among them, and the page says why.
    """
    name, found = evaluation.run.name, {}
    for run in (evaluation.run, *others):
        try:
            predictions = follow_predictions(
                run, evaluation.dataset, evaluation.scan, evaluation.mask, like=name, subset=evaluation.subset
            )
        except FacedepError as error:
            st.warning(f"**{run.name}** cannot be compared here. {error}", icon=":material/block:")
            continue
        if predictions is None:
            return None
        found[run.name] = predictions
    return found


def _exclude_training_images(evaluation: Evaluation, runs: list[run_folder.Run]) -> np.ndarray | None:
    """Returns the pictures that none of the runs has learned from, `bool`, shape `(N,)`; None if few are left."""
    mask = evaluation.mask.copy()
    for run in runs:
        mask &= ~find_in_training_set(run.path, evaluation.scan.fingerprints)
    num_left, num_all = int(mask.sum()), int(evaluation.mask.sum())
    if num_left < MIN_IMAGES:
        st.info(
            f"Of these {num_all:,} pictures only {num_left} were learned from by none of these models: too few to "
            "compare them. Choose other pictures above."
        )
        return None
    if num_left < num_all:
        st.caption(f"Compared on the {num_left:,} of {num_all:,} pictures that none of them has learned from.")
    return mask


def _show_compared_scores(
    is_depressed: np.ndarray, predictions: Mapping[str, Predictions], is_right: Mapping[str, np.ndarray]
) -> None:
    accuracies = [
        (name, float(right.mean()), *compute_wilson_interval(int(right.sum()), len(right)))
        for name, right in is_right.items()
    ]
    probabilities = {name: some.probabilities for name, some in predictions.items()}
    left, right = st.columns(2)
    with left:
        figure = comparison.plot_accuracies(accuracies, find_majority_baseline(is_depressed))
        page.show_chart(figure, key="compared_scores")
    with right:
        curves = {name: compute_roc_curve(is_depressed, some) for name, some in probabilities.items()}
        areas = {name: compute_roc_auc(is_depressed, some) for name, some in probabilities.items()}
        page.show_chart(scores.plot_roc(curves, areas), key="compared_roc")


def _show_compared_settings(runs: list[run_folder.Run]) -> None:
    """Shows how the runs learned, and only those settings in which they differ."""
    epochs = {run.name: progress.read_progress(run.path).epochs for run in runs}
    curves: dict[str, Sequence[dict[str, Any]]] = {name: some for name, some in epochs.items() if some}
    if curves:
        page.show_chart(training.plot_learning(curves), key="compared_learning")
    settings = pd.DataFrame({run.name: _list_settings(run) for run in runs}).fillna("–")
    is_different = settings.nunique(axis=1) > 1
    st.markdown("**Settings that differ**")
    if is_different.any():
        st.table(settings[is_different])
    elif len(runs) > 1:
        st.caption("None: the runs differ in chance only.")


def _list_settings(run: run_folder.Run) -> dict[str, str]:
    settings, card = {}, run.card
    if run.config:
        settings = {title: _describe_setting(getattr(run.config, name)) for name, title in _SETTINGS.items()}
    if card is None:
        return settings
    seconds = card.training.seconds if card.training else 0
    return {
        **settings,
        "recipe": card.recipe,
        "data": card.data.name or "–",
        "train pictures": f"{card.data.num_images.get('train', 0):,}",
        "input": f"{card.input_size_px} x {card.input_size_px}",
        "classes": ", ".join(card.class_names),
        "training took": describe_seconds(seconds) if seconds else "–",
    }


def _describe_setting(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | dict) else str(value)
