"""Overview: how many pictures, how they are balanced, how emotions become the two groups."""

import pandas as pd
import streamlit as st

from facedep import emotions
from facedep.app import page, picture_grid, scanning, visit
from facedep.app.explore import findings, tabs
from facedep.data.sources import Dataset
from facedep.networks.majority_baseline import find_majority_baseline
from facedep.reporting.plots import data, theme

NUM_FIRST = 9  # one row at 1280 pixels


def show_overview(dataset: Dataset) -> None:
    """Shows counts, balance and how emotions become the two groups; the grouping can be changed.

    Args:
        dataset: The data set.
    """
    samples = dataset.samples
    is_depressed = samples["label"] == emotions.DEPRESSED
    with st.container(horizontal=True):
        st.metric("Pictures", f"{len(samples):,}", border=True)
        st.metric("Called depressed", f"{is_depressed.mean():.0%}", border=True)
        baseline = find_majority_baseline(is_depressed.to_numpy())
        st.metric(f"“Always {baseline.label}” is right", f"{baseline.share:.0%}", border=True)
        st.metric("Emotions", samples.loc[samples["emotion"] != "", "emotion"].nunique(), border=True)
    first = findings.shuffle_pictures(len(samples))[:NUM_FIRST]
    picked = picture_grid.show_grid(dataset, first.tolist(), key="first_pictures")
    if picked is not None:
        findings.show_picture(dataset, scanning.find_scan(dataset), picked)
    _show_grouping(dataset)
    left, right = st.columns(2)
    with left:
        _show_bars(data.plot_emotions(samples), "emotion", samples, key="emotions")
    with right:
        _show_bars(data.plot_balance(samples), "subset", samples, key="balance")
    if (samples["emotion"] != "").any():
        page.show_chart(data.plot_flow(samples), key="flow")
    share_neutral = (is_depressed & (samples["emotion"] == "neutral")).sum() / max(1, is_depressed.sum())
    names = " and ".join(sorted(dataset.depressed_emotions))
    note = f" {share_neutral:.0%} of the “depressed” pictures here are neutral faces." if share_neutral else ""
    st.markdown(
        f"**{names.capitalize()}** faces are called *depressed*, all others *non-depressed*.{note} "
        "Nobody in them is known to live with depression: the label is a renamed folder."
    )


def _show_grouping(dataset: Dataset) -> None:
    """Lets the visitor say which emotions count as *depressed*; the whole app follows."""
    present = [emotion for emotion in emotions.EMOTIONS if (dataset.samples["emotion"] == emotion).any()]
    if len(present) < 2:
        return
    with st.expander("Change what is called *depressed*", icon=":material/tune:"):
        chosen = st.pills(
            "Emotions that count as depressed",
            present,
            default=[emotion for emotion in present if emotion in dataset.depressed_emotions],
            selection_mode="multi",
            key="grouping",
        )
        st.caption("The article takes sad and neutral. Another choice changes every number here and what is trained.")
        if not 0 < len(chosen) < len(present):
            st.warning("Choose at least one emotion, and leave at least one for the other group.")
        elif set(chosen) != set(dataset.depressed_emotions) & set(present):
            visit.choose_depressed_emotions(tuple(chosen))
            st.rerun()


def _show_bars(figure: theme.Figure, column: str, samples: pd.DataFrame, *, key: str) -> None:
    """Shows bars; a click on one opens its pictures in the gallery."""

    def open_gallery() -> None:
        points = st.session_state[key]["selection"]["points"]
        if not points:
            return
        shown = points[0]["y"] if column == "emotion" else points[0]["x"]
        names = {title: name for name, title in data.SUBSET_NAMES.items()} if column == "subset" else {}
        name = names.get(shown, shown)
        for other in tabs.FILTERS:
            st.session_state[tabs.name_filter_key(other)] = tabs.ANY
        if name in set(samples[column]):
            st.session_state[tabs.name_filter_key(column)] = name
        st.session_state[tabs.TAB_KEY] = tabs.GALLERY

    st.plotly_chart(figure, key=key, config=page.CHART_CONFIG, on_select=open_gallery, selection_mode="points")
