"""Robustness: how the accuracy falls when the same faces get blurred, dark, turned or covered."""

import pandas as pd
import streamlit as st

from facedep.app import page
from facedep.app.background_jobs import follow_job, forget_job, name_job
from facedep.evaluation.evaluation import Evaluation
from facedep.evaluation.robustness import CORRUPTIONS, MAX_IMAGES, choose_measured, read_robustness
from facedep.evaluation.scores import find_depressed
from facedep.networks.majority_baseline import find_majority_baseline
from facedep.reporting.plots import comparison
from facedep.runs import run_folder

MAX_COMPARED = 3


def show_robustness(evaluation: Evaluation) -> None:
    """Shows how the accuracy of up to three runs falls when the same faces get blurred, dark, turned or covered.

    Args:
        evaluation: The run on its pictures.
    """
    measured = choose_measured(evaluation.mask)
    num_measured = len(measured)
    drawn = f"{num_measured:,} of these pictures, drawn by chance" if num_measured == MAX_IMAGES else "these pictures"
    st.write(
        f"The same faces again, each time a little worse: what people's own snapshots are like. Measured on {drawn}; "
        "the first point of each line is the score on them as they are."
    )
    if not evaluation.run.has_model:
        st.info("Only this model's scores came with the app, not its network: it cannot predict other pictures.")
        return
    name = evaluation.run.name
    others = [run.name for run in run_folder.list_runs() if run.has_model and run.name != name]
    chosen = st.multiselect("Beside it", others, max_selections=MAX_COMPARED - 1, key="robust_others") if others else []
    tables = {}
    for other in (name, *chosen):
        table = _follow_robustness(evaluation, other)
        if table is None:
            return
        tables[other] = table
    baseline = find_majority_baseline(find_depressed(evaluation.dataset.samples.iloc[measured]))
    columns = st.columns(2)
    for number, (kind, corruption) in enumerate(CORRUPTIONS.items()):
        curves = {run: table[table["corruption"] == kind] for run, table in tables.items()}
        figure = comparison.plot_robustness(curves, title=corruption.title, unit=corruption.unit, baseline=baseline)
        with columns[number % 2]:
            page.show_chart(figure, key=f"robustness_{kind}")


def _follow_robustness(evaluation: Evaluation, name: str) -> pd.DataFrame | None:
    """Returns a run's accuracies, or shows how far the background process is that measures them and returns None."""
    dataset, subset, like = evaluation.dataset, evaluation.subset, evaluation.run.name
    table = read_robustness(run_folder.find_run_dir(name), dataset, evaluation.mask)
    job = name_job("robustness", dataset, name, like, *subset.to_argv())
    if table is not None:
        forget_job(job)
        return table
    follow_job(job, ["robustness", *dataset.spec.to_argv(), "--model", name, "--like", like, *subset.to_argv()])
    return None
