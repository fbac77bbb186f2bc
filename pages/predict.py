"""Predict: the visitor shows a face (camera, files or a drawn example) and gets an answer with what it is made of."""

from typing import Any

import streamlit as st

from facedep.app import camera, predict, ui
from facedep.data import sample_faces
from facedep.images.opening import FORMATS_TEXT, PICTURE_SUFFIXES
from facedep.runs import run_folder

CAMERA, LIVE, FILES, EXAMPLES = "Camera", "Live", "Files", "Examples"
NO_OTHER = "no other model"


def choose_files() -> list[tuple[str, Any]]:
    """Takes any number of picture files and .zip archives."""
    files = st.file_uploader(
        f"Pictures of faces ({FORMATS_TEXT}), or .zip archives of them",
        type=["zip", *sorted(suffix.removeprefix(".") for suffix in PICTURE_SUFFIXES)],
        accept_multiple_files=True,
        key="files",
    )
    st.caption(
        "Read and answered in the memory of the computer that runs this app: nothing is stored, nothing is sent on."
    )
    return [(file.name, file) for file in files]


def choose_example() -> list[tuple[str, bytes]]:
    """Offers drawn faces, nobody's, to whoever has no camera or does not want to show a face."""
    chosen = st.session_state.setdefault("example", 0)
    with st.container(horizontal=True, gap="small"):
        for place, (emotion, number) in enumerate(sample_faces.EXAMPLE_FACES):
            with st.container(width=84, gap="xxsmall"):
                st.image(ui.load_sample_face(emotion, number), width=84)
                kind = "primary" if place == chosen else "secondary"
                st.button(emotion, key=f"example_{place}", type=kind, width=84, on_click=_choose_example, args=(place,))
    emotion, number = sample_faces.EXAMPLE_FACES[chosen]
    return [("drawn face", ui.encode_sample_face(emotion, number))]


def _choose_example(place: int) -> None:
    st.session_state.example = place


def switch_camera_on(words: str) -> bool:
    """Offers the camera behind a switch that says what happens to the picture."""
    return camera.show_camera_words() and st.toggle(f"Switch the camera on. {words}", key="camera_on")


def take_snapshot() -> list[tuple[str, Any]]:
    """Offers the camera, one picture at a time."""
    if not switch_camera_on("The picture stays in the memory of the computer that runs this app."):
        return []
    file = camera.take_snapshot(key=f"snapshot_{st.session_state.get('visit_number', 0)}")
    return [("snapshot", file)] if file else []


def choose_other(name: str) -> str | None:
    """Offers a second model to compare with, where there is one."""
    names = [run.name for run in run_folder.list_runs() if run.has_model and run.name != name]
    if not names:
        return None
    if st.session_state.get("other_model") not in names:
        st.session_state.other_model = NO_OTHER
    chosen = st.selectbox("Compare with", [NO_OTHER, *names], key="other_model", persist_state="session")
    return None if chosen == NO_OTHER else chosen


def show_picture(title: str, content: Any, *, key: str) -> Any:
    """Answers for one picture and shows it all; returns the answer."""
    is_whole = st.session_state.get(f"whole_{key}", False)
    answer = predict_picture(classifier, content, title, is_whole_picture=is_whole)
    other_prediction = predict_picture(other, content, title, is_whole_picture=is_whole) if other else None
    predict.show_prediction(classifier, answer, key=key, other=other, other_prediction=other_prediction)
    if answer.picture and (is_whole or not answer.faces or answer.faces[0].box):
        st.toggle("Answer for the whole picture, without a search for faces", key=f"whole_{key}")
    return answer


@st.fragment
def show_live() -> None:
    """Answers for a picture from the camera every one and a half seconds: smile, frown, and watch it move."""
    left, right = st.columns(2, gap="medium")

    def predict_frame(content: bytes, number: int) -> None:
        answer = predict_picture(classifier, content, "live picture")
        predict.keep_snapshot(classifier, answer, number=number)
        with right:
            if answer.faces:
                predict.show_face(classifier, answer.faces[0], key="live")
            else:
                st.info(answer.error or answer.note, icon=":material/visibility_off:")

    with left:
        camera.watch_camera(key=f"live_{st.session_state.get('visit_number', 0)}", answer=predict_frame)
        predict.show_movement(classifier)
    predict.show_strip(classifier)
    predict.show_forgetting()


def show_many(files: list[tuple[str, Any]]) -> None:
    """Answers for all pictures, as a table, and in full for the chosen one."""
    from facedep.inference.batch import list_pictures

    pictures = list_pictures(files)
    answered = predict.predict_many(classifier, pictures, state=" ".join(file.file_id for _, file in files))
    number = predict.show_table(answered, num_skipped=sum(picture.num_skipped for picture in pictures))
    picture = pictures[number]
    st.subheader(picture.path)
    if picture.error:
        st.error(picture.error, icon=":material/broken_image:")
    else:
        with ui.show_errors():
            show_picture(picture.path, picture.read(), key=f"chosen_{number}")
    predict.show_forgetting()


ui.start_page("Show it a face")
left, middle, right = st.columns([1.3, 1.25, 1], vertical_alignment="bottom")
with left:
    route = st.segmented_control(
        "Where the face comes from", [EXAMPLES, CAMERA, LIVE, FILES], default=EXAMPLES, key="route", required=True
    )
with middle:
    name = ui.choose_model()
with right:
    other_name = choose_other(name) if route != LIVE else None
if route == LIVE:
    is_on = switch_camera_on(
        "It answers every 1.5 seconds; the pictures stay in the memory of the computer that runs this app."
    )
    pictures = []
else:
    is_on = False
    pictures = {CAMERA: take_snapshot, FILES: choose_files, EXAMPLES: choose_example}[route]()
if not is_on:
    camera.forget_frames()
if route != FILES or not pictures:
    predict.forget_files()
if not pictures and not is_on:
    predict.show_forgetting()
    st.stop()
ui.wait_for_warm_up()
with ui.show_errors():
    classifier = ui.load_classifier(name)
    predict.warn_of_untrained(classifier)
    other = ui.load_classifier(other_name) if other_name else None
from facedep.inference.pipeline import predict_picture  # noqa: E402  imports TensorFlow, which is loaded by now

if route == LIVE:
    show_live()
elif route == FILES and (len(pictures) > 1 or pictures[0][0].lower().endswith(".zip")):
    show_many(pictures)
else:
    title, content = pictures[0]
    answer = show_picture(title, content if isinstance(content, bytes) else content.getvalue(), key=route)
    if route == CAMERA:
        predict.keep_snapshot(classifier, answer, number=content.file_id)
        predict.show_movement(classifier)
        predict.show_strip(classifier)
    predict.show_forgetting()
ui.show_help_line()
