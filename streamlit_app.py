"""The app: page settings, navigation, and the home page's story. Open it with `streamlit run streamlit_app.py`."""

import streamlit as st

from facedep.app import page, pictures, streamlit_internals, visit
from facedep.data import sample_faces
from facedep.errors import FacedepError
from facedep.logs import configure_logging
from facedep.runs import run_folder

STEPS = (
    (
        "1 · Explore",
        "See the faces a network learns from, how they are labelled, and whether its test really is a test.",
        "pages/explore.py",
        "Look at the data",
    ),
    (
        "2 · Train",
        "Start a real training and watch its curves draw themselves: does it learn, or only memorize?",
        "pages/train.py",
        "Train a network",
    ),
    (
        "3 · Evaluate",
        "How good is it on faces it never saw, where does it fail, and what flatters it? Play against it.",
        "pages/evaluate.py",
        "Judge it",
    ),
    (
        "4 · Predict",
        "Show it your own face, a file or a drawn example, and see the answer with what it is made of.",
        "pages/predict.py",
        "Try a face",
    ),
)  # title, text, page, and what the link to it says


def show_home() -> None:
    """What this is, the four steps, and what is loaded. The visitor leaves through one of the steps."""
    st.title("Can a network see depression in a face?")
    st.markdown(
        "Published code says so: take pictures of facial expressions, call the sad and neutral ones *depressed*, "
        "train a small network, report “nearly 80%”. This app lets you do the same, live, and see what the number is "
        "worth."
    )
    with st.container(horizontal=True, gap="small"):
        for emotion, number in sample_faces.EXAMPLE_FACES:
            st.image(pictures.load_sample_face(emotion, number), width=104, caption=emotion)
    for column, (title, text, target, label) in zip(st.columns(4), STEPS, strict=True):
        with column, st.container(border=True, height="stretch"):
            st.subheader(title)
            st.write(text)
            st.page_link(target, label=f"**{label}**", icon=":material/arrow_forward:")
    st.caption(_describe_what_is_loaded())
    page.show_notice()


def _describe_what_is_loaded() -> str:
    try:
        model = f"model **{run_folder.find_default_model()}**"
    except FacedepError:
        model = "no model yet: train one"
    active = run_folder.find_active_run()
    training = f" · in training: **{active.name}**" if active else ""
    return f"Loaded: {visit.describe_source()} · {model}{training}"


configure_logging()
st.set_page_config(page_title="facedep", page_icon=page.ICON_PATH, layout="wide")
HOME = st.Page(show_home, title="Home", icon=":material/home:", default=True)
EXPLORE = st.Page("pages/explore.py", title="Explore", icon=":material/grid_view:")
TRAIN = st.Page("pages/train.py", title="Train", icon=":material/show_chart:")
EVALUATE = st.Page("pages/evaluate.py", title="Evaluate", icon=":material/fact_check:")
PREDICT = st.Page("pages/predict.py", title="Predict", icon=":material/face:")
streamlit_internals.note_navigation()
current = st.navigation([HOME, EXPLORE, TRAIN, EVALUATE, PREDICT])
current.run()
