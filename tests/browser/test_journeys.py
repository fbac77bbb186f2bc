"""The main journeys in a real browser: see the data, train and watch, take a snapshot, get an answer."""

import io
import re
import shutil
import time
import zipfile

import numpy as np
import pandas as pd
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (requirements-dev.txt)")

from browser_tools import APP, make_webcam_flags, open_browser, read_growing, serve_app, wait_until  # noqa: E402
from PIL import Image  # noqa: E402
from skimage import data as public_pictures  # noqa: E402

from facedep.data import sample_faces  # noqa: E402
from facedep.paths import PROJECT_DIR  # noqa: E402

pytestmark = pytest.mark.browser
expect = playwright.expect


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    shutil.copytree(PROJECT_DIR / "models", folder / "models")
    return {"FACEDEP_MODELS_DIR": str(folder / "models"), "FACEDEP_CACHE_DIR": str(folder / "cache")}


@pytest.fixture(scope="module")
def webcam_flags(tmp_path_factory):
    face = Image.fromarray(public_pictures.astronaut()).crop((144, 0, 304, 160)).resize((480, 480))
    picture = Image.new("RGB", (640, 480), "gray")
    picture.paste(face, (80, 0))
    return make_webcam_flags(picture, tmp_path_factory.mktemp("webcam"))


@pytest.fixture(scope="module")
def browser(webcam_flags):
    with open_browser(*webcam_flags) as browser:
        yield browser


@pytest.fixture(scope="module")
def address(folders):
    """Of one server for all visitors but those who need a fresh one."""
    with serve_app(**folders) as address:
        yield address


def open_page(page, name):
    page.get_by_test_id("stSidebarNavLink").filter(has_text=name).click()


def test_visitor_explores_trains_watches_and_predicts(browser, address):
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        requested = []
        context.on("request", lambda request: requested.append(request.url))
        page.goto(address)
        expect(page.get_by_role("heading", name="Can a network see depression")).to_be_visible(timeout=30_000)

        open_page(page, "Explore")
        expect(page.get_by_test_id("stMetricValue").first).to_have_text("2,100", timeout=30_000)
        expect(page.locator(".st-key-first_pictures img")).to_have_count(9, timeout=30_000)

        open_page(page, "Train")
        page.get_by_test_id("stRadioGroup").get_by_text("A small modern network").click()
        page.get_by_role("button", name="Start training").click()
        expect(page.get_by_role("button", name="Stop and keep")).to_be_visible(timeout=60_000)
        expect(page.get_by_text(re.compile(r"Epoch \d+ of 20"))).to_be_visible(timeout=120_000)
        read_growing(page, num_readings=3, seconds=60)
        page.reload()
        expect(page.get_by_text(re.compile(r"Epoch \d+ of 20"))).to_be_visible(timeout=30_000)
        read_growing(page, num_readings=3, seconds=60)

        # A second tab sees the same training and offers no second start.
        second = context.new_page()
        second.goto(f"{address}/train")
        expect(second.get_by_role("button", name="Stop and keep")).to_be_visible(timeout=30_000)
        expect(second.get_by_role("button", name="Start training")).to_have_count(0)
        second.close()

        page.get_by_role("button", name="Stop and keep").click()
        expect(page.get_by_role("heading", name=re.compile("compact .* stopped"))).to_be_visible(timeout=60_000)
        expect(page.get_by_text("Of 100 pictures it has never seen")).to_be_visible()

        page.get_by_role("button", name="Predict with it").click()
        expect(page.get_by_role("heading", name="Show it a face")).to_be_visible()
        page.get_by_role("radio", name="Camera").click()
        page.get_by_text("Switch the camera on").click()
        page.wait_for_function(
            "() => { const v = document.querySelector('[data-testid=stCameraInput] video');"
            " return v && v.readyState >= 2 && v.videoWidth > 0 }",
            timeout=30_000,
        )
        page.get_by_test_id("stCameraInputButton").click()
        expect(page.get_by_role("heading", name=re.compile("epressed”"))).to_be_visible(timeout=60_000)
        expect(page.get_by_text("What the model sees: 48 x 48 gray pixels")).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        ours = (address, address.replace("http", "ws", 1), "data:", "blob:")
        assert [url for url in requested if not url.startswith(ours)] == []  # the icon among them


def test_visitor_judges_answers_to_snapshots_to_a_live_camera_and_to_many_files(browser, address, tmp_path):
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{address}/predict")
        expect(page.get_by_text("What the model sees")).to_be_visible(timeout=60_000)

        # A snapshot: the box around the face, gauge and bars, then the overlay, within a second once warm.
        page.get_by_role("radio", name="Camera").click()
        page.get_by_text("Switch the camera on").click()
        for number in (1, 2):
            page.wait_for_function(
                "() => { const v = document.querySelector('[data-testid=stCameraInput] video');"
                " return v && v.readyState >= 2 && v.videoWidth > 0 }",
                timeout=30_000,
            )
            started = time.monotonic()
            page.get_by_test_id("stCameraInputButton").click()
            expect(page.get_by_text("What the model sees: 48 x 48 gray pixels")).to_be_visible(timeout=60_000)
            expect(page.locator(".st-key-gauge_Camera_1 .js-plotly-plot")).to_be_visible()
            print(f"snapshot {number} answered after {time.monotonic() - started:.2f} s")
            expect(page.locator(".st-key-forget")).to_be_visible()
            if number == 1:
                page.get_by_role("button", name="Clear photo").click()
        page.wait_for_timeout(1000)
        marked = page.get_by_test_id("stImage").filter(has_text="The picture").locator("img")
        wait_until(lambda: count_orange(marked.screenshot()) > 100, seconds=10, what="the box around the face")
        expect(page.locator(".st-key-emotions_Camera_1 .js-plotly-plot")).to_be_visible()
        page.get_by_text("Why, and how sure").click()
        expect(page.get_by_text("Mirrored, shifted a little")).to_be_visible(timeout=30_000)
        page.get_by_text("Class activation map").click()
        expect(page.get_by_text("What the last layer adds up")).to_be_visible(timeout=30_000)
        chart = page.locator(".st-key-visit_chart .js-plotly-plot")
        assert chart.evaluate("g => g._fullData[0].x.length") == 2
        page.get_by_role("button", name="Forget all").click()
        expect(page.get_by_text("What the model sees")).to_have_count(0)

        # The live camera answers again and again.
        page.get_by_role("radio", name="Live").click()
        page.get_by_text("Switch the camera on").click()
        expect(chart).to_be_visible(timeout=30_000)
        page.wait_for_function(
            "() => { const g = document.querySelector('.st-key-visit_chart .js-plotly-plot');"
            " return g && g._fullData && g._fullData[0].x.length >= 3 }",
            timeout=30_000,
        )

        # Many files: a table, the failures in it, and a download.
        archive = tmp_path / "many.zip"
        with zipfile.ZipFile(archive, "w") as writer:
            for number, emotion in enumerate(sample_faces.SAMPLE_EMOTIONS):
                face = io.BytesIO()
                Image.fromarray(sample_faces.draw_sample_face(emotion, number)).save(face, "PNG")
                writer.writestr(f"{emotion}.png", face.getvalue())
            writer.writestr("broken.png", b"no picture")
        page.get_by_role("radio", name="Files").click()
        page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(archive)
        expect(page.get_by_text("8 pictures · 7 faces answered · 1 could not be read")).to_be_visible(timeout=60_000)
        with page.expect_download() as download:
            page.get_by_role("button", name="Table (CSV)").click()
        download.value.save_as(tmp_path / "predictions.csv")
        assert pd.read_csv(tmp_path / "predictions.csv")["probability_depressed"].notna().sum() == 7
        expect(page.get_by_test_id("stException")).to_have_count(0)


def count_orange(screenshot):
    """How many pixels of a screenshot are as orange as no skin and no hair is."""
    red, green, blue = np.moveaxis(np.asarray(Image.open(io.BytesIO(screenshot)).convert("RGB")).astype(int), 2, 0)
    return ((red - blue > 120) & (green - blue > 60) & (red > green)).sum()


def test_visitor_looks_into_a_data_set_and_takes_tables_away(browser, address, tmp_path):
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{address}/explore")

        # A click on the bar of an emotion shows its pictures; a filter makes them fewer; a click on one its details.
        expect(page.get_by_test_id("stMetricValue").first).to_have_text("2,100", timeout=30_000)
        page.locator(".st-key-emotions").scroll_into_view_if_needed()
        bar = page.locator(".st-key-emotions .point path").first.bounding_box()
        page.mouse.click(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2)
        expect(page.get_by_role("tab", name="Gallery")).to_have_attribute("aria-selected", "true")
        expect(page.get_by_text("300 pictures. Click one for its details.")).to_be_visible()
        expect(page.locator(".st-key-gallery img")).to_have_count(36)
        page.get_by_role("combobox", name=re.compile("Part")).click()
        page.get_by_role("option", name="val").click()
        expect(page.get_by_text("45 pictures. Click one for its details.")).to_be_visible()
        page.locator(".st-key-gallery button").first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text("Part: val")).to_be_visible()
        page.keyboard.press("Escape")

        # The issues are found in the background; a slider judges again.
        page.get_by_role("tab", name="Issues", exact=True).click()
        expect(page.get_by_text("2,100 different pictures among 2,100 files.")).to_be_visible(timeout=90_000)
        expect(page.get_by_text("A lookup table without any learning")).to_be_visible()
        expect(page.get_by_text("Too bright: 2.")).to_be_visible()
        page.get_by_text("Where a measure becomes an issue").click()
        slider = page.get_by_role("slider", name=re.compile("Too bright"))
        slider.focus()
        for _ in range(10):
            slider.press("ArrowLeft")
        expect(page.get_by_text("Too bright: 2.")).to_have_count(0)
        expect(page.get_by_text(re.compile(r"Too bright: \d+\."))).to_be_visible()

        # The map is made in the background; a box around all of it selects all points.
        page.get_by_role("tab", name="Map").click()
        plot = page.locator(".st-key-map .js-plotly-plot")
        expect(plot).to_be_visible(timeout=180_000)
        page.wait_for_timeout(1000)
        plot.scroll_into_view_if_needed()
        page.wait_for_timeout(1000)
        area = plot.locator(".nsewdrag").first.bounding_box()
        corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.02)]
        points = [(area["x"] + area["width"] * x, area["y"] + area["height"] * y) for x, y in corners]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=8)
        page.mouse.up()
        expect(page.get_by_text("2,100 selected")).to_be_visible(timeout=30_000)
        expect(page.locator(".st-key-map_pictures img")).to_have_count(36)

        page.get_by_role("tab", name="Export").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="All measures and flags (CSV)").click()
        download.value.save_as(tmp_path / "flags.csv")
        table = pd.read_csv(tmp_path / "flags.csv")
        assert len(table) == 2100
        assert {"path", "contrast", "near_duplicate", "two_groups"} <= set(table.columns)
        page.get_by_role("button", name="Train on the cleaned data").click()
        expect(page.get_by_text("Pictures with these issues are left out: two groups.")).to_be_visible(timeout=30_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)


def test_visitor_evaluates_moves_the_threshold_and_plays_a_round(browser, address):
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{address}/evaluate")
        # The predictions come from a background process; then the one sentence and a cell that shows its pictures.
        expect(page.get_by_text(re.compile("Of 100 faces it has never seen, it puts"))).to_be_visible(timeout=120_000)
        page.locator(".st-key-emotion_errors").scroll_into_view_if_needed()
        page.wait_for_timeout(1000)
        cell = page.locator(".st-key-confusion .nsewdrag").bounding_box()
        page.mouse.click(cell["x"] + 0.75 * cell["width"], cell["y"] + 0.25 * cell["height"])
        expect(page.get_by_text(re.compile(r"\d+ pictures: labelled depressed, called non-depressed"))).to_be_visible()
        expect(page.locator(".st-key-confusion_pictures img")).to_have_count(18)

        page.get_by_role("tab", name="Threshold").click()
        sentence = page.get_by_text(re.compile("of 100 whose picture|Of 100 whose picture"))
        expect(sentence).to_be_visible(timeout=30_000)
        before = sentence.inner_text()
        slider = page.get_by_role("slider", name=re.compile("Calls a face"))
        slider.focus()
        for _ in range(20):
            slider.press("ArrowRight")
        expect(sentence).not_to_have_text(before, timeout=30_000)
        page.wait_for_function(
            "() => { const g = document.querySelector('.st-key-threshold_scores .js-plotly-plot');"
            " return g && g.layout && g.layout.title.text.includes('0.70') }",
            timeout=30_000,
        )

        page.get_by_role("tab", name="Game").click()
        for number in range(10):
            expect(page.get_by_text(f"Face {number + 1} of 10")).to_be_visible(timeout=30_000)
            page.get_by_role("button", name="“Non-depressed”", exact=True).click()
        expect(page.get_by_text("Of 10 faces you gave the label's answer for 5, the model for")).to_be_visible()
        expect(page.locator(".st-key-game_pictures img")).to_have_count(10)

        # Two runs come without their network: they can be compared on the Kaggle set only, and it is said.
        page.get_by_role("tab", name="Compare").click()
        expect(page.get_by_text("only the scores on other pictures are here")).to_be_visible(timeout=30_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)


def test_first_visit_straight_to_a_sub_page_is_a_part_of_the_app(folders, browser):
    with browser.new_context() as context, serve_app(**folders) as address:
        page = context.new_page()
        page.goto(f"{address}/explore")
        expect(page.get_by_role("heading", name="Explore the faces")).to_be_visible(timeout=30_000)
        expect(page.get_by_test_id("stSidebarNavLink")).to_have_text(
            [re.compile(name) for name in ("Home", "Explore", "Train", "Evaluate", "Predict")]
        )


def test_first_page_comes_within_twice_an_empty_apps_time(folders, browser, tmp_path):
    empty_app = tmp_path / "empty.py"
    empty_app.write_text("import streamlit as st\nst.title('Empty')\n")

    def measure(script, heading):
        start = time.monotonic()
        with serve_app(script, **folders) as address:
            page = browser.new_page()
            page.goto(address)
            expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=60_000)
            seconds = time.monotonic() - start
            page.close()
        return seconds

    empty = min(measure(empty_app, "Empty") for _ in range(2))
    ours = min(measure(APP, "Can a network see depression") for _ in range(2))
    print(f"first page: {ours:.1f} s, empty app: {empty:.1f} s")
    assert ours <= 2 * empty


def test_predict_answers_as_soon_as_it_is_there_even_as_the_first_page_of_all(folders, browser):
    with serve_app(**folders) as address:
        page = browser.new_page()
        page.goto(f"{address}/predict")
        expect(page.get_by_text("What the model sees")).to_be_visible(timeout=30_000)
        page.close()
