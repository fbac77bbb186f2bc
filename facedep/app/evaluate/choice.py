"""The choice above the tabs of Evaluate: which run, on which pictures."""

from dataclasses import replace
from pathlib import Path

import streamlit as st

from facedep import emotions
from facedep.app import models, page
from facedep.app.evaluate.predictions import follow_predictions, forget_predictions_job
from facedep.app.scanning import follow_face_check, follow_scan
from facedep.data import splits
from facedep.data.eval_subset import ALL, EvalSubset
from facedep.data.scan import Scan
from facedep.data.sources import SAMPLE, Dataset
from facedep.evaluation.evaluation import Evaluation, MissingPredictionsError, read_evaluation
from facedep.evaluation.score_cache import find_evaluation_key
from facedep.evaluation.subset_selection import list_available, needs_face_check
from facedep.evaluation.training_spec import find_grouping_mismatch, find_training_dataset
from facedep.inference.prediction_cache import find_in_training_set
from facedep.reporting import sentences
from facedep.runs import run_folder

SUBSETS = {
    EvalSubset(splits.LEAK_FREE, "test"): "Test part, free of leaks",
    EvalSubset(splits.LEAK_FREE, ALL): "All pictures, each once",
    EvalSubset(splits.LEAK_FREE, "val"): "Validation part, free of leaks",
    EvalSubset(splits.SUPPLIED_CLEAN, "test"): "Test part as supplied, copies removed from train",
    EvalSubset(splits.SUPPLIED, "test"): "Test part as supplied",
    EvalSubset(splits.SUPPLIED, "val"): "Validation part as supplied",
    EvalSubset(splits.PUBLISHED, "val"): "Validation part as published",
}


def choose_evaluation(dataset: Dataset, scan: Scan) -> Evaluation | None:
    """Lets the visitor choose a run and a subset; returns them scored, or None until a background process has done so.

    Args:
        dataset: The data set.
        scan: Its scan.
    """
    runs = {run.name: run for run in run_folder.list_runs() if run.card is not None}
    if not runs:
        st.info("There is no model here yet. Train one, then see how good it is.")
        return None
    left, middle, right = st.columns([1.2, 1.1, 0.9], vertical_alignment="bottom")
    with left:
        run = runs[models.choose_run("Model", list(runs), key="evaluated", default=next(iter(runs)))]
    found = _follow_options(run, dataset, scan)
    if found is None:
        return None
    options, share_in_training_set = found
    if not options:
        st.info("None of these pictures can be read, so no model can be judged on them. Choose others on Explore.")
        return None
    with middle:
        first = _choose_first(dataset, run, options, has_training_images=share_in_training_set > 0)
        subset = st.selectbox(
            "Pictures",
            options,
            options.index(first),
            format_func=_describe_subset,
            key=f"subset_{run.name}_{dataset.name}",
        )
    with right:
        excludes_training_images = st.toggle(
            "Only pictures it never saw",
            share_in_training_set > 0.5,  # else the first number that is seen would be memory
            key=f"unseen_{run.name}_{dataset.name}",
            disabled=not share_in_training_set,
            persist_state="session",
            help="Skips exact copies of what it was trained on. Near copies may remain.",
        )
    if text := sentences.describe_grouping_mismatch(find_grouping_mismatch(run.path, dataset), run.name):
        st.warning(text, icon=":material/tune:")
    subset = replace(subset, excludes_training_images=excludes_training_images and share_in_training_set > 0)
    with page.show_errors():
        return _follow_evaluation(run, dataset, scan, subset)


def has_published_labels(dataset: Dataset) -> bool:
    """Returns whether labels are people's, in the article's groups: only of these it is known what they are worth.

    Args:
        dataset: The data set.
    """
    return dataset.source != SAMPLE and set(dataset.depressed_emotions) == set(emotions.DEPRESSED_EMOTIONS)


def _follow_options(run: run_folder.Run, dataset: Dataset, scan: Scan) -> tuple[list[EvalSubset], float] | None:
    """Returns what `_list_options` does, or None until a background process has found what the run's split needs."""
    if follow_scan(find_training_dataset(run.path, dataset)) is None:
        return None
    with page.show_errors():
        if needs_face_check(run.path, dataset) and not follow_face_check(dataset):
            st.caption(
                f"Pictures without a face were dropped before {run.name} was trained, so its split needs to know them."
            )
            return None
        return _list_options(find_evaluation_key(run.path, dataset), run.path, dataset, scan)


@st.cache_resource(max_entries=16, show_spinner=False)
def _list_options(key: str, _run_dir: Path, _dataset: Dataset, _scan: Scan) -> tuple[list[EvalSubset], float]:
    """Returns the subsets that a data set has for a run, and the share of all pictures that it was trained on."""
    share_in_training_set = float(find_in_training_set(_run_dir, _scan.fingerprints).mean())
    return list_available(_run_dir, _dataset, _scan, SUBSETS), share_in_training_set


def _describe_subset(subset: EvalSubset) -> str:
    return SUBSETS[subset]


def _choose_first(
    dataset: Dataset, run: run_folder.Run, options: list[EvalSubset], *, has_training_images: bool
) -> EvalSubset:
    """Returns the subset that is shown first: the run's own test part if it was trained on these pictures."""
    if run.card and run.card.data.content_hash == dataset.content_hash:
        for subset in options:
            if (subset.protocol, subset.subset) == (run.card.data.protocol, "test"):
                return subset
    first = EvalSubset(splits.LEAK_FREE, "test" if has_training_images else ALL)
    return first if first in options else options[0]


def _follow_evaluation(run: run_folder.Run, dataset: Dataset, scan: Scan, subset: EvalSubset) -> Evaluation | None:
    """Returns a run's evaluation, or shows how far the background process is that computes its predictions."""
    key = find_evaluation_key(run.path, dataset, subset)
    try:
        evaluation = _load_evaluation(key, run.path, dataset, subset)
    except MissingPredictionsError as missing:
        follow_predictions(run, dataset, scan, missing.mask, like=run.name, subset=subset)
        return None
    forget_predictions_job(run, dataset, run.name, subset)
    return evaluation


@st.cache_resource(max_entries=6, show_spinner=False)
def _load_evaluation(key: str, _run_dir: Path, _dataset: Dataset, _subset: EvalSubset) -> Evaluation:
    """Returns an evaluation, kept by what it depends on: a click neither splits nor measures again."""
    return read_evaluation(_run_dir, _dataset, _subset)
