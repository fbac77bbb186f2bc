"""The Streamlit side of the core: what is chosen, cached loaders, error cards, notices, widgets that pages share."""

import dataclasses
import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from PIL import Image

from facedep import emotions
from facedep.audit.issues import IssueLimits
from facedep.data import kaggle, sample_faces, sources
from facedep.data.scan import Scan
from facedep.dataset_spec import DatasetSpec
from facedep.errors import FacedepError
from facedep.inference.prediction_cache import find_in_training_set
from facedep.networks.card import MODEL_FILE
from facedep.networks.decision_threshold import THRESHOLD_FILE
from facedep.notices import HELP_LINE, NOTICE
from facedep.paths import PROJECT_DIR, additions_dir
from facedep.runs import run_folder

_logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from facedep.reporting.plots.theme import Figure

WARM_UP_DELAY_SECONDS = 2.0
_FOLDER, _UPLOAD = "folder", "upload"
_SOURCE_TITLES = {
    sources.SAMPLE: "Sample faces",
    sources.KAGGLE: "Kaggle",
    _FOLDER: "Folder or .zip",
    _UPLOAD: "Upload",
}


def keep_uploads_off_disk() -> None:
    """Has the server receive uploads in memory, where Streamlit keeps them anyway, until it has them whole.

    By default what is larger than 1 MB is first spooled to a nameless file in the folder for temporary files, by
    Starlette, on which Streamlit's server stands. The new limit is the largest upload that the server takes. To be
    called on every page before anything can be uploaded there.
    """
    from starlette.formparsers import MultiPartParser

    MultiPartParser.spool_max_size = st.get_option("server.maxUploadSize") * 1024**2


def start_page(title: str) -> None:
    """Shows a page's title and the notice. Every page starts with it.

    Because a folder called `pages` exists, Streamlit runs a sub-page without `streamlit_app.py` until the first call of
    `st.navigation` in the server's life. Where the first visit goes straight to a sub-page, that call is made here, and
    the page is run again, as a part of the app.
    """
    if "has_navigation" not in st.session_state:
        home = st.Page(lambda: None, title="facedep", default=True)
        st.navigation([home, *map(st.Page, sorted((PROJECT_DIR / "pages").glob("*.py")))], position="hidden")
        st.rerun()
    keep_uploads_off_disk()
    current_source()
    st.title(title)
    show_notice()


def show_notice() -> None:
    """Shows the one calm line that stands on every page."""
    st.caption(NOTICE)


def show_help_line() -> None:
    """Shows, under every answer and the same whatever it is, where to find somebody to talk to."""
    st.caption(HELP_LINE)


def show_chart(figure: "Figure", *, key: str) -> None:
    """Shows a Plotly figure without its row of tools, which hides titles on small screens."""
    st.plotly_chart(figure, key=key, config={"displayModeBar": False})


@contextmanager
def show_errors(*, ends_page: bool = True) -> Iterator[None]:
    """Shows an error that the visitor can mend as a card; everything else surfaces.

    Args:
        ends_page: Whether the page ends there, because the rest of it cannot do without; False for a refused action.
    """
    try:
        yield
    except FacedepError as error:
        st.error(str(error), icon=":material/error:")
        if ends_page:
            st.stop()


# What is chosen ------------------------------------------------------------------------------------------------------


def current_source() -> str:
    """Returns the chosen data source: from this visit, else from the page's address, else the sample faces."""
    if "source" not in st.session_state:
        st.session_state.source = st.query_params.get("data", sources.SAMPLE)
    source = st.session_state.source
    if source == sources.SAMPLE:
        st.query_params.pop("data", None)
    else:
        st.query_params["data"] = source
    return source


def describe_source() -> str:
    """Returns the chosen data source in words."""
    source = current_source()
    titles = {sources.SAMPLE: "2,100 sample faces, drawn by code", sources.KAGGLE: "the Kaggle data set"}
    return titles.get(source) or Path(source).name


def _choose_source(source: str) -> None:
    st.session_state.source = source
    st.session_state.folder_choices = {}


def folder_choices() -> dict[str, str]:
    """Returns what the visitor said about folders of unknown name."""
    return st.session_state.setdefault("folder_choices", {})


def depressed_emotions() -> tuple[str, ...]:
    """Returns the emotions that count as *depressed* in this visit; the article's at first."""
    return st.session_state.get("depressed_emotions", emotions.DEPRESSED_EMOTIONS)


def choose_depressed_emotions(chosen: tuple[str, ...]) -> None:
    """Sets the emotions that count as *depressed* from now on, on every page of this visit."""
    st.session_state.depressed_emotions = tuple(emotion for emotion in emotions.EMOTIONS if emotion in chosen)


def current_spec() -> DatasetSpec:
    """Returns what the visitor chose as data: the source, what unknown folders hold, what counts as *depressed*."""
    return DatasetSpec(current_source(), folder_choices(), depressed_emotions())


def current_cleaning() -> tuple[str, ...]:
    """Returns the faults whose pictures the visitor wants left out of trainings; none at first."""
    return st.session_state.get("cleaning", ())


def changed_limits() -> dict[str, float]:
    """Returns the thresholds of faults that the visitor has moved away from the default."""
    defaults = dataclasses.asdict(IssueLimits())
    chosen = st.session_state.get("thresholds", {})
    return {name: value for name, value in chosen.items() if value != defaults[name]}


def show_cleaning() -> None:
    """Says which faulty pictures are left out of the training, and lets the visitor take that back."""
    names = current_cleaning()
    if names:
        left, right = st.columns([4, 1], vertical_alignment="center")
        words = ", ".join(name.replace("_", " ") for name in names)
        left.info(f"Pictures with these faults are left out: {words}.", icon=":material/mop:")
        right.button("Use all pictures", key="use_all", on_click=lambda: st.session_state.pop("cleaning", None))


def load_current_dataset() -> sources.Dataset:
    """Returns the chosen data set, or shows why it cannot be loaded and ends the page there."""
    with show_errors():
        return load_dataset(current_spec())


@st.cache_resource(max_entries=4, ttl="10m", show_spinner="Reading the list of pictures …")
def load_dataset(spec: DatasetSpec) -> sources.Dataset:
    """Returns a data set; its list of files is read again after ten minutes or when another source was chosen."""
    return sources.load_dataset(spec)


def count_in_shipped_training_set(scan: Scan) -> int:
    """Returns how many of the scanned pictures the model that comes with the app was trained on; 0 where it is gone."""
    return int(find_in_training_set(run_folder.locate_run(run_folder.SHIPPED_RUN), scan.fingerprints).sum())


@st.cache_data(max_entries=256, show_spinner=False)
def load_sample_face(emotion: str, number: int) -> np.ndarray:
    """Returns one drawn face: `uint8` array of shape `(128, 128, 3)`, RGB."""
    return sample_faces.draw_sample_face(emotion, number)


def encode_sample_face(emotion: str, number: int) -> bytes:
    """Returns one drawn face as a PNG file's content."""
    buffer = io.BytesIO()
    Image.fromarray(load_sample_face(emotion, number)).save(buffer, format="PNG")
    return buffer.getvalue()


def enlarge(gray: np.ndarray, size_px: int) -> Image.Image:
    """Returns a small gray picture enlarged without smoothing, so that its pixels can be seen.

    Args:
        gray: `uint8` array of shape `(height, width)`, 0-255.
        size_px: The side of the result.
    """
    return Image.fromarray(gray).resize((size_px, size_px), Image.Resampling.NEAREST)


def enlarge_times(gray: np.ndarray, factor: int) -> Image.Image:
    """Returns a small gray picture of any shape, each pixel as a square of so many."""
    return Image.fromarray(gray.repeat(factor, axis=0).repeat(factor, axis=1))


# The data source -----------------------------------------------------------------------------------------------------


def show_source_chooser() -> None:
    """Shows the choice between the four kinds of data source."""
    source = current_source()
    kind = source if source in (sources.SAMPLE, sources.KAGGLE) else _FOLDER
    chosen = st.segmented_control(
        "Where the pictures come from",
        list(_SOURCE_TITLES),
        default=kind,
        format_func=_SOURCE_TITLES.get,
        key="source_kind",
        required=True,
    )
    if chosen == sources.SAMPLE:
        st.caption("2,100 faces drawn by code, seven emotions. No real person, no network, the same on every computer.")
        if source != sources.SAMPLE:
            _choose_source(sources.SAMPLE)
            st.rerun()
    elif chosen == sources.KAGGLE:
        _show_kaggle(source)
    elif chosen == _FOLDER:
        _show_path_input(source)
    else:
        _show_upload()
    if chosen not in (kind, _UPLOAD):
        st.caption(f"Still shown: {describe_source()}.")


def _show_path_input(source: str) -> None:
    with st.form("path_form", border=False):
        typed = st.text_input(
            "Full path of a folder or .zip file on this computer",
            value="" if source in (sources.SAMPLE, sources.KAGGLE) else source,
            placeholder="/home/me/faces.zip",
            key="source_path",
        )
        is_sent = st.form_submit_button("Use it", type="primary")
    st.caption(f"Read in place, nothing is copied. {sources.LAYOUT_TEXT}")
    if is_sent and typed.strip():
        with show_errors(ends_page=False):
            dataset = sources.load_dataset(typed)
            load_dataset.clear()
            _choose_source(dataset.source)
            st.rerun()


def _show_upload() -> None:
    file = st.file_uploader("A .zip with one folder per emotion", type="zip", key="source_upload")
    if file is not None and st.session_state.get("used_upload") != file.file_id:
        with show_errors(ends_page=False):
            path = sources.store_upload(file.name, file)
            st.session_state.used_upload = file.file_id
            _choose_source(str(path))
            st.rerun()
    size = sources.measure_uploads()
    if size:
        left, right = st.columns([3, 1], vertical_alignment="center")
        left.caption(f"Uploads are kept in {sources.uploads_dir()}: {size / 1e6:.1f} MB, so that a training can go on.")
        right.button("Clear uploads", key="clear_uploads", on_click=_clear_uploads, help="Everybody's uploads")


def _clear_uploads() -> None:
    """Deletes the uploads and goes back to the sample faces where one of them was chosen."""
    source = current_source()
    sources.clear_uploads()
    load_dataset.clear()
    if source not in (sources.SAMPLE, sources.KAGGLE) and Path(source).is_relative_to(sources.uploads_dir().resolve()):
        _choose_source(sources.SAMPLE)
        st.session_state.source_kind = sources.SAMPLE


def _show_kaggle(source: str) -> None:
    if kaggle.find_cached_dataset() is not None:
        st.caption(f"{kaggle.KAGGLE_HANDLE}, on this computer already: it works without network.")
        if source != sources.KAGGLE:
            load_dataset.clear()
            _choose_source(sources.KAGGLE)
            st.rerun()
        return
    st.markdown(
        f"The data set of the article, [{kaggle.KAGGLE_HANDLE}]({kaggle.KAGGLE_URL}): 4,492 small gray faces, "
        "about 8.5 MB. It is public; no account is needed."
    )
    is_running = kaggle.read_download().state == "running"
    _show_download(is_running)


def _show_download(is_running: bool) -> None:
    """Shows the download; while it runs the fragment reads its state once a second."""

    @st.fragment(run_every=1.0 if is_running else None)
    def show() -> None:
        status = kaggle.read_download()
        if (status.state == "running") != is_running:
            st.rerun()
        if status.state == "running":
            total = status.total_bytes or 8_600_000
            text = f"{status.num_bytes / 1e6:.1f} MB arrived" if status.num_bytes else "Asking Kaggle …"
            st.progress(min(1.0, status.num_bytes / total), text)
            st.button("Cancel", on_click=kaggle.cancel_download, key="cancel_download")
            return
        if status.state == "failed":
            st.warning(status.message, icon=":material/cloud_off:")
        elif status.state == "cancelled":
            st.caption("Cancelled; nothing was kept.")
        if st.button("Download from Kaggle", type="primary", key="start_download", icon=":material/download:"):
            with show_errors(ends_page=False):
                kaggle.start_download()
                st.rerun()

    show()


def show_unknown_folders(dataset: sources.Dataset) -> None:
    """Asks what folders of unknown name hold. Until it is said, their pictures are left out."""
    if folder_choices():
        said = ", ".join(f"“{folder}”: {answer.replace('_', '-')}" for folder, answer in folder_choices().items())
        left, right = st.columns([4, 1], vertical_alignment="center")
        left.caption(f"What you said of folders: {said}.")
        right.button("Ask again", key="ask_again", on_click=lambda: st.session_state.pop("folder_choices", None))
    if not dataset.unknown_folders:
        return
    st.warning(
        "Some folders have names this app does not know. Their pictures are left out until you say what they are."
    )
    answers = [sources.LEAVE_OUT, *emotions.EMOTIONS, *emotions.GROUPS]
    with st.form("unknown_folders"):
        chosen = {
            folder: st.selectbox(f"“{folder}” ({num_images:,} pictures)", answers, key=f"unknown_{folder}")
            for folder, num_images in sorted(dataset.unknown_folders.items())
        }
        if st.form_submit_button("Use these answers"):
            st.session_state.folder_choices = {**folder_choices(), **chosen}
            st.rerun()


# Models --------------------------------------------------------------------------------------------------------------


class WarmUp:
    """Imports TensorFlow and loads the default model in the background, once per server, so that Predict is quick."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = False
        self.is_ready = False

    def start_soon(self) -> None:
        """Starts about two seconds from now, when the first page has been drawn."""
        threading.Timer(WARM_UP_DELAY_SECONDS, self.start).start()

    def start(self) -> None:
        """Starts at once; later calls do nothing."""
        with self._lock:
            if self._started:
                return
            self._started = True
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        import keras

        from facedep.networks.classifier import load_classifier

        # Streamlit 1.67 calls this after every run of every page: 0.2 to 0.4 s each time, once a second beside a live
        # curve, and it throws away compiled kernels while another visitor's picture may be under way.
        keras.backend.clear_session = lambda free_memory=True: None
        try:
            classifier = load_classifier(run_folder.find_run_dir(run_folder.find_default_model()))
            size = classifier.input_size_px
            classifier.predict(np.zeros((1, size, size, 1), np.uint8))
        except FacedepError:  # without a usable model there is nothing more to warm up; the page says what is wrong
            _logger.info("There is no usable model to warm up")
        finally:
            self.is_ready = True


@st.cache_resource(show_spinner=False)
def find_warm_up() -> WarmUp:
    """Returns the server's warm-up; the first call starts it soon."""
    warm_up = WarmUp()
    warm_up.start_soon()
    return warm_up


def wait_for_warm_up() -> None:
    """Shows "the model is loading" and ends the page there until TensorFlow is in the process."""
    warm_up = find_warm_up()
    if warm_up.is_ready:
        return
    warm_up.start()

    @st.fragment(run_every=0.5)
    def show() -> None:
        if warm_up.is_ready:
            st.rerun()
        st.info("The model is loading. This happens once, and takes a few seconds.", icon=":material/hourglass_top:")

    show()
    st.stop()


def load_classifier(name: str) -> Any:
    """Returns a loaded model by its run's name. Raises `FacedepError` where it cannot be used."""
    run_dir = run_folder.find_run_dir(name)
    files = [run_dir / MODEL_FILE, additions_dir(run_dir) / THRESHOLD_FILE]
    return _load_classifier(str(run_dir), tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files))


@st.cache_resource(max_entries=4, show_spinner="Loading the model …")
def _load_classifier(run_dir: str, modified: tuple[int, ...]) -> Any:
    from facedep.networks.classifier import load_classifier as load

    return load(Path(run_dir))


def choose_model() -> str:
    """Shows the choice of a model and returns its name."""
    with show_errors():
        default = run_folder.find_default_model()
    return choose_run(
        "Model", [run.name for run in run_folder.list_runs() if run.has_model], key="model", default=default
    )


def choose_run(label: str, names: list[str], *, key: str, default: str) -> str:
    """Shows the choice of a run and returns its name; the choice lasts for the visit, and stands in the page's address.

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
    """Returns a run's name with a word on where it comes from."""
    if name == run_folder.SHIPPED_RUN:
        return f"{name} (came with the app)"
    return name if (run_folder.locate_run(name) / MODEL_FILE).is_file() else f"{name} (scores only)"
