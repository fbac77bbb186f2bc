"""The list of models on the Train page: all runs, the chosen one's results, and what can be done with it."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from facedep.app import models, page, streamlit_internals
from facedep.app.train.results import show_results
from facedep.data.splits import LEAK_FREE
from facedep.reporting.model_card import render_model_card
from facedep.runs import lifecycle, run_folder
from facedep.runs.bundles import pack_run, unpack_run

_PERCENTAGES = ("right, %", "always one answer, %", "AUC, %")
PENDING_RUN = "pending_run"  # session key: the run that the list of models shows next


def show_models() -> None:
    """Shows all runs as a table; the chosen one below it with everything that can be done with it."""
    ended = [run for run in run_folder.list_runs() if not run.is_active]
    if not ended:
        st.info("No run yet. Train a network above, or load a bundle.")
    else:
        percentages = {name: st.column_config.NumberColumn(format="%.1f") for name in _PERCENTAGES}
        table = pd.DataFrame([describe_row(run) for run in ended])
        st.dataframe(table, hide_index=True, key="runs_table", column_config=percentages)
        names = [run.name for run in ended]
        if st.session_state.get(PENDING_RUN) in names:
            st.session_state.shown_run = st.session_state.pop(PENDING_RUN)
        name = models.choose_run("Look at", names, key="shown_run", default=names[0])
        run = ended[names.index(name)]
        with st.container(border=True):
            show_results(run)
            _show_actions(run)
    _show_loader()


def describe_row(run: run_folder.Run) -> dict[str, Any]:
    """Returns a run's line of the table.

    Args:
        run: The run.
    """
    card, config = run.card, run.config
    scores = card.scores if card else {}
    subset = "test" if "test" in scores else "val"
    tested = scores.get(subset)
    protocol = (card.data.protocol if card else "") or (config.protocol if config else "")
    return {
        "model": run.name,
        "state": run.state,
        "recipe": card.recipe if card else (config.recipe if config else ""),
        "data": config.data_name if config else (card.data.name if card else ""),
        "split": protocol if protocol == LEAK_FREE or subset == "test" else f"{protocol} (no test: val)",
        "right, %": _to_percent(tested.accuracy if tested else math.nan),
        "always one answer, %": _to_percent(tested.majority_baseline.share if tested else math.nan),
        "AUC, %": _to_percent(tested.roc_auc if tested else math.nan),
    }


def _to_percent(share: float) -> float:
    return round(100 * share, 1)


def _show_actions(run: run_folder.Run) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if run.has_model and st.button("Predict with it", type="primary", key="use_run", icon=":material/face:"):
            st.session_state.model = run.name
            st.switch_page("pages/predict.py")
        if run.card is not None and st.button("Evaluate it", key="evaluate_run", icon=":material/fact_check:"):
            st.session_state.evaluated = run.name
            st.switch_page("pages/evaluate.py")
        _show_downloads(run)
        if not run.is_shipped:
            _show_rename(run)
            _show_delete(run)


def _show_downloads(run: run_folder.Run) -> None:
    if run.has_model:
        if st.button("Prepare download", key="pack_run", icon=":material/folder_zip:"):
            st.session_state.packed = (run.name, pack_run(run))
        packed_name, content = st.session_state.get("packed", (None, b""))
        if packed_name == run.name:
            st.download_button("Download bundle", content, f"{run.name}.zip", "application/zip", key="download_run")
    if run.card is not None:
        card = render_model_card(run.name, run.card.to_json())
        st.download_button(
            "Model card", card, f"{run.name} card.md", "text/markdown", key="card", icon=":material/description:"
        )


def _show_rename(run: run_folder.Run) -> None:
    with st.popover("Rename", icon=":material/edit:"), st.form("rename", border=False):
        new_name = st.text_input("New name", run.name, key=f"new_name_{run.name}")
        if st.form_submit_button("Rename"):
            with page.show_errors(ends_page=False):
                if new_name.strip() != run.name:
                    lifecycle.rename_run(run, new_name)
                    st.session_state[PENDING_RUN] = new_name.strip()
                st.rerun()


def _show_delete(run: run_folder.Run) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        st.write(f"Delete **{run.name}** with its model and curves? This cannot be undone.")
        if st.checkbox("Yes, I am sure", key=f"sure_{run.name}") and st.button("Delete it", key="delete_run"):
            with page.show_errors(ends_page=False):
                lifecycle.delete_run(run)
                st.rerun()


def _show_loader() -> None:
    with st.expander("Load a model from a bundle", icon=":material/upload_file:"):
        file = st.file_uploader("A .zip downloaded from this app's list of models", type="zip", key="bundle")
        if file is not None and st.session_state.get("loaded_bundle") != streamlit_internals.identify_upload(file):
            with page.show_errors(ends_page=False), st.spinner("Checking the model …"):
                name = unpack_run(file.getvalue())
                st.session_state.loaded_bundle = streamlit_internals.identify_upload(file)
                st.session_state[PENDING_RUN] = name
                st.toast(f"Loaded as {name}")
                st.rerun()
