"""Explore: the visitor chooses a data set, sees its pictures and counts, and finds out what is wrong with it."""

import streamlit as st

from facedep.app import models, page, scanning, source_chooser, visit
from facedep.app.explore import (
    average_faces,
    embedding_map,
    export,
    findings,
    gallery,
    issues,
    label_issues,
    leakage,
    overview,
    tabs,
)

page.start_page("Explore the faces")
source_chooser.show_source_chooser()
dataset = visit.load_current_dataset()
source_chooser.show_unknown_folders(dataset)
if dataset.samples.empty:
    st.info(
        "Nothing to show yet: no folder here has a name that says what its pictures show. Say it above, or choose "
        "others."
    )
    st.stop()

with page.open_tab(tabs.ALL_TABS, key=tabs.TAB_KEY) as opened:
    if opened == tabs.OVERVIEW:
        overview.show_overview(dataset)
        st.stop()
    if opened == tabs.GALLERY:
        gallery.show_gallery(dataset)
        st.stop()
    scan = scanning.follow_scan(dataset)
    if scan is None:
        st.stop()
    if opened == tabs.AVERAGE_FACES:
        average_faces.show_average_faces(dataset, scan)
    elif opened == tabs.ISSUES:
        leakage.show_leakage(dataset, scan)
        issues.show_issues(dataset, scan)
    elif opened == tabs.EXPORT:
        export.show_export(dataset, scan)
    else:
        model = models.choose_model()
        if findings.follow_embedding(dataset, scan, model):
            show_tab = label_issues.show_label_issues if opened == tabs.LABEL_ISSUES else embedding_map.show_map
            show_tab(dataset, scan, model)
