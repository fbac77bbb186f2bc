"""The app as a visitor meets it: fresh processes, clicks in a real browser, the server's memory; for any checkout.

An earlier commit's checkout can be measured beside this one (`--beside`), on the same machine in the same run. Whatever
goes wrong with one measurement is noted as its reason, and costs only that one.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Error, Page, expect
from skimage import data as public_pictures

from facedep.runs.run_folder import SHIPPED_RUN
from tests.helpers.browser_tools import find_listener, make_webcam_flags, open_browser, serve_app

_WAIT_MS = 120_000
_SECONDS_ON_THE_PAGE = 10
_FACE_CALLS = """
import json, sys, time
from pathlib import Path
import numpy as np
from facedep.networks.classifier import load_classifier
classifier = load_classifier(Path(sys.argv[1]))
size = classifier.input_size_px
seconds = {}
for num_faces in (1, 100):
    faces = np.random.default_rng(0).integers(0, 256, (num_faces, size, size, 1), dtype=np.uint8)
    classifier.predict(faces), classifier.predict(faces)
    seconds[num_faces] = []
    for _ in range(int(sys.argv[2]) // (1 if num_faces == 1 else 5) + 1):
        started = time.perf_counter()
        classifier.predict(faces)
        seconds[num_faces].append(time.perf_counter() - started)
print(json.dumps(seconds))
"""


@dataclass(frozen=True)
class Checkout:
    """One state of the project, with folders of its own for models and cache.

    Attributes:
        project_dir: Its files.
        work_dir: For what it writes.
        source: The Kaggle set.
        num_starts: Fresh processes, clicks and trainings of each kind.
        num_calls: Warm library calls.
    """

    project_dir: Path
    work_dir: Path
    source: str
    num_starts: int
    num_calls: int

    @property
    def environment(self) -> dict[str, str]:
        """Variables for its processes."""
        return {
            "FACEDEP_MODELS_DIR": str(self.work_dir / "models"),
            "FACEDEP_CACHE_DIR": str(self.work_dir / "cache"),
            "PYTHONPATH": str(self.project_dir),
        }

    @property
    def run_dir(self) -> Path:
        """The shipped model's folder."""
        return self.work_dir / "models" / SHIPPED_RUN

    def run(self, *arguments: str) -> str:
        """Runs Python with these arguments in the checkout and returns what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.project_dir,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


def measure_checkout(checkout: Checkout) -> dict[str, Any]:
    """Returns all measurements of a checkout, by name; `reasons` says why one is missing.

    Args:
        checkout: What is measured.
    """
    checkout.work_dir.mkdir(parents=True)
    shutil.copytree(checkout.project_dir / "models", checkout.work_dir / "models")
    results: dict[str, Any] = {"commit": _find_commit(checkout.project_dir), "reasons": {}}
    astronaut = Image.fromarray(public_pictures.astronaut())
    picture = checkout.work_dir / "astronaut.png"
    astronaut.save(picture)
    webcam = Image.new("RGB", (640, 480), "gray")
    webcam.paste(astronaut.crop((144, 0, 304, 160)).resize((480, 480)), (80, 0))
    flags = make_webcam_flags(webcam, checkout.work_dir)
    with open_browser(*flags) as browser:
        steps: dict[str, Callable[[], dict[str, Any]]] = {
            "predict": lambda: _time_predict(checkout, picture),
            "calls": lambda: _time_calls(checkout),
            "evaluate": lambda: _time_evaluate(checkout),
            "first page": lambda: _time_first_page(checkout, browser),
            "snapshot": lambda: _time_snapshots(checkout, browser),
            "training": lambda: _time_quick_training(checkout, browser),
        }
        for name, step in steps.items():
            print(f"{time.strftime('%H:%M:%S')} {checkout.project_dir.name}: {name}", flush=True)
            try:
                results |= step()
            except (Error, AssertionError, pytest.fail.Exception, subprocess.CalledProcessError, OSError) as error:
                results["reasons"][name] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    return results


def _find_commit(folder: Path) -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=folder, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def _time_predict(checkout: Checkout, picture: Path) -> dict[str, Any]:
    """Seconds of fresh processes that predict one picture file; the first only fills the system's file cache."""
    seconds = [
        _time(lambda: checkout.run("-m", "facedep", "predict", str(picture), "--json"))
        for _ in range(checkout.num_starts + 1)
    ]
    return {"predict_seconds": seconds[1:]}


def _time_calls(checkout: Checkout) -> dict[str, Any]:
    """Seconds of library calls in one process, for one face and for 100."""
    printed = checkout.run("-c", _FACE_CALLS, str(checkout.run_dir), str(checkout.num_calls))
    return {"call_seconds": json.loads(printed.splitlines()[-1])}


def _time_evaluate(checkout: Checkout) -> dict[str, Any]:
    """Seconds of fresh processes that score the model on the whole set: scanned before, nothing predicted yet."""
    checkout.run("-m", "facedep", "audit", "--data", checkout.source)
    seconds, printed = [], ""
    for _ in range(checkout.num_starts):
        shutil.rmtree(checkout.work_dir / "cache" / "answers", ignore_errors=True)
        shutil.rmtree(checkout.run_dir / "scores", ignore_errors=True)
        started = time.perf_counter()
        printed = checkout.run("-m", "facedep", "evaluate", "--data", checkout.source, "--subset", "all", "--json")
        seconds.append(time.perf_counter() - started)
    return {"evaluate_seconds": seconds, "evaluate_num_images": json.loads(printed)["num_images"]}


def _time_first_page(checkout: Checkout, browser: Browser) -> dict[str, Any]:
    """Seconds from the server's start until its first page shows its title; the same of an app that is only a title."""
    app, empty = checkout.project_dir / "streamlit_app.py", checkout.work_dir / "empty.py"
    empty.write_text("import streamlit as st\nst.title('Empty')\n", "utf-8")

    def visit(script: Path, title: str) -> None:
        with _serve(checkout, script) as address, _open(browser, address) as page:
            expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=_WAIT_MS)

    seconds: dict[str, list[float]] = {"empty_page_seconds": [], "first_page_seconds": []}
    for _ in range(checkout.num_starts):
        seconds["empty_page_seconds"].append(_time(lambda: visit(empty, "Empty")))
        seconds["first_page_seconds"].append(_time(lambda: visit(app, "Can a network see depression")))
    return seconds


def _time_snapshots(checkout: Checkout, browser: Browser) -> dict[str, Any]:
    """Seconds from the click on the shutter to the gauge, and the server's memory after these predictions."""
    seconds = []
    with _serve(checkout) as address, _open(browser, f"{address}/predict") as page:
        expect(page.get_by_text("What the model sees")).to_be_visible(timeout=_WAIT_MS)
        page.get_by_role("radio", name="Camera").click()
        page.get_by_text("Switch the camera on").click()
        for number in range(checkout.num_starts + 1):
            page.wait_for_function(
                "() => { const v = document.querySelector('[data-testid=stCameraInput] video');"
                " return v && v.readyState >= 2 && v.videoWidth > 0 }",
                timeout=_WAIT_MS,
            )
            started = time.perf_counter()
            page.get_by_test_id("stCameraInputButton").click()
            expect(page.locator(".st-key-gauge_Camera_1 .js-plotly-plot")).to_be_visible(timeout=_WAIT_MS)
            if number:
                seconds.append(time.perf_counter() - started)
            page.get_by_role("button", name="Clear photo").click()
            expect(page.locator(".st-key-gauge_Camera_1")).to_have_count(0, timeout=_WAIT_MS)
        memory = _read_memory(find_listener(int(address.rpartition(":")[2])))
    return {"snapshot_seconds": seconds, "server_bytes": memory}


def _time_quick_training(checkout: Checkout, browser: Browser) -> dict[str, Any]:
    """Seconds from the click on Start to the first point of the curve and to the result, on the built-in faces."""
    first, whole = [], []
    for _ in range(checkout.num_starts):
        shutil.rmtree(checkout.work_dir / "cache", ignore_errors=True)
        with _serve(checkout) as address, _open(browser, f"{address}/explore") as page:
            page.get_by_role("tab", name="Issues", exact=True).click()  # so that the pictures are scanned
            expect(page.get_by_text("different pictures among")).to_be_visible(timeout=_WAIT_MS)
            page.get_by_test_id("stSidebarNavLink").filter(has_text="Train").click()
            page.get_by_test_id("stRadioGroup").get_by_text("A quick start").click()
            page.wait_for_timeout(1000 * _SECONDS_ON_THE_PAGE)
            started = time.perf_counter()
            page.get_by_role("button", name="Start training").click()
            page.wait_for_function(
                "() => [...document.querySelectorAll('.st-key-live_loss .js-plotly-plot')]"
                ".some(g => g._fullData && g._fullData.some(t => t.x && t.x.length))",
                timeout=_WAIT_MS,
            )
            first.append(time.perf_counter() - started)
            expect(page.get_by_text("pictures it has never seen").first).to_be_visible(timeout=_WAIT_MS)
            expect(page.get_by_role("button", name="Start training")).to_be_visible(timeout=_WAIT_MS)
            whole.append(time.perf_counter() - started)
    return {"first_point_seconds": first, "quick_seconds": whole}


@contextmanager
def _serve(checkout: Checkout, script: Path | None = None) -> Iterator[str]:
    script = script or checkout.project_dir / "streamlit_app.py"
    with serve_app(script, project_dir=checkout.project_dir, **checkout.environment) as address:
        yield address


@contextmanager
def _open(browser: Browser, address: str) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1280, "height": 720}) as context:
        page = context.new_page()
        page.goto(address)
        yield page


def _time(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _read_memory(process_id: int) -> int | None:
    """Returns the memory that a process holds now, in bytes; None where the system does not say it this way."""
    try:
        lines = Path(f"/proc/{process_id}/status").read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), None)
