"""Predict: the visitor shows a face (camera, files or a drawn example) and gets an answer with what it is made of."""

from typing import Any

import streamlit as st

from facedep import emotions, plots, sample_faces, ui
from facedep.images import FORMATS_TEXT

CAMERA, FILES, EXAMPLES = "Camera", "Files", "Drawn examples"
UPLOAD_TYPES = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif"]


def take_snapshot() -> list[tuple[str, bytes]]:
    """Offers the camera behind a switch that says what happens to the picture."""
    st.write(
        "The picture goes to this app on this computer, is answered in memory, and is gone when you take the next one."
    )
    if not st.toggle("Switch the camera on", key="camera_on"):
        return []
    snapshot = st.camera_input("Look into the camera", key="camera", resolution="480p", width=480)
    st.caption(
        "No picture here? The browser may have been told not to allow the camera (look for a camera sign beside the "
        "address), there may be none, or the page may be open under another address than localhost, where browsers "
        "allow no camera. Files and drawn examples always work."
    )
    return [("snapshot", snapshot.getvalue())] if snapshot else []


def choose_files() -> list[tuple[str, bytes]]:
    """Takes any number of picture files."""
    files = st.file_uploader(
        f"Pictures of faces: {FORMATS_TEXT}", type=UPLOAD_TYPES, accept_multiple_files=True, key="files"
    )
    return [(file.name, file.getvalue()) for file in files]


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


def show_answer(classifier: Any, answer: Any, number: int) -> None:
    """Shows one picture's answer: the picture, what the model sees, the gauge, the words."""
    if answer.error:
        st.error(answer.error, icon=":material/broken_image:")
        return
    if len(answer.faces) != 1:
        st.image(mark_faces(answer), width=480, caption=f"{len(answer.faces)} faces found" if answer.faces else None)
    for place, face in enumerate(answer.faces, start=1):
        side = len(face.prepared)
        if len(answer.faces) > 1:
            st.markdown(f"**Face {place}**")
        left, right = st.columns(2, gap="medium")
        with left, st.container(horizontal=True):
            if len(answer.faces) == 1:
                st.image(mark_faces(answer), width=160, caption="The picture")
            st.image(
                ui.enlarge(face.prepared, 320),
                width=160,
                caption=f"What the model sees: {side} x {side} gray pixels",
            )
        with right:
            st.subheader(
                "Uncertain: too close to call" if face.is_uncertain else describe_label(face.label, classifier)
            )
            band = classifier.uncertain_band
            ui.show_chart(
                plots.plot_probability(face.probability_depressed, classifier.threshold, band),
                key=f"gauge_{number}_{place}",
            )
            if face.is_uncertain:
                st.caption(
                    f"Between {band[0]:.0%} and {band[1]:.0%} (the dark stretch) this model gives no answer: it would "
                    "be wrong too often there."
                )
            if face.emotions:
                figure = plots.plot_emotion_probabilities(face.emotions, classifier.card["positive_classes"])
                ui.show_chart(figure, key=f"emotions_{number}_{place}")
        show_why(classifier, face.prepared, key=f"{number}_{place}")
        for caution in face.cautions:
            st.warning(caution, icon=":material/visibility:")
        if face.is_seen:
            st.warning(
                "This model was trained on this very picture: the answer may be memory.", icon=":material/history:"
            )
    if answer.note:
        (st.info if answer.faces else st.warning)(answer.note, icon=":material/crop:")


@st.fragment
def show_why(classifier: Any, prepared: Any, *, key: str) -> None:
    """Shows, when asked, where the answer comes from and how steady it is."""
    with st.expander("Why, and how sure", icon=":material/search:", key=f"why_{key}", on_change="rerun") as box:
        if not box.open:
            return
        left, right = st.columns([1, 2], gap="medium")
        strength = right.slider("Strength of the colours", 0.0, 1.0, 0.6, 0.05, key=f"strength_{key}")
        values = compute_occlusion_map(classifier, prepared)
        left.image(overlay_map(prepared, values, size_px=288, strength=strength), width=288)
        right.markdown(
            "Each place was covered once. **Blue**: covering it makes the answer less “depressed”. **Orange**: more. "
            "This shows where the model looked, not whether it was right to."
        )
        steady = measure_steadiness(classifier, prepared)
        words = f"Mirrored, shifted a little, lighter or darker it says {steady.lowest:.0%} to {steady.highest:.0%}"
        if steady.has_flipped:
            right.warning(f"{words}: **the answer flips**, so take none of them at its word.", icon=":material/sync:")
        else:
            right.markdown(f"{words}: the answer stays the same.")


def describe_label(label: str, classifier: Any) -> str:
    """Returns the data set's class name, in quotes, with what it means."""
    positive = [name for name in classifier.card["positive_classes"] if name != emotions.DEPRESSED]
    meant = " and ".join(sorted(positive)) or "sad and neutral"
    if label == emotions.DEPRESSED:
        return f"“Depressed”: looks like the {meant} pictures it was trained on"
    return f"“Non-depressed”: looks unlike the {meant} pictures it was trained on"


ui.start_page("Show it a face")
with st.container(horizontal=True, vertical_alignment="bottom"):
    route = st.segmented_control(
        "Where the face comes from", [EXAMPLES, CAMERA, FILES], default=EXAMPLES, key="route", required=True
    )
    with st.container(width=420):
        name = ui.choose_model()
pictures = {CAMERA: take_snapshot, FILES: choose_files, EXAMPLES: choose_example}[route]()
if not pictures:
    st.stop()
ui.wait_for_warm_up()
with ui.show_errors():
    classifier = ui.load_classifier(name)
# These import TensorFlow, which is loaded by now.
from facedep.explain import compute_occlusion_map, measure_steadiness, overlay_map  # noqa: E402
from facedep.predict import mark_faces, predict_picture  # noqa: E402

for number, (title, content) in enumerate(pictures):
    if number:
        st.divider()
    if route == FILES:
        st.markdown(f"**{title}**")
    answer = predict_picture(classifier, content, title)
    if answer.picture and (not answer.faces or answer.faces[0].box):
        is_whole = st.toggle("Answer for the whole picture, without a search for faces", key=f"whole_{number}")
        if is_whole:
            answer = predict_picture(classifier, content, title, is_whole_picture=True)
    show_answer(classifier, answer, number)
ui.show_help_line()
