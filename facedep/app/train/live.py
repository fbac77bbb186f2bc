"""A training while it goes on: how far it is, its curves, and whether it learns or memorizes."""

import streamlit as st

from facedep.app.train.curves import show_curves
from facedep.app.train.model_list import PENDING_RUN
from facedep.networks.recipes import RECIPES
from facedep.runs import lifecycle, progress, run_folder
from facedep.training.estimate import describe_seconds

_REFRESH_SECONDS = 1.0


def announce_end() -> None:
    """Says that the training which the visitor watched has ended, and has the list of models show it."""
    watched = st.session_state.pop("watched_run", None)
    if watched and (run_folder.models_dir() / watched).is_dir():
        st.session_state[PENDING_RUN] = watched
        st.toast("The training has ended. Its results are in the list below.")


def show_live(run: run_folder.Run) -> None:
    """Shows a training while it goes on, once a second, from its files; the page reruns once when it ends.

    Args:
        run: The run.
    """

    @st.fragment(run_every=_REFRESH_SECONDS)
    def show() -> None:
        now = run_folder.read_run(run.path)
        if not now.is_active:
            st.rerun()
        measured = progress.read_progress(run.path)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(now.name, width="stretch")
            if now.state == run_folder.STOPPING:
                st.write("Stopping …")
            else:
                st.button("Stop and keep", on_click=lifecycle.stop_run, args=(now,), key="stop", icon=":material/stop:")
        st.progress(measured.share_done, _describe_progress(now, measured))
        show_curves(measured, key="live", is_active=True)

    show()


def _describe_progress(run: run_folder.Run, measured: progress.Progress) -> str:
    if run.state == run_folder.STARTING:
        needs_tensorflow = run.config is None or not RECIPES[run.config.recipe].pretrained
        return "Starting: loading TensorFlow …" if needs_tensorflow else "Starting …"
    if run.stage == "loading":
        return run.message or "Reading the pictures …"
    if run.stage == "scoring":
        return "Scoring on pictures it has not learned from …"
    parts = [f"Epoch {min(len(measured.epochs) + 1, measured.num_epochs)} of {measured.num_epochs}"]
    if measured.images_per_second:
        parts.append(f"{measured.images_per_second:,.0f} pictures a second")
    if measured.seconds_left is not None:
        parts.append(f"{describe_seconds(measured.seconds_left)} left")
    return " · ".join(parts)
