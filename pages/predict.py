"""Predict: the visitor shows a face (camera, files or a drawn example) and gets an answer with what it is made of."""

import streamlit as st

from facedep.app import camera, models, page, streamlit_internals
from facedep.app.predict import inputs, live, many, result, snapshots

CAMERA, LIVE, FILES, EXAMPLES = "Camera", "Live", "Files", "Examples"
CHOOSE = {CAMERA: inputs.take_snapshot, FILES: inputs.choose_files, EXAMPLES: inputs.choose_example}

page.start_page("Show it a face")
left, middle, right = st.columns([1.4, 1.5, 0.9], vertical_alignment="bottom")
with left:
    route = st.segmented_control(
        "Where the face comes from", [EXAMPLES, CAMERA, LIVE, FILES], default=EXAMPLES, key="route", required=True
    )
with middle:
    name = models.choose_model()
with right:
    other_name = inputs.choose_other_model(name) if route != LIVE else None
if route == LIVE:
    pictures = []
    is_live = inputs.switch_camera_on(
        "It answers every 1.5 seconds; the pictures stay in the memory of the computer that runs this app."
    )
else:
    pictures = CHOOSE[route]()
    is_live = False
if not is_live:
    camera.forget_frames()
if route != FILES or not pictures:
    many.forget_files()
if not pictures and not is_live:
    snapshots.show_forgetting()
    st.stop()
with page.show_errors():
    classifier = models.load_classifier(name)
    result.warn_of_untrained(classifier)
    other = models.load_classifier(other_name) if other_name else None

if is_live:
    live.show_live(classifier)
elif route == FILES and (len(pictures) > 1 or pictures[0][0].lower().endswith(".zip")):
    many.show_many(classifier, pictures, other=other)
else:
    title, file = pictures[0]
    prediction = result.show_picture(classifier, file.getvalue(), title, key=route, other=other)
    if route == CAMERA:
        snapshots.keep_snapshot(classifier, prediction, number=streamlit_internals.identify_upload(file))
        snapshots.show_movement(classifier)
        snapshots.show_strip(classifier)
    snapshots.show_forgetting()
page.show_help_line()
