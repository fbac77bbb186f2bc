"""What the app takes from Streamlit and Starlette without a promise: an upgrade that removes it fails here."""

import asyncio

from starlette.formparsers import MultiPartParser
from starlette.requests import Request
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest

from facedep.app import streamlit_internals
from facedep.paths import PROJECT_DIR


def _is_spooled(num_bytes: int) -> bool:
    """Uploads a file of so many bytes, as Streamlit's server takes it; returns whether it went to the disk."""
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="me.png"\r\nContent-Type: image/png\r\n\r\n'
    body = start + bytes(num_bytes) + b"\r\n--x--\r\n"

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def upload():
        headers = [(b"content-type", b"multipart/form-data; boundary=x")]
        form = await Request({"type": "http", "method": "POST", "headers": headers}, receive).form()
        is_rolled = form["file"].file._rolled
        await form.close()
        return is_rolled

    return asyncio.run(upload())


def test_uploads_stay_in_memory(monkeypatch):
    monkeypatch.setattr(MultiPartParser, "spool_max_size", MultiPartParser.spool_max_size)  # put back at the end
    MultiPartParser.spool_max_size = 1024**2
    assert _is_spooled(3 * 1024**2)  # else the precaution is no longer needed
    streamlit_internals.keep_uploads_off_disk()
    assert not _is_spooled(3 * 1024**2)


def test_a_folder_called_pages_is_still_run_without_the_app():
    assert callable(script_runner._mpa_v1)
    assert PagesManager.uses_pages_directory in (None, True, False)


def test_a_sub_page_that_is_run_by_itself_is_run_again_within_the_navigation():
    def sub_page(pages_dir):
        from pathlib import Path

        import streamlit as st

        from facedep.app import streamlit_internals

        st.session_state.num_runs = st.session_state.get("num_runs", 0) + 1
        if st.session_state.num_runs == 2:
            streamlit_internals.note_navigation()  # what `streamlit_app.py` does, which is run now
        streamlit_internals.ensure_navigation(Path(pages_dir))
        st.title("Here")

    app = AppTest.from_function(sub_page, kwargs={"pages_dir": str(PROJECT_DIR / "pages")}, default_timeout=30).run()
    assert not app.exception
    assert app.session_state.num_runs == 2
    assert [title.value for title in app.title] == ["Here"]


def test_every_upload_has_another_id():
    def page():
        import streamlit as st

        from facedep.app import streamlit_internals

        files = st.file_uploader("Files", accept_multiple_files=True, key="files")
        st.session_state.ids = [streamlit_internals.identify_upload(file) for file in files]

    app = AppTest.from_function(page, default_timeout=30).run()
    app.file_uploader(key="files").set_value([("a.txt", b"same", "text/plain"), ("a.txt", b"same", "text/plain")]).run()
    assert not app.exception
    first = app.session_state.ids
    assert len(set(first)) == 2
    app.run()
    assert app.session_state.ids == first
