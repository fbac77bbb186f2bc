"""An uploaded photograph reaches its answer without any file of the server's: the Predict page's promise, watched."""

import io
import os
import stat
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (requirements-dev.txt)")

from browser_tools import find_listener, open_browser, serve_app  # noqa: E402
from PIL import Image  # noqa: E402
from skimage import data as public_pictures  # noqa: E402

from facedep.paths import PROJECT_DIR  # noqa: E402

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="open files are listed in /proc on Linux only"),
]
expect = playwright.expect
UPLOADER = "[data-testid=stFileUploader] input[type=file]"
PLAIN_APP = """
import streamlit as st
file = st.file_uploader("Pictures", key="files")
st.write(f"got {len(file.getvalue())} bytes" if file else "got nothing")
"""


class FileWatch(threading.Thread):
    """Looks every other millisecond at the regular files that a process has open for writing, nameless ones too.

    Files open for reading only do not count: nothing can be left in them, and a server may load a module at any time.

    Attributes:
        files: What was seen, beside what was open at the start: `name, as of inode`.
        num_looks: How often it looked.
    """

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self._folder = f"/proc/{pid}/fd"
        self._ends = threading.Event()
        self._old: set[str] = set()
        self._old = self._look()
        self.files: set[str] = set()
        self.num_looks = 0

    def _look(self) -> set[str]:
        found = set()
        for number in os.listdir(self._folder):
            try:
                info = os.stat(f"{self._folder}/{number}")  # of the file itself, whether it still has a name or not
                if not stat.S_ISREG(info.st_mode):
                    continue
                flags = Path(f"{self._folder}info/{number}").read_text().split("flags:")[1].split()[0]
                file = f"{os.readlink(f'{self._folder}/{number}')}, inode {info.st_ino}"
            except OSError:  # closed meanwhile
                continue
            if int(flags, 8) & os.O_ACCMODE != os.O_RDONLY:
                found.add(file)
        return found - self._old

    def run(self) -> None:
        while not self._ends.is_set():
            self.files |= self._look()
            self.num_looks += 1
            time.sleep(0.002)

    def __enter__(self) -> "FileWatch":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self.join()


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A photograph of about 5 MB: a face in the middle of noise, which no format makes smaller."""
    pixels = np.random.default_rng(0).integers(0, 256, (1240, 1400, 3), dtype=np.uint8)
    head = Image.fromarray(public_pictures.astronaut()[:220, 110:330]).resize((600, 600))
    pixels[320:920, 400:1000] = np.asarray(head)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    assert 4.5e6 < len(buffer.getvalue()) < 6e6
    return buffer.getvalue()


def read_environment(folder: Path) -> dict[str, str]:
    """Folders of the server's own, the one for temporary files among them."""
    (folder / "temporary").mkdir()
    return {
        "TMPDIR": str(folder / "temporary"),
        "FACEDEP_CACHE_DIR": str(folder / "cache"),
        "FACEDEP_MODELS_DIR": str(PROJECT_DIR / "models"),
    }


def list_files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_uploaded_photo_is_answered_and_no_file_is_written(photo, tmp_path):
    with open_browser() as browser, serve_app(**read_environment(tmp_path)) as address:
        page = browser.new_page()
        page.goto(f"{address}/predict")
        # The model is loaded and a drawn face answered before the watch begins.
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=120_000)
        page.get_by_role("radio", name="Files").click()
        expect(page.locator(UPLOADER)).to_be_attached(timeout=30_000)
        expect(page.locator(".js-plotly-plot")).to_have_count(0, timeout=30_000)
        files_before = list_files(tmp_path)
        with FileWatch(find_listener(int(address.rpartition(":")[2]))) as watch:
            page.locator(UPLOADER).set_input_files({"name": "me.png", "mimeType": "image/png", "buffer": photo})
            expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=60_000)
            expect(page.get_by_text("What the model sees").first).to_be_visible()
        assert watch.num_looks > 50
        assert watch.files == set()
        assert list(Path(tmp_path, "temporary").iterdir()) == []
        assert list_files(tmp_path) == files_before


def test_the_watch_sees_what_a_server_without_the_precaution_does(photo, tmp_path):
    (tmp_path / "app.py").write_text(PLAIN_APP)
    with open_browser() as browser, serve_app(tmp_path / "app.py", **read_environment(tmp_path)) as address:
        page = browser.new_page()
        seen = set()
        for _ in range(5):  # the file is there for some milliseconds only
            page.goto(address)
            expect(page.get_by_text("got nothing")).to_be_visible(timeout=60_000)
            with FileWatch(find_listener(int(address.rpartition(":")[2]))) as watch:
                page.locator(UPLOADER).set_input_files({"name": "me.png", "mimeType": "image/png", "buffer": photo})
                expect(page.get_by_text(f"got {len(photo)} bytes")).to_be_visible(timeout=30_000)
            seen |= watch.files
            if seen:
                break
        assert any(str(tmp_path / "temporary") in file and "(deleted)" in file for file in seen)
