"""Label issues: the pictures whose label a trained model finds least likely."""

import streamlit as st

from facedep.app import picture_grid
from facedep.app.explore import findings
from facedep.data.scan import Scan
from facedep.data.sources import Dataset
from facedep.evaluation.label_issues import find_label_issues
from facedep.inference.prediction_cache import find_in_training_set, read_predictions
from facedep.runs import run_folder

_NUM_SHOWN = 27
_MANY_SHARE = 0.4  # of all labels: so many issues are the model's rather than the data set's


def show_label_issues(dataset: Dataset, scan: Scan, model: str) -> None:
    """Shows the pictures whose label a trained model finds least likely, beside what it thinks they show.

    Args:
        dataset: The data set.
        scan: Its scan.
        model: The model's name; its predictions are there, see `findings.follow_embedding`.
    """
    run_dir = run_folder.find_run_dir(model)
    predictions = read_predictions(run_dir, dataset)
    if predictions is None:
        return
    in_training_set = find_in_training_set(run_dir, scan.fingerprints)
    found = find_label_issues(predictions, dataset.samples, in_training_set=in_training_set)
    indices = found.ranking
    st.markdown(
        f"**{len(indices):,} labels look doubtful to {model}.** The least likely ones come first. This is a hint, not "
        "a verdict: the model is often wrong itself, and people agree with such labels about two times in three."
    )
    if len(indices) > _MANY_SHARE * len(dataset.samples):
        st.info("So many doubts say more about the model than about the labels: it knows other faces than these.")
    if in_training_set.any():
        st.caption(f"It was trained on {in_training_set.sum():,} of these pictures, and is too sure of those.")
    captions = [
        f"{found.class_names[found.given[i]]} → {found.class_names[found.suggested[i]]}, "
        f"{found.self_confidence[i]:.0%}".replace("_", "-")
        for i in indices[:_NUM_SHOWN]
    ]
    picked = picture_grid.show_grid(dataset, indices[:_NUM_SHOWN].tolist(), key="label_issues", captions=captions)
    st.caption("Label → what the model thinks, and how likely it finds the label.")
    if picked is not None:
        findings.show_picture(dataset, scan, picked)
