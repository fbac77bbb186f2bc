"""Evaluate: the visitor sees how good a model is on pictures it never saw, where it fails, and what flatters it."""

import streamlit as st

from facedep.app import compare, evaluate, game, scanning, ui
from facedep.app.evaluate import COMPARE, CURVES, FAILS, FLATTERY, GAME, REPORT, ROBUSTNESS, SENTENCE, THRESHOLD

ui.start_page("How good is it, and for whom?")
dataset = ui.load_current_dataset()
if dataset.samples.empty:
    st.info("No picture here has a label to be right about. Say on Explore what these folders hold, or choose others.")
    st.page_link("pages/explore.py", label="Open Explore", icon=":material/grid_view:")
    st.stop()
with st.container(horizontal=True, vertical_alignment="center"):
    st.markdown(f"Asked about **{ui.describe_source()}**.", width="content")
    st.page_link("pages/explore.py", label="Choose other pictures", icon=":material/grid_view:")
scan = scanning.follow_scan(dataset)
if scan is None:
    st.stop()
view = evaluate.choose_view(dataset, scan)
if view is None:
    st.stop()

parts = {
    SENTENCE: evaluate.show_sentence,
    CURVES: evaluate.show_curves,
    THRESHOLD: evaluate.show_threshold,
    FAILS: evaluate.show_failures,
    FLATTERY: compare.show_protocol_comparison,
    ROBUSTNESS: compare.show_robustness,
    COMPARE: compare.show_comparison,
    GAME: game.show_game,
    REPORT: compare.show_report,
}
tabs = dict(zip(parts, st.tabs(list(parts), key="evaluate_view", on_change="rerun"), strict=True))
opened = next(title for title, tab in tabs.items() if tab.open)
with tabs[opened], ui.show_errors():
    parts[opened](view)
