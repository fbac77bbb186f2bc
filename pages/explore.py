"""Explore: the visitor chooses a data set, sees its pictures and counts, and finds out what is wrong with it."""

import streamlit as st

from facedep.app import explore, scanning, ui
from facedep.app.explore import AVERAGE, FAULTS, GLANCE, LABELS, LOOK, MAP, TAKE

ui.start_page("Explore the faces")
ui.show_source_chooser()
dataset = ui.load_current_dataset()
ui.show_unknown_folders(dataset)
if dataset.samples.empty:
    st.info(
        "Nothing to show yet: no folder here has a name that says what its pictures show. Say it above, or choose "
        "others."
    )
    st.stop()

titles = (GLANCE, LOOK, AVERAGE, FAULTS, LABELS, MAP, TAKE)
tabs = dict(zip(titles, st.tabs(titles, key="explore_view", on_change="rerun"), strict=True))
opened = next(title for title, tab in tabs.items() if tab.open)
with tabs[opened], ui.show_errors():
    if opened == GLANCE:
        explore.show_glance(dataset)
        st.stop()
    if opened == LOOK:
        explore.show_pictures(dataset)
        st.stop()
    scan = scanning.follow_scan(dataset)
    if scan is None:
        st.stop()
    if opened == AVERAGE:
        explore.show_average_faces(dataset, scan)
    elif opened == FAULTS:
        explore.show_leak(dataset, scan)
        explore.show_issues(dataset, scan)
    elif opened == TAKE:
        explore.show_take_away(dataset, scan)
    else:
        model = ui.choose_model()
        if explore.follow_embedding(dataset, scan, model):
            show = explore.show_label_issues if opened == LABELS else explore.show_map
            show(dataset, scan, model)
