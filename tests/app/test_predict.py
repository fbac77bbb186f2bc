"""The Predict page, as a visitor sees it. Without a browser, through `streamlit_app.py`."""

import io
import json
import shutil

import pytest
from app_tools import encode_face, make_zip, texts, wait_for_model
from PIL import Image

from facedep.app import camera
from facedep.data import sample_faces
from facedep.networks.card import CARD_FILE
from facedep.paths import models_dir
from facedep.runs import run_folder as runs


def is_predicted(app):
    return "pictures it was trained on" in texts(app) or "Uncertain: too close to call" in texts(app)


def test_predict_answers_for_a_drawn_face_with_the_shipped_model(app):
    app.switch_page("pages/predict.py").run()
    wait_for_model(app)
    assert not app.exception
    assert is_predicted(app)
    assert "findahelpline" in texts(app)
    assert len(app.get("plotly_chart")) == 2


def test_predict_gives_no_label_within_the_uncertain_band(app):
    path = models_dir() / runs.SHIPPED_RUN / CARD_FILE
    card = json.loads(path.read_text("utf-8"))
    card["calibration"] = {"temperature": 1.0, "abstention_band": {"low": 0.0, "high": 1.0, "target_error": 0.1}}
    path.write_text(json.dumps(card), "utf-8")
    app.switch_page("pages/predict.py").run()
    wait_for_model(app)
    assert not app.exception
    assert "Uncertain: too close to call" in [title.value for title in app.subheader]
    assert "pictures it was trained on" not in texts(app)
    assert "Between 0% and 100%" in texts(app)


def open_files(app, *files):
    app.switch_page("pages/predict.py").run()
    app.segmented_control(key="route").set_value("Files").run()
    app.file_uploader(key="files").set_value([(name, content, "image/png") for name, content in files]).run()
    wait_for_model(app)
    assert not app.exception
    return app


def test_predict_answers_for_one_file_in_full(app):
    open_files(app, ("good.png", encode_face("happy", 1)))
    assert is_predicted(app)
    assert not app.dataframe


def test_predict_answers_for_many_files_in_a_table_and_names_the_bad_one(app):
    open_files(app, ("good.png", encode_face("happy", 1)), ("bad.png", b"no picture"), ("set.zip", make_zip("a")))
    table = app.dataframe[0].value
    assert table["Picture"].tolist() == ["good.png", "bad.png", *sorted(f"set.zip/a/{n}.png" for n in range(12))]
    assert table["Answer"].tolist()[1] == "cannot be read"
    assert "bad.png is not a picture" in table["Remarks"].tolist()[1]
    assert table["P(“depressed”)"].notna().sum() == 13
    assert "14 pictures · 13 faces answered · 1 could not be read" in texts(app)
    assert is_predicted(app)  # the first one in full
    assert {button.key for button in app.get("download_button")} >= {"many_csv", "many_json"}


def test_predict_keeps_snapshots_until_they_are_to_be_forgotten(app):
    app.switch_page("pages/predict.py").run()
    app.segmented_control(key="route").set_value("Camera").run()
    assert not app.get("camera_input")
    app.toggle(key="camera_on").set_value(True).run()
    for number in (15, 16):
        picture = io.BytesIO()
        Image.fromarray(sample_faces.draw_sample_face("sad", number)).resize((640, 480)).save(picture, "JPEG")
        app.camera_input(key="snapshot_0").upload("snapshot.jpg", picture.getvalue()).run()
        wait_for_model(app)
    assert not app.exception
    assert is_predicted(app)  # the drawn face in it was found
    assert len(app.session_state.visit) == 2
    app.toggle(key="whole_Camera").set_value(True).run()
    assert "The middle square of the picture was taken" in texts(app)
    assert len(app.session_state.visit) == 2  # the same snapshot
    app.button(key="forget").click().run()
    assert "visit" not in app.session_state
    assert not is_predicted(app)
    assert not app.get("camera_input")  # it is switched off, too


def test_predict_compares_two_models_on_the_same_face(app):
    shutil.copytree(models_dir() / runs.SHIPPED_RUN, models_dir() / "twin")
    app.switch_page("pages/predict.py").run()
    app.selectbox(key="other_model").set_value("twin").run()
    wait_for_model(app)
    assert not app.exception
    assert len(app.get("plotly_chart")) == 4
    assert "They agree" in texts(app)


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("http://localhost:8501/predict", True),
        ("http://127.0.0.1:8501/predict", True),
        ("http://[::1]:8501/", True),
        ("https://faces.example.org/predict", True),
        ("http://192.168.0.7:8501/predict", False),
        ("http://localhost.example.org/", False),
        (None, True),
    ],
)
def test_camera_is_offered_where_browsers_allow_one(address, is_allowed):
    assert camera.is_camera_allowed(address) is is_allowed
