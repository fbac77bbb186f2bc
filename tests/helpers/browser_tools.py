"""What the browser tests need: a server of the app's own, Chromium, and a fake webcam that shows a face."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from facedep.paths import PROJECT_DIR

APP = PROJECT_DIR / "streamlit_app.py"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
POINTS_SCRIPT = """
() => [...document.querySelectorAll('.js-plotly-plot')]
    .map(g => g._fullData ? g._fullData.reduce((sum, t) => sum + (t.x ? t.x.length : 0), 0) : 0)
"""


def find_program(*names: str) -> str:
    """Returns a program's path; without it the test is skipped, or fails where `FACEDEP_REQUIRE_BROWSER` is set."""
    for name in names:
        if path := shutil.which(name):
            return path
    message = f"{' or '.join(names)} is not installed; on Debian: apt-get install chromium ffmpeg"
    if os.environ.get("FACEDEP_REQUIRE_BROWSER"):
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def serve_app(script: Path = APP, *, project_dir: Path = PROJECT_DIR, **environment: str) -> Iterator[str]:
    """Runs the app on a free port and gives its address; ends it, and only it, at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.fileWatcherType", "none"]
    server = subprocess.Popen(
        command,
        cwd=project_dir,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://localhost:{port}"
    try:
        wait_until(lambda: _answers(f"{address}/_stcore/health"), seconds=60, what="the server to answer")
        yield address
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:  # TensorFlow, half imported on a busy machine, lets no signal through
            server.kill()
            server.wait(20)


def find_listener(port: int) -> int:
    """Returns the id of the process of this user that listens on a port of this computer (Linux)."""
    sockets = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            _, local, _, state, *others = line.split()
            if int(local.rpartition(":")[2], 16) == port and state == "0A":
                sockets.add(f"socket:[{others[5]}]")
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # ended meanwhile, or somebody else's
            if os.readlink(link) in sockets:
                return int(link.parts[2])
    pytest.fail(f"no process listens on port {port}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_until(condition, *, seconds: float, what: str) -> None:
    """Waits until a condition holds, or fails the test naming what it waited for."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.2)


@contextmanager
def open_browser(*flags: str) -> Iterator[Browser]:
    """Gives headless Chromium."""
    path = find_program("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*CHROMIUM_FLAGS, *flags])
        yield browser
        browser.close()


def make_webcam_flags(face: Image.Image, folder: Path) -> list[str]:
    """Returns Chromium's flags for a webcam that shows a still picture."""
    still, video = folder / "face.png", folder / "webcam.y4m"
    face.save(still)
    command = [find_program("ffmpeg"), "-y", "-v", "error", "-loop", "1", "-i", str(still), "-t", "1", "-r", "10"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(video)], check=True)
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
    ]


def count_points(page: Page) -> int:
    """Returns how many points all charts of the page hold; 0 while one is being redrawn."""
    return sum(page.evaluate(POINTS_SCRIPT))


def read_growing(page: Page, *, num_readings: int, seconds: float) -> list[int]:
    """Returns readings of the number of points, each larger than the one before, or fails the test."""
    readings = [count_points(page)]

    def grown() -> bool:
        now = count_points(page)
        if now > readings[-1]:
            readings.append(now)
        return len(readings) > num_readings

    wait_until(grown, seconds=seconds, what=f"{num_readings} growing readings of the curves, got {readings}")
    return readings
