"""Evaluate: the visitor sees how good a model is on pictures it never saw, where it fails, and what flatters it."""

import streamlit as st

from facedep.app import page, scanning, visit
from facedep.app.evaluate import (
    choice,
    comparison,
    curves,
    game,
    mistakes,
    overview,
    protocols,
    report,
    robustness,
    tabs,
    threshold,
)

page.start_page("How good is it, and for whom?")
dataset = visit.load_current_dataset()
if dataset.samples.empty:
    st.info("No picture here has a label to be right about. Say on Explore what these folders hold, or choose others.")
    st.page_link("pages/explore.py", label="Open Explore", icon=":material/grid_view:")
    st.stop()
with st.container(horizontal=True, vertical_alignment="center"):
    st.markdown(f"Judged on **{visit.describe_source()}**.", width="content")
    st.page_link("pages/explore.py", label="Choose other pictures", icon=":material/grid_view:")
scan = scanning.follow_scan(dataset)
if scan is None:
    st.stop()
evaluation = choice.choose_evaluation(dataset, scan)
if evaluation is None:
    st.stop()

SHOW = {
    tabs.OVERVIEW: overview.show_overview,
    tabs.CURVES: curves.show_curves,
    tabs.THRESHOLD: threshold.show_threshold,
    tabs.MISTAKES: mistakes.show_mistakes,
    tabs.PROTOCOLS: protocols.show_protocol_comparison,
    tabs.ROBUSTNESS: robustness.show_robustness,
    tabs.COMPARE: comparison.show_comparison,
    tabs.GAME: game.show_game,
    tabs.REPORT: report.show_report,
}
with page.open_tab(tabs.ALL_TABS, key=tabs.TAB_KEY) as opened:
    SHOW[opened](evaluation)
