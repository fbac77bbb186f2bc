"""What is kept of camera pictures for this visit, in memory only, and the button that forgets it."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from facedep.app import page, pictures
from facedep.inference.pipeline import PicturePrediction
from facedep.networks.classifier import Classifier
from facedep.reporting.plots import prediction as plots

MAX_KEPT_SNAPSHOTS = 120  # three minutes of the live camera
_NUM_SHOWN_SNAPSHOTS = 9  # one row at 1280 pixels


@dataclass(frozen=True)
class Snapshot:
    """What is kept of a face that the camera saw: only this visit's memory holds it.

    Attributes:
        prepared: What the network saw: `uint8` array of shape `(size, size)`, 0-255.
        probability: P(depressed), 0..1.
        model: The name of the model that predicted it.
    """

    prepared: np.ndarray
    probability: float
    model: str


def keep_snapshot(classifier: Classifier, prediction: PicturePrediction, *, number: int | str) -> None:
    """Keeps the first face of a camera picture for the strip, once for each picture, in this visit's memory only.

    Args:
        classifier: The model.
        prediction: Its prediction.
        number: Another one for each picture.
    """
    if st.session_state.get("last_snapshot") == (number, classifier.name) or not prediction.faces:
        return
    st.session_state.last_snapshot = (number, classifier.name)
    face = prediction.faces[0]
    visit = st.session_state.setdefault("visit", [])
    visit.append(Snapshot(face.prepared, face.probability_depressed, classifier.name))
    del visit[:-MAX_KEPT_SNAPSHOTS]


def show_movement(classifier: Classifier) -> None:
    """Shows how P(depressed) moved from snapshot to snapshot of this visit.

    Args:
        classifier: The model whose predictions are shown.
    """
    if visit := _find_visit(classifier):
        probabilities = [snapshot.probability for snapshot in visit]
        figure = plots.plot_visit(probabilities, classifier.threshold, classifier.abstention_band)
        page.show_chart(figure, key="visit_chart")


def show_strip(classifier: Classifier) -> None:
    """Shows the last snapshots of this visit.

    Args:
        classifier: The model whose predictions are shown.
    """
    visit = _find_visit(classifier)
    if not visit:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        for snapshot in visit[-_NUM_SHOWN_SNAPSHOTS:]:
            st.image(pictures.enlarge(snapshot.prepared, 144), width=72, caption=f"{snapshot.probability:.0%}")


def show_forgetting() -> None:
    """Offers to forget what is kept of pictures, with any kind of input that is chosen on the page."""
    if st.session_state.get("visit") or _list_camera_keys():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                "Kept for this visit only, in the memory of the computer that runs this app: gone with the tab.",
                width="stretch",
            )
            st.button("Forget all", key="forget", on_click=forget_visit, icon=":material/delete:")


def forget_visit() -> None:
    """Forgets every snapshot of this visit, those in the cameras' widgets among them, and switches the camera off."""
    st.session_state.camera_on = False
    for name in ("visit", "last_snapshot"):
        st.session_state.pop(name, None)
    st.session_state.visit_number = st.session_state.get("visit_number", 0) + 1
    for name in _list_camera_keys():
        del st.session_state[name]


def _find_visit(classifier: Classifier) -> list[Snapshot]:
    return [snapshot for snapshot in st.session_state.get("visit", []) if snapshot.model == classifier.name]


def _list_camera_keys() -> list[str]:
    names = [name for name in st.session_state if isinstance(name, str)]
    return [name for name in names if name.startswith(("live_", "snapshot_")) and st.session_state[name]]
