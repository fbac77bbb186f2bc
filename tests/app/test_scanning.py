"""Pages never scan, and never look for faces, in their own thread: they follow the background and stay usable."""

import json
import shutil
import time
import zipfile

import cv2
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from facedep.app.evaluate import tabs as evaluate
from facedep.app.explore import tabs as explore
from facedep.audit import face_check
from facedep.data import scan
from facedep.data.scan import is_scanned, scan_dataset
from facedep.data.sources import Dataset, load_dataset
from facedep.errors import RunError
from facedep.files import write_json
from facedep.networks.card import CARD_FILE
from facedep.paths import PROJECT_DIR, models_dir
from facedep.runs import jobs, run_folder

APP = str(PROJECT_DIR / "streamlit_app.py")


@pytest.fixture
def started(monkeypatch) -> list[list[str]]:
    """Lists the command lines that pages start in the background; the processes only say that they run."""
    command_lines = []

    def start_job(name: str, argv: list[str]) -> None:
        path = jobs.find_progress_path(name)
        if jobs.read_job(name).state != jobs.RUNNING:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"state": jobs.RUNNING, "stage": "Looking", "done": 3, "total": 12})
            command_lines.append(argv)

    monkeypatch.setattr(jobs, "start_job", start_job)
    return command_lines


@pytest.fixture
def measured(monkeypatch) -> list[str]:
    """Lists the data sets that this process scans."""
    names, measure = [], scan._measure

    def measure_and_list(dataset, *arguments):
        names.append(dataset.name)
        return measure(dataset, *arguments)

    monkeypatch.setattr(scan, "_measure", measure_and_list)
    return names


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    path = tmp_path / "fresh.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(24):
            pixels = np.random.default_rng(number).integers(0, 256, (16, 16), dtype=np.uint8)
            archive.writestr(
                f"{'sad' if number % 2 else 'happy'}/{number}.png", cv2.imencode(".png", pixels)[1].tobytes()
            )
    return load_dataset(str(path))


@pytest.fixture
def app(dataset) -> AppTest:
    shutil.copytree(PROJECT_DIR / "models" / run_folder.SHIPPED_RUN, models_dir() / run_folder.SHIPPED_RUN)
    app = AppTest.from_file(APP, default_timeout=60)
    app.session_state["source"] = dataset.source
    return app.run()


def _open(app: AppTest, page: str, tab: str = "") -> None:
    app.session_state[f"{page}_view"] = tab
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception


def _read_captions(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.caption)


def _wait_until(is_so) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("page", "tab"), [("explore", explore.AVERAGE_FACES), ("evaluate", evaluate.CURVES)])
def test_a_page_follows_the_scan_in_the_background(app, started, measured, page, tab):
    _open(app, page, tab)
    assert [argv[0] for argv in started] == ["audit"]
    assert app.get("progress")[0].proto.value == 25
    assert not measured


@pytest.mark.parametrize(("key", "value"), [("recipe", "quick"), ("protocol", "published")])
def test_train_stays_usable_while_the_background_scans(app, dataset, started, measured, key, value):
    _open(app, "train")
    assert not started  # nothing here depends on the pictures yet
    widget = app.radio(key=key) if key == "recipe" else app.selectbox(key=key)
    widget.set_value(value).run()
    assert not app.exception
    assert [argv[0] for argv in started] == ["audit"]
    assert app.get("progress")[0].proto.value == 25
    assert not measured
    assert not app.button(key="start").disabled
    scan_dataset(dataset)
    app.run()
    assert not app.get("progress")
    app.run()
    wanted = ["audit", "prepare"] if key == "recipe" else ["audit"]  # `quick` looks at the pictures meanwhile, once
    assert [argv[0] for argv in started] == wanted


def test_train_says_before_the_start_that_the_pictures_do_not_suffice_for_a_split(app, dataset):
    scan_dataset(dataset)
    _open(app, "train")
    assert not app.button(key="start").disabled
    app.selectbox(key="protocol").set_value("supplied").run()
    assert "no supplied split" in app.error[0].value
    assert app.button(key="start").disabled
    assert app.selectbox(key="shown_run").value == run_folder.SHIPPED_RUN  # the rest of the page is there


@pytest.fixture
def no_cache(app, tmp_path, monkeypatch):
    """A cache folder that can neither be made nor written."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(tmp_path / "file" / "cache"))


def test_where_nothing_can_be_written_the_server_scans_once_and_says_so(app, dataset, measured, no_cache):
    _open(app, "explore", explore.AVERAGE_FACES)
    _wait_until(lambda: is_scanned(dataset))
    for _ in range(2):
        app.run()
        assert not app.exception
        assert app.get("plotly_chart")
        assert "it stays in memory until the app ends" in _read_captions(app)
    for tab in (explore.GALLERY, explore.ISSUES, explore.EXPORT):
        _open(app, "explore", tab)
    _open(app, "train")
    app.radio(key="recipe").set_value("quick").run()
    assert not app.exception
    assert measured == [dataset.name]


@pytest.mark.parametrize(
    ("page", "tab"),
    [("explore", explore.LABEL_ISSUES), ("explore", explore.MAP), ("evaluate", evaluate.CURVES)],
)
def test_work_that_needs_a_cache_says_so_where_there_is_none(app, dataset, no_cache, page, tab):
    scan_dataset(dataset)
    _open(app, page, tab)
    assert "could not be started" in app.error[0].value


def test_a_scan_that_breaks_off_in_the_server_is_a_sentence_and_can_be_tried_again(app, dataset, monkeypatch, no_cache):
    measure = scan._measure

    def fail(*_):
        raise RunError("The memory ran out.")

    monkeypatch.setattr(scan, "_measure", fail)
    _open(app, "explore", explore.AVERAGE_FACES)
    _wait_until(lambda: app.run().warning)
    assert [warning.value for warning in app.warning] == ["The memory ran out."]
    monkeypatch.setattr(scan, "_measure", measure)
    next(button for button in app.button if button.label == "Try again").click().run()
    _wait_until(lambda: is_scanned(dataset))
    app.run()
    assert app.get("plotly_chart")


def test_a_page_never_looks_for_faces_itself_where_a_split_depends_on_them(app, dataset, started, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("faces are looked for in the page's thread")

    monkeypatch.setattr(face_check, "detect_faces", fail)
    scan_dataset(dataset)
    path = models_dir() / run_folder.SHIPPED_RUN / CARD_FILE
    card = json.loads(path.read_text("utf-8"))
    dropped = {"all": 0, "no_face": 0}
    card["data"] |= {"content_hash": dataset.content_hash, "protocol": "leak-free"}
    card["data"] |= {"dropped_issues": dropped, "issue_limits": {}}
    path.write_text(json.dumps(card), "utf-8")
    _open(app, "evaluate", evaluate.CURVES)
    assert [argv[:2] for argv in started] == [["audit", "--faces"]]
    assert app.get("progress")
    has_face = {"has_face": np.ones(len(dataset.samples), bool)}
    face_check.write_arrays(face_check._find_path(dataset), has_face)
    app.run()
    assert not app.exception
    assert [argv[0] for argv in started] == ["audit", "evaluate"]  # the split is known: now the model is run
