"""The choice of the data set: drawn faces, Kaggle's, a folder or archive on this computer, an upload."""

from pathlib import Path

import streamlit as st

from facedep import emotions
from facedep.app import page, streamlit_internals, visit
from facedep.data import kaggle, sources

_FOLDER, _UPLOAD = "folder", "upload"
_SOURCE_TITLES = {
    sources.SAMPLE: "Sample faces",
    sources.KAGGLE: "Kaggle",
    _FOLDER: "Folder or .zip",
    _UPLOAD: "Upload",
}
_USUAL_DOWNLOAD_BYTES = 8_600_000  # as long as Kaggle has not said how large the archive is


def show_source_chooser() -> None:
    """Shows the choice between the four kinds of data source."""
    source = visit.current_source()
    kind = source if source in (sources.SAMPLE, sources.KAGGLE) else _FOLDER
    chosen = st.segmented_control(
        "Where the pictures come from",
        list(_SOURCE_TITLES),
        default=kind,
        format_func=lambda kind: _SOURCE_TITLES[kind],
        key="source_kind",
        required=True,
    )
    if chosen == sources.SAMPLE:
        st.caption("2,100 faces drawn by code, seven emotions. No real person, no network, the same on every computer.")
        if source != sources.SAMPLE:
            visit.choose_source(sources.SAMPLE)
            st.rerun()
    elif chosen == sources.KAGGLE:
        _show_kaggle(source)
    elif chosen == _FOLDER:
        _show_path_input(source)
    else:
        _show_upload()
    if chosen not in (kind, _UPLOAD):
        st.caption(f"Still shown: {visit.describe_source()}.")


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
        with page.show_errors(ends_page=False):
            dataset = sources.load_dataset(typed)
            visit.load_dataset.clear()
            visit.choose_source(dataset.source)
            st.rerun()


def _show_upload() -> None:
    file = st.file_uploader("A .zip with one folder per emotion", type="zip", key="source_upload")
    if file is not None and st.session_state.get("used_upload") != streamlit_internals.identify_upload(file):
        with page.show_errors(ends_page=False):
            path = sources.store_upload(file.name, file)
            st.session_state.used_upload = streamlit_internals.identify_upload(file)
            visit.choose_source(str(path))
            st.rerun()
    size = sources.measure_uploads()
    if size:
        left, right = st.columns([3, 1], vertical_alignment="center")
        left.caption(f"Uploads are kept in {sources.uploads_dir()}: {size / 1e6:.1f} MB, so that a training can go on.")
        right.button("Clear uploads", key="clear_uploads", on_click=_clear_uploads, help="Everybody's uploads")


def _clear_uploads() -> None:
    """Deletes the uploads and goes back to the sample faces if one of them was chosen."""
    source = visit.current_source()
    sources.clear_uploads()
    visit.load_dataset.clear()
    if source not in (sources.SAMPLE, sources.KAGGLE) and Path(source).is_relative_to(sources.uploads_dir().resolve()):
        visit.choose_source(sources.SAMPLE)
        st.session_state.source_kind = sources.SAMPLE


def _show_kaggle(source: str) -> None:
    if kaggle.find_cached_dataset() is not None:
        st.caption(f"{kaggle.KAGGLE_HANDLE}, on this computer already: it works without network.")
        if source != sources.KAGGLE:
            visit.load_dataset.clear()
            visit.choose_source(sources.KAGGLE)
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
            total = status.total_bytes or _USUAL_DOWNLOAD_BYTES
            text = f"{status.num_bytes / 1e6:.1f} MB arrived" if status.num_bytes else "Waiting for Kaggle …"
            st.progress(min(1.0, status.num_bytes / total), text)
            st.button("Cancel", on_click=kaggle.cancel_download, key="cancel_download")
            return
        if status.state == "failed":
            st.warning(status.message, icon=":material/cloud_off:")
        elif status.state == "cancelled":
            st.caption("Cancelled; nothing was kept.")
        if st.button("Download from Kaggle", type="primary", key="start_download", icon=":material/download:"):
            with page.show_errors(ends_page=False):
                kaggle.start_download()
                st.rerun()

    show()


def show_unknown_folders(dataset: sources.Dataset) -> None:
    """Lets the visitor say what folders of unknown name hold. Until then their pictures are left out.

    Args:
        dataset: The data set.
    """
    if visit.folder_choices():
        said = ", ".join(f"“{folder}”: {label.replace('_', '-')}" for folder, label in visit.folder_choices().items())
        left, right = st.columns([4, 1], vertical_alignment="center")
        left.caption(f"What you said of folders: {said}.")
        right.button("Ask again", key="ask_again", on_click=lambda: st.session_state.pop("folder_choices", None))
    if not dataset.unknown_folders:
        return
    st.warning(
        "Some folders have names this app does not know. Their pictures are left out until you say what they are."
    )
    labels = [sources.LEAVE_OUT, *emotions.EMOTIONS, *emotions.GROUPS]
    with st.form("unknown_folders"):
        chosen = {
            folder: st.selectbox(f"“{folder}” ({num_images:,} pictures)", labels, key=f"unknown_{folder}")
            for folder, num_images in sorted(dataset.unknown_folders.items())
        }
        if st.form_submit_button("Use these answers"):
            st.session_state.folder_choices = {**visit.folder_choices(), **chosen}
            st.rerun()
