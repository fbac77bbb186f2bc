"""Every use of something that Streamlit, or the server beneath it, does not document: why, and what breaks without it.

All of it was read in Streamlit 1.67.0 and Starlette 1.10.0. If an upgrade changes one of these things,
`tests/app/test_streamlit_internals.py` fails and names it.
"""

import io
from pathlib import Path

import streamlit as st

_HAS_NAVIGATION = "has_navigation"  # session key: `streamlit_app.py` has built the navigation in this visit


def keep_uploads_off_disk() -> None:
    """Has the server receive uploads in memory, where Streamlit keeps them anyway, until it has them whole.

    Internal: `starlette.formparsers.MultiPartParser.spool_max_size`, the size above which a part of a form is spooled
    to a nameless file in the folder for temporary files. It is 1 MB by default, and neither Starlette's `Request.form`
    nor Streamlit's upload route has a parameter or an option for it. The new limit is the largest upload that the
    server accepts.

    Without it: a photograph is on the disk for some milliseconds, and the Predict page promises that nothing is stored.

    To be called on every page before anything can be uploaded there.
    """
    from starlette.formparsers import MultiPartParser

    MultiPartParser.spool_max_size = st.get_option("server.maxUploadSize") * 1024**2


def note_navigation() -> None:
    """Notes that `streamlit_app.py` runs this page. To be called there before `st.navigation`."""
    st.session_state[_HAS_NAVIGATION] = True


def ensure_navigation(pages_dir: Path) -> None:
    """Runs a sub-page again as a part of the app if Streamlit has run it without `streamlit_app.py`.

    Internal: as long as `PagesManager.uses_pages_directory` is true, which the first call of `st.navigation` in the
    server's life ends, `script_runner._mpa_v1` runs the files of a folder called `pages` by themselves. Only renaming
    that folder would prevent it.

    Without it: if the first visit of a server's life goes straight to a sub-page, that page comes without the
    others' names and icons in the sidebar.

    Args:
        pages_dir: The folder with the sub-pages.
    """
    if _HAS_NAVIGATION not in st.session_state:
        home = st.Page(lambda: None, title="facedep", default=True)
        st.navigation([home, *map(st.Page, sorted(pages_dir.glob("*.py")))], position="hidden")
        st.rerun()


def identify_upload(file: io.BytesIO) -> str:
    """Returns what distinguishes an upload from every other one, the same file uploaded again among them.

    Internal: `UploadedFile.file_id`, which the documentation of `st.file_uploader` does not name.

    Without it: an archive is stored and a bundle is loaded again at every click, as long as its file is in the widget.

    Args:
        file: From `st.file_uploader` or `st.camera_input`.
    """
    return str(getattr(file, "file_id"))  # noqa: B009  the documented type, `BytesIO`, does not have it
