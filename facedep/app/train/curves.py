"""The curves of a training, going on or ended, and whether it learns or memorizes."""

import streamlit as st

from facedep.app import page
from facedep.reporting.plots.training import plot_curve
from facedep.runs import progress

_VERDICT_ICONS = {
    progress.LEARNING: ":material/trending_up:",
    progress.MEMORISING: ":material/history_edu:",
    progress.NOT_LEARNING: ":material/trending_flat:",
    progress.TOO_EARLY: ":material/hourglass_top:",
    progress.UNJUDGED: ":material/done_all:",
}


def show_curves(measured: progress.Progress, *, key: str, is_active: bool) -> None:
    """Shows loss and accuracy so far, the best epoch, and the verdict with its reason.

    Args:
        measured: What is measured so far.
        key: Distinguishes the charts of several runs.
        is_active: Whether the training goes on.
    """
    left, right = st.columns(2)
    with left:
        page.show_chart(plot_curve(measured, "loss"), key=f"{key}_loss")
    with right:
        page.show_chart(plot_curve(measured, "accuracy"), key=f"{key}_accuracy")
    verdict, reason = progress.judge_learning(measured)
    if is_active or verdict != progress.TOO_EARLY:
        st.info(f"**{verdict.capitalize()}.** {reason}", icon=_VERDICT_ICONS[verdict])
    if best := measured.best_epoch:
        kept = (
            "its weights are kept"
            if measured.checkpoint_policy == "best"
            else "this recipe keeps the last epoch, as published"
        )
        so_far = " so far" if is_active else ""
        st.caption(f"Best epoch{so_far} by validation loss: {best['epoch']} ({kept}).")
