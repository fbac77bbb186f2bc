"""The live camera: a prediction every one and a half seconds."""

import streamlit as st

from facedep.app import camera
from facedep.app.predict import snapshots
from facedep.app.predict.result import show_face
from facedep.inference.pipeline import predict_picture
from facedep.networks.classifier import Classifier


@st.fragment
def show_live(classifier: Classifier) -> None:
    """Predicts a picture from the camera every one and a half seconds: smile, frown, and watch it move.

    Args:
        classifier: The model.
    """
    left, right = st.columns(2, gap="medium")

    def predict_frame(content: bytes, number: int) -> None:
        prediction = predict_picture(classifier, content, "live picture")
        snapshots.keep_snapshot(classifier, prediction, number=number)
        with right:
            if prediction.faces:
                show_face(classifier, prediction.faces[0], key="live")
            else:
                st.info(prediction.error or prediction.note or "", icon=":material/visibility_off:")

    with left:
        key = f"live_{st.session_state.get('visit_number', 0)}"
        camera.watch_camera(key=key, show_frame=predict_frame)
        snapshots.show_movement(classifier)
    snapshots.show_strip(classifier)
    snapshots.show_forgetting()
