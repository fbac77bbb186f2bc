"""Where the faces on the Predict page come from: camera, files, drawn examples; and a second model to compare with."""

import io

import streamlit as st

from facedep.app import camera, pictures
from facedep.data import sample_faces
from facedep.images.opening import FORMATS_TEXT, PICTURE_SUFFIXES
from facedep.runs import run_folder

_NO_OTHER = "no other model"


def choose_files() -> list[tuple[str, io.BytesIO]]:
    """Takes any number of picture files and .zip archives; returns their names and contents."""
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


def choose_example() -> list[tuple[str, io.BytesIO]]:
    """Offers drawn faces, nobody's, to visitors who do not want to show their own; returns the chosen one."""
    chosen = st.session_state.setdefault("example", 0)
    with st.container(horizontal=True, gap="small"):
        for i, (emotion, number) in enumerate(sample_faces.EXAMPLE_FACES):
            with st.container(width=84, gap="xxsmall"):
                st.image(pictures.load_sample_face(emotion, number), width=84)
                st.button(
                    emotion,
                    key=f"example_{i}",
                    type="primary" if i == chosen else "secondary",
                    width=84,
                    on_click=_choose_example,
                    args=(i,),
                )
    emotion, number = sample_faces.EXAMPLE_FACES[chosen]
    return [("drawn face", io.BytesIO(pictures.encode_sample_face(emotion, number)))]


def _choose_example(i: int) -> None:
    st.session_state.example = i


def switch_camera_on(text: str) -> bool:
    """Offers the camera behind a switch that says what happens to the picture; returns whether it is on.

    Args:
        text: What happens to the picture.
    """
    return camera.show_camera_words() and st.toggle(f"Switch the camera on. {text}", key="camera_on")


def take_snapshot() -> list[tuple[str, io.BytesIO]]:
    """Offers the camera, one picture at a time; returns the last one, if there is one."""
    if not switch_camera_on("The picture stays in the memory of the computer that runs this app."):
        return []
    file = camera.take_snapshot(key=f"snapshot_{st.session_state.get('visit_number', 0)}")
    return [("snapshot", file)] if file else []


def choose_other_model(name: str) -> str | None:
    """Offers a second model to compare with; returns its name, or None.

    Args:
        name: The first model's name.
    """
    names = [run.name for run in run_folder.list_runs() if run.has_model and run.name != name]
    if not names:
        return None
    if st.session_state.get("other_model") not in names:
        st.session_state.other_model = _NO_OTHER
    chosen = st.selectbox("Compare with", [_NO_OTHER, *names], key="other_model", persist_state="session")
    return None if chosen == _NO_OTHER else chosen
