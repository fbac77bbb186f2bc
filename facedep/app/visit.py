"""What a visitor has chosen, the same on every page of the visit: data set, grouping, issue limits, cleaning."""

import dataclasses
from pathlib import Path

import streamlit as st

from facedep import emotions
from facedep.audit.issues import IssueLimits
from facedep.data import sources
from facedep.data.dataset_spec import DatasetSpec
from facedep.errors import FacedepError


def current_source() -> str:
    """Returns the chosen data source: from this visit, else from the page's address, else the sample faces."""
    if "source" not in st.session_state:
        st.session_state.source = st.query_params.get("data", sources.SAMPLE)
    source = str(st.session_state.source)
    if source == sources.SAMPLE:
        st.query_params.pop("data", None)
    else:
        st.query_params["data"] = source
    return source


def choose_source(source: str) -> None:
    """Sets the data source from now on; what was said about folders of another one is forgotten.

    Args:
        source: As for `sources.load_dataset`.
    """
    st.session_state.source = source
    st.session_state.folder_choices = {}


def describe_source() -> str:
    """Returns the chosen data source in words."""
    source = current_source()
    titles = {sources.SAMPLE: "2,100 sample faces, drawn by code", sources.KAGGLE: "the Kaggle data set"}
    return titles.get(source) or Path(source).name


def folder_choices() -> dict[str, str]:
    """Returns what the visitor said about folders of unknown name."""
    choices: dict[str, str] = st.session_state.setdefault("folder_choices", {})
    return choices


def depressed_emotions() -> tuple[str, ...]:
    """Returns the emotions that count as *depressed* in this visit; the article's at first."""
    return tuple(st.session_state.get("depressed_emotions", emotions.DEPRESSED_EMOTIONS))


def choose_depressed_emotions(chosen: tuple[str, ...]) -> None:
    """Sets the emotions that count as *depressed* from now on, on every page of this visit.

    Args:
        chosen: The emotions, in any order.
    """
    st.session_state.depressed_emotions = tuple(emotion for emotion in emotions.EMOTIONS if emotion in chosen)


def current_spec() -> DatasetSpec:
    """Returns what the visitor chose as data: the source, what unknown folders hold, what counts as *depressed*."""
    return DatasetSpec(current_source(), folder_choices(), depressed_emotions())


def current_cleaning() -> tuple[str, ...]:
    """Returns the issues whose pictures the visitor drops from trainings; none at first."""
    return tuple(st.session_state.get("cleaning", ()))


def current_limits() -> IssueLimits:
    """Returns the issue limits as the sliders were last left."""
    return IssueLimits(**st.session_state.get("issue_limits", {}))


def changed_limits() -> dict[str, float]:
    """Returns the issue limits that the visitor has moved away from the default."""
    defaults = dataclasses.asdict(IssueLimits())
    chosen = st.session_state.get("issue_limits", {})
    return {name: value for name, value in chosen.items() if value != defaults[name]}


def load_current_dataset() -> sources.Dataset:
    """Returns the chosen data set, or shows why it cannot be loaded and ends the page there."""
    try:
        return load_dataset(current_spec())
    except FacedepError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()


@st.cache_resource(max_entries=4, ttl="10m", show_spinner="Reading the list of pictures …")
def load_dataset(spec: DatasetSpec) -> sources.Dataset:
    """Returns a data set; its list of files is read again after ten minutes or when another source was chosen.

    Args:
        spec: Which data set.
    """
    return sources.load_dataset(spec)
