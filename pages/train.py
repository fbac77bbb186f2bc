"""Train: the visitor chooses data and a recipe, starts a real training, and watches it learn (or memorize)."""

import streamlit as st

from facedep.app import page, source_chooser, visit
from facedep.app.train import live, model_list, settings
from facedep.data import sources
from facedep.runs import lifecycle, run_folder

page.start_page("Train a network")
active = run_folder.find_active_run()
if active:
    st.session_state.watched_run = active.name
    live.show_live(active)
    st.caption("It goes on when this page is closed, and when the app is stopped. One training at a time.")
else:
    live.announce_end()
    with st.expander(f"Data: {visit.describe_source()}", icon=":material/dataset:"):
        source_chooser.show_source_chooser()
    dataset = visit.load_current_dataset()
    source_chooser.show_unknown_folders(dataset)
    with page.show_errors():
        sources.check_trainable(dataset)
    config = settings.choose_settings(dataset)
    can_start = settings.check_pictures(dataset, config)
    if st.button("Start training", type="primary", key="start", icon=":material/play_arrow:", disabled=not can_start):
        with page.show_errors(ends_page=False):
            run_dir = lifecycle.create_run(config, st.session_state.run_name.strip() or None)
            lifecycle.start_worker(run_dir, dataset.source)
            st.rerun()
st.divider()
st.header("Models")
model_list.show_models()
