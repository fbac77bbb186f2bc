"""Gallery: all pictures, filtered by what they are called and by every measure and issue."""

import numpy as np
import pandas as pd
import streamlit as st

from facedep.app import picture_grid, scanning
from facedep.app.explore import findings, tabs
from facedep.data.scan import Scan
from facedep.data.sources import Dataset


@st.fragment
def show_gallery(dataset: Dataset) -> None:
    """Shows one page of pictures, filtered by what they are called and, once scanned, by every measure and issue.

    Args:
        dataset: The data set.
    """
    columns = st.columns(4, vertical_alignment="bottom")
    mask = np.ones(len(dataset.samples), bool)
    for column, (name, values) in zip(columns, list_filter_options(dataset.samples).items(), strict=False):
        with column:
            mask &= _filter_by_name(dataset.samples, name, values)
    scan = scanning.find_scan(dataset)
    if scan is not None:
        left, middle, right = st.columns([1.2, 1, 1.8], vertical_alignment="bottom")
        with left:
            mask &= _filter_by_issue(dataset, scan)
        measure = middle.selectbox("Measure", [tabs.ANY, *findings.MEASURES], key="filter_measure")
        if measure != tabs.ANY:
            with right:
                mask &= _filter_by_measure(findings.load_quality(dataset, scan)[measure])
    order = findings.shuffle_pictures(len(mask))
    indices = order[mask[order]]
    num_pages = max(1, -(-len(indices) // findings.PAGE_SIZE))
    if st.session_state.get("gallery_page", 1) > num_pages:
        st.session_state.gallery_page = 1
    number = columns[3].number_input(f"Page (of {num_pages:,})", 1, num_pages, key="gallery_page")
    if not len(indices):
        st.info("No picture passes these filters. Set one of them to “all”.")
        return
    st.caption(f"{len(indices):,} pictures. Click one for its details.")
    start = (number - 1) * findings.PAGE_SIZE
    picked = picture_grid.show_grid(dataset, indices[start : start + findings.PAGE_SIZE].tolist(), key="gallery")
    if picked is not None:
        findings.show_picture(dataset, scan, picked)


def list_filter_options(samples: pd.DataFrame) -> dict[str, list[str]]:
    """Returns the values that each filter offers.

    Args:
        samples: The samples table.
    """
    return {name: [tabs.ANY, *sorted(value for value in samples[name].unique() if value)] for name in tabs.FILTERS}


def _filter_by_name(samples: pd.DataFrame, column: str, values: list[str]) -> np.ndarray:
    """Shows the filter of one column; returns which pictures pass it: `bool`, shape `(n,)`."""
    key = tabs.name_filter_key(column)
    if st.session_state.get(key, tabs.ANY) not in values:
        st.session_state[key] = tabs.ANY
    chosen = st.selectbox(
        tabs.FILTERS[column],
        values,
        key=key,
        format_func=lambda value: value.replace("_", "-"),
        persist_state="session",
    )
    return np.ones(len(samples), bool) if chosen == tabs.ANY else (samples[column] == chosen).to_numpy()


def _filter_by_issue(dataset: Dataset, scan: Scan) -> np.ndarray:
    """Shows the filter by issue; returns which pictures pass it: `bool`, shape `(n,)`."""
    found = findings.load_issues(dataset, scan)
    titles = findings.describe_issues(found)
    options = [tabs.ANY, *titles]
    name = st.selectbox("Issue", options, key="filter_issue", format_func=lambda name: titles.get(name, name))
    if name == tabs.ANY:
        return np.ones(len(dataset.samples), bool)
    return next(issue.mask for issue in found if issue.name == name)


def _filter_by_measure(measured: pd.Series) -> np.ndarray:
    """Shows the slider of one measure if it varies; returns which pictures pass it: `bool`, shape `(n,)`."""
    values = measured.to_numpy(dtype=float)
    if np.isfinite(values).any():
        low, high = float(np.floor(np.nanmin(values) * 100) / 100), float(np.ceil(np.nanmax(values) * 100) / 100)
        if low < high:
            name = str(measured.name)
            lowest, highest = st.slider(name.capitalize(), low, high, (low, high), 0.01, key=f"range_{name}")
            return (values >= lowest) & (values <= highest)
    return np.ones(len(values), bool)
