"""Issues: every kind of issue with its count, examples and advice, by limits that can be moved."""

import dataclasses

import numpy as np
import pandas as pd
import streamlit as st

from facedep.app import page, picture_grid, scanning
from facedep.app.explore import findings, tabs
from facedep.audit.face_check import estimate_seconds, read_face_check
from facedep.audit.issues import Issue, IssueLimits
from facedep.data.scan import Scan
from facedep.data.sources import Dataset
from facedep.training.estimate import describe_seconds

NUM_EXAMPLES = 18
_SLIDERS = {  # limit to title, lowest, highest and step
    "min_entropy": ("Blank below, bits of entropy", 0.0, 8.0, 0.1),
    "min_highlights": ("Too dark: brightest parts below", 0.0, 1.0, 0.01),
    "max_shadows": ("Too bright: darkest parts above", 0.0, 1.0, 0.01),
    "min_contrast": ("Low contrast below", 0.0, 1.0, 0.01),
    "min_sharpness": ("Blurred: sharpness below", 0.0, 1.0, 0.01),
}


@st.fragment
def show_issues(dataset: Dataset, scan: Scan) -> None:
    """Shows every kind of issue with its count, examples and advice; sliders judge again without reading a file.

    Args:
        dataset: The data set.
        scan: Its scan.
    """
    _show_limits()
    found = findings.load_issues(dataset, scan)
    st.subheader("Issues found")
    num_unique = len(set(scan.fingerprints[scan.is_readable].tolist()))
    st.markdown(f"**{num_unique:,} different pictures among {len(scan.fingerprints):,} files.**")
    _offer_face_check(dataset, scan)
    issue = _choose_issue(found)
    st.markdown(f"**{issue.title}: {issue.num_images:,}.** {issue.advice}")
    if not issue.num_images:
        st.caption("None found. Select another line above.")
        return
    indices = np.nonzero(issue.mask)[0]
    if issue.sets is not None:
        indices = indices[np.argsort(issue.sets[indices], kind="stable")]
    if issue.name == "damaged":
        paths = dataset.samples["path"].to_numpy()[indices]
        st.dataframe(pd.DataFrame({"file": paths, "what is wrong": scan.errors[indices]}), hide_index=True)
        return
    picked = picture_grid.show_grid(dataset, indices[:NUM_EXAMPLES].tolist(), key="issue_examples")
    if len(indices) > NUM_EXAMPLES:
        st.caption(
            f"{NUM_EXAMPLES} of {len(indices):,}. The tab “{tabs.GALLERY}” shows all of them with the filter “Issue”."
        )
    if picked is not None:
        findings.show_picture(dataset, scan, picked)


def _show_limits() -> None:
    """Shows the sliders, and keeps for this visit where they are."""
    with st.expander("Where a measure becomes an issue", icon=":material/tune:"):
        defaults = dataclasses.asdict(IssueLimits())
        st.session_state.issue_limits = {
            name: st.slider(title, low, high, float(defaults[name]), step, key=f"limit_{name}", persist_state="session")
            for name, (title, low, high, step) in _SLIDERS.items()
        }


def _offer_face_check(dataset: Dataset, scan: Scan) -> None:
    """Offers to look for pictures without a face until that has been done, and shows how far it is."""
    if read_face_check(dataset) is None:
        duration = describe_seconds(estimate_seconds(len(np.unique(scan.fingerprints))))
        with st.container(border=True), page.show_errors(ends_page=False):
            st.markdown(f"Finding **pictures without a face** takes a second look at each, {duration} here.")
            scanning.follow_face_check(dataset, offer="Look for pictures without a face")


def _choose_issue(found: list[Issue]) -> Issue:
    """Shows the table of issues; returns the selected one, at first one that there is."""
    table = pd.DataFrame(
        {
            "issue": [issue.title for issue in found],
            "pictures": [issue.num_images for issue in found],
            "sets": [f"{issue.num_sets:,}" if issue.num_sets else "" for issue in found],
            "go when cleaned": [issue.num_removed for issue in found],
        }
    )
    event = st.dataframe(
        table,
        hide_index=True,
        key="issues",
        on_select="rerun",
        selection_mode="single-row",
        height="content",
        column_config={"sets": st.column_config.TextColumn(help="Groups of pictures that belong together")},
    )
    selected = event["selection"]["rows"]
    first = next((i for i, issue in enumerate(found) if issue.num_images), 0)
    return found[selected[0] if selected else first]
