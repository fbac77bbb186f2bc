"""The choice of a model or a run, and the loaded model behind it."""

from pathlib import Path

import streamlit as st

from facedep.app import page
from facedep.networks.card import MODEL_FILE
from facedep.networks.classifier import Classifier
from facedep.networks.classifier import load_classifier as load
from facedep.networks.decision_threshold import THRESHOLD_FILE
from facedep.paths import additions_dir
from facedep.runs import run_folder


def load_classifier(name: str) -> Classifier:
    """Returns a loaded model; it is loaded again once its file or its kept threshold has changed.

    Args:
        name: Its run's name.

    Raises:
        FacedepError: It cannot be used.
    """
    run_dir = run_folder.find_run_dir(name)
    files = [run_dir / MODEL_FILE, additions_dir(run_dir) / THRESHOLD_FILE]
    return _load_classifier(str(run_dir), tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files))


@st.cache_resource(max_entries=4, show_spinner="Loading the model …")
def _load_classifier(run_dir: str, modified: tuple[int, ...]) -> Classifier:
    return load(Path(run_dir))


def choose_model() -> str:
    """Shows the choice of a model and returns its name."""
    with page.show_errors():
        default = run_folder.find_default_model()
    return choose_run(
        "Model", [run.name for run in run_folder.list_runs() if run.has_model], key="model", default=default
    )


def choose_run(label: str, names: list[str], *, key: str, default: str) -> str:
    """Shows the choice of a run and returns its name; the choice lasts for the visit, and is in the page's address.

    Streamlit's own `bind="query-params"` would forbid `st.switch_page` (1.67), so the address is written here.

    Args:
        label: What is chosen.
        names: The runs to choose from.
        key: The widget's key, and its name in the address.
        default: The run chosen at first.
    """
    if st.session_state.get(key) not in names:
        wanted = st.query_params.get(key, default)
        if wanted not in names:
            st.caption(f"There is no “{wanted}” here any more; this is {describe_run(default)}.")
        st.session_state[key] = wanted if wanted in names else default
    chosen = st.selectbox(label, names, key=key, format_func=describe_run, persist_state="session")
    if chosen == default:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = chosen
    return chosen


def describe_run(name: str) -> str:
    """Returns a run's name with a word on where it comes from.

    Args:
        name: The run's name.
    """
    if name == run_folder.SHIPPED_RUN:
        return f"{name} (came with the app)"
    return name if (run_folder.locate_run(name) / MODEL_FILE).is_file() else f"{name} (scores only)"
