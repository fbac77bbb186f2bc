"""Every page and every tab with data sets that are too small, too uniform or damaged: a sentence, never a traceback."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from facedep import emotions
from facedep.app.evaluate import tabs as evaluate
from facedep.app.explore import tabs as explore
from facedep.cli.main import main
from facedep.data import sample_faces
from facedep.data.sources import load_dataset
from facedep.inference import embedding_map as projection
from facedep.paths import PROJECT_DIR, models_dir
from facedep.runs import jobs, run_folder

APP = str(PROJECT_DIR / "streamlit_app.py")
TABS = {
    "explore": explore.ALL_TABS,
    "evaluate": evaluate.ALL_TABS,
}
NUM_FACES = 6  # of one emotion: the fewest of which a leak-free split gives each part one


def _write_faces(folder: Path, emotion: str, num_images: int = NUM_FACES, *, are_equal: bool = False) -> None:
    folder.mkdir(parents=True)
    for number in range(num_images):
        face = sample_faces.draw_sample_face(emotion, 0 if are_equal else number)
        Image.fromarray(face).resize((48, 48)).save(folder / f"{number}.png")


def _write_few(num_images: int) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        _write_faces(root / "sad", "sad", num_images)
        _write_faces(root / "happy", "happy", num_images)

    return write


def _write_one_class(root: Path) -> None:
    _write_faces(root / "happy", "happy")


def _write_damaged(root: Path) -> None:
    for folder in ("sad", "happy"):
        (root / folder).mkdir(parents=True)
        for number in range(NUM_FACES):
            (root / folder / f"{number}.png").write_bytes(b"no picture")


def _write_two_groups(root: Path) -> None:
    _write_faces(root / emotions.DEPRESSED, "sad")
    _write_faces(root / emotions.NON_DEPRESSED, "happy")


def _write_duplicates(root: Path) -> None:
    for part in ("train", "val", "test"):
        for emotion in ("sad", "happy"):
            _write_faces(root / part / emotion, emotion, 3, are_equal=True)


def _write_mostly_depressed(root: Path) -> None:
    for emotion in ("sad", "neutral", "happy"):
        _write_faces(root / emotion, emotion)


def _write_unknown_folders(root: Path) -> None:
    _write_faces(root / "grumpy", "angry", 3)
    _write_faces(root / "cheerful", "happy", 3)


AWKWARD = {
    "two pictures": _write_few(1),
    "three and three": _write_few(3),
    "one class": _write_one_class,
    "all damaged": _write_damaged,
    "two groups": _write_two_groups,
    "all duplicates": _write_duplicates,
    "mostly depressed": _write_mostly_depressed,
    "unknown folders": _write_unknown_folders,
}

# Where the pictures do not suffice, so that a sentence has to say what to do.
SENTENCES = {
    "two pictures": {("explore", explore.ISSUES), ("evaluate", evaluate.OVERVIEW), ("train", "")},
    "three and three": {("explore", explore.ISSUES), ("evaluate", evaluate.OVERVIEW), ("train", "")},
    "one class": {
        ("explore", explore.AVERAGE_FACES),
        ("explore", explore.ISSUES),
        ("evaluate", evaluate.CURVES),
        ("train", ""),
    },
    "all damaged": {
        *(("explore", tab) for tab in explore.ALL_TABS[2:]),
        *(("evaluate", tab) for tab in TABS["evaluate"]),
        ("train", ""),
    },
    "all duplicates": {("explore", explore.ISSUES), ("train", "")},
    "unknown folders": {(page, tab) for page, tabs in TABS.items() for tab in tabs} | {("train", "")},
}
CONTENT_KINDS = ("plotly_chart", "bidi_component", "arrow_data_frame", "download_button", "progress")


@pytest.fixture
def app(monkeypatch) -> AppTest:
    """The app with the shipped model. What a page starts in the background is done at once, in this process."""

    def start_job(name: str, argv: list[str]) -> None:
        path = jobs.find_progress_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        main([*argv, "--progress", str(path)])

    monkeypatch.setattr(jobs, "start_job", start_job)
    for name in ("_NUM_EARLY_STEPS", "_NUM_STEPS"):  # a map of 18 pictures needs no 750
        monkeypatch.setattr(projection, name, projection._STEPS_AT_ONCE)
    shutil.copytree(PROJECT_DIR / "models" / run_folder.SHIPPED_RUN, models_dir() / run_folder.SHIPPED_RUN)
    return AppTest.from_file(APP, default_timeout=60)


def _visit_all(app: AppTest) -> dict[tuple[str, str], tuple[list[str], list[str], bool]]:
    """Returns by page and tab: what was raised, the sentences of its cards, and whether anything else is there."""
    found = {}
    for page in ("explore", "evaluate", "train", "predict"):
        app.switch_page(f"pages/{page}.py")
        for tab in TABS.get(page, ("",)):
            app.session_state[f"{page}_view"] = tab
            app.run()
            raised = ["".join((error.message, *error.stack_trace)) for error in app.exception]
            cards = [card.value for kind in (app.info, app.warning, app.error, app.success) for card in kind]
            found[page, tab] = raised, cards, any(app.get(kind) for kind in CONTENT_KINDS)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", AWKWARD)
def test_every_page_and_tab_shows_an_awkward_data_set_or_says_what_to_do(app, tmp_path, name):
    AWKWARD[name](tmp_path / name)
    app.session_state["source"] = str(tmp_path / name)
    app.run()
    found = _visit_all(app)
    assert {place: raised for place, (raised, _, _) in found.items() if raised} == {}
    assert [place for place in SENTENCES.get(name, ()) if not found[place][1]] == []
    assert [place for place, (_, cards, has_content) in found.items() if not cards and not has_content] == []


def test_a_picture_without_measures_passes_no_filter_by_measure_and_raises_nothing(app, tmp_path):
    _write_damaged(tmp_path / "damaged")
    app.session_state["source"] = str(tmp_path / "damaged")
    app.run()
    main(["audit", "--data", load_dataset(str(tmp_path / "damaged")).source])
    app.session_state["explore_view"] = explore.GALLERY
    app.switch_page("pages/explore.py").run()
    app.selectbox(key="filter_measure").set_value("contrast").run()
    assert not app.exception
    assert not app.slider
