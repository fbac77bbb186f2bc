"""Export: the cleaned list and all flags as tables, the regrouped folders, the cleaned data for a training."""

from pathlib import Path

import streamlit as st

from facedep.app import page
from facedep.app.explore import findings
from facedep.audit import cleaning, issues
from facedep.data.export import export_dataset
from facedep.data.scan import Scan
from facedep.data.sources import Dataset
from facedep.reporting.tables import encode_csv

_DEFAULT_CLEANING = ("blank", "exact_duplicate", "two_groups")


def show_export(dataset: Dataset, scan: Scan) -> None:
    """Offers the cleaned list, the flags and the regrouped folders, and hands the cleaned data to the Train page.

    Args:
        dataset: The data set.
        scan: Its scan.
    """
    found = findings.load_issues(dataset, scan)
    titles = findings.describe_issues(found)
    names = st.pills(
        "Clean away",
        list(titles),
        default=[name for name in _DEFAULT_CLEANING if name in titles],
        format_func=lambda name: titles[name],
        selection_mode="multi",
        key="cleaning_choice",
    )
    mask = cleaning.choose_clean(dataset.samples, found, names)
    st.markdown(f"**{mask.sum():,} of {len(mask):,} pictures stay.** No file is touched.")
    is_anything_left = bool((mask & scan.is_readable).any())
    if not is_anything_left:
        st.info("Nothing is left to train on. Clean less away, or choose other pictures above.")
    table = issues.build_flags_table(dataset.samples, findings.load_quality(dataset, scan), found)
    with st.container(horizontal=True):
        st.download_button(
            "Cleaned list (CSV)",
            lambda: encode_csv(dataset.samples[mask]),
            "cleaned.csv",
            "text/csv",
            icon=":material/download:",
            key="download_clean",
            on_click="ignore",
        )
        st.download_button(
            "All measures and flags (CSV)",
            lambda: encode_csv(table),
            "flags.csv",
            "text/csv",
            icon=":material/download:",
            key="download_flags",
            on_click="ignore",
        )
        is_off = not names or not is_anything_left
        if st.button("Train on the cleaned data", type="primary", icon=":material/arrow_forward:", disabled=is_off):
            st.session_state.cleaning = tuple(names)
            st.switch_page("pages/train.py")
    _show_folder_export(dataset)


def _show_folder_export(dataset: Dataset) -> None:
    """Writes the regrouped folders as the article makes them."""
    with st.expander("Write the regrouped folders", icon=":material/folder_open:", key="export_box"):
        st.write(
            "Two folders, *depressed* and *non_depressed*, with files named `split_emotion_name`, as in the article."
        )
        with st.form("export", border=False):
            typed = st.text_input("Full path of a new folder", placeholder="/home/me/regrouped", key="export_dir")
            is_sent = st.form_submit_button("Write the folders")
        if is_sent and typed.strip():
            _export(dataset, Path(typed.strip()).expanduser())


def _export(dataset: Dataset, folder: Path) -> None:
    if not folder.is_absolute():
        st.error(f"“{folder}” is not a full path. Give one from the top, like /home/me/regrouped.")
        return
    with page.show_errors(ends_page=False), st.spinner("Writing …"):
        counts = export_dataset(dataset, folder)
        st.success(
            f"Written to {folder}: {counts['depressed']:,} depressed, {counts['non_depressed']:,} non-depressed."
        )
