"""Every page through `streamlit_app.py`, as a visitor sees it, without a browser."""

import io
import json
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from facedep.app import camera, models
from facedep.app.evaluate import game
from facedep.app.evaluate import tabs as evaluate
from facedep.app.explore import tabs as explore
from facedep.audit.face_check import read_face_check
from facedep.cli.main import main
from facedep.data import sample_faces, sources
from facedep.data.eval_subset import EvalSubset
from facedep.data.scan import is_scanned, scan_dataset
from facedep.evaluation import evaluation, metrics, protocol_comparison, robustness_run, subset_selection
from facedep.files import write_json
from facedep.inference import dataset_predictions, prediction_cache
from facedep.networks import decision_threshold
from facedep.networks.card import CARD_FILE, FINGERPRINTS_FILE, read_card
from facedep.paths import PROJECT_DIR, models_dir
from facedep.reporting import sentences
from facedep.runs import jobs
from facedep.runs import run_folder as runs

APP = str(PROJECT_DIR / "streamlit_app.py")
NOTICE = "It cannot diagnose depression"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for this file, so that the sample faces are looked at once."""
    return tmp_path_factory.mktemp("shared_cache")


@pytest.fixture
def app(cache, monkeypatch):
    """The app at its home page, with the models that come with the project."""
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(cache))
    shutil.copytree(PROJECT_DIR / "models", models_dir(), dirs_exist_ok=True)
    app = AppTest.from_file(APP, default_timeout=90).run()
    assert not app.exception
    return app


def texts(app):
    kinds = (app.markdown, app.caption, app.title, app.subheader, app.info, app.warning, app.error, app.success)
    return "\n".join(element.value for kind in kinds for element in kind)


def open_tab(app, title):
    """Opens the Explore page at one of its tabs; the sample faces have been looked at."""
    scan_dataset(sources.load_dataset(sources.SAMPLE))
    app.switch_page("pages/explore.py").run()
    app.session_state["explore_view"] = title
    app.run()
    assert not app.exception


def make_zip(*folders, num_images=12):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for folder in folders:
            for number in range(num_images):
                picture = io.BytesIO()
                emotion = sample_faces.SAMPLE_EMOTIONS[number % 7]
                Image.fromarray(sample_faces.draw_sample_face(emotion, number)).save(picture, "PNG")
                archive.writestr(f"{folder}/{number}.png", picture.getvalue())
    return buffer.getvalue()


def is_predicted(app):
    return "pictures it was trained on" in texts(app) or "Uncertain: too close to call" in texts(app)


def wait_for_model(app):
    for _ in range(120):
        if "The model is loading" not in texts(app):
            return app
        time.sleep(0.5)
        app.run()
    pytest.fail("the model never came")


@pytest.mark.parametrize("page", ["explore", "train", "predict"])
def test_every_page_opens_and_says_that_it_cannot_diagnose(app, page):
    assert NOTICE in texts(app)
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert NOTICE in texts(app)


def test_first_page_needs_no_tensorflow():
    code = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({APP!r}, default_timeout=30).run()\n"
        "heavy = {'tensorflow', 'keras', 'scipy', 'kagglehub'} & set(sys.modules)\n"
        "print(app.title[0].value, sorted(heavy), flush=True)\n"
        "import os; os._exit(0)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT_DIR, check=True)
    assert answer.stdout.strip().endswith("in a face? []")


def test_app_listens_on_localhost_only_and_sends_no_usage_statistics():
    settings = tomllib.loads((PROJECT_DIR / ".streamlit" / "config.toml").read_text("utf-8"))
    assert settings["server"]["address"] == "localhost"
    assert settings["browser"]["gatherUsageStats"] is False


def test_home_names_what_is_loaded(app):
    assert "2,100 sample faces" in texts(app)
    assert runs.SHIPPED_RUN in texts(app)


def test_explore_shows_the_counts_of_the_sample_faces(app):
    app.switch_page("pages/explore.py").run()
    assert [metric.value for metric in app.metric] == ["2,100", "29%", "71%", "7"]


def test_explore_filters_the_gallery(app):
    open_tab(app, explore.GALLERY)
    app.selectbox(key="filter_emotion").set_value("sad").run()
    app.selectbox(key="filter_subset").set_value("val").run()
    assert app.number_input(key="gallery_page").label == "Page (of 2)"  # 45 sad pictures in val, 36 on a page


def test_explore_filters_by_issue_and_by_measure(app):
    open_tab(app, explore.GALLERY)
    app.selectbox(key="filter_issue").set_value("bright").run()
    assert "2 pictures. Click one" in texts(app)
    app.selectbox(key="filter_issue").set_value("all").run()
    app.selectbox(key="filter_measure").set_value("contrast").run()
    low, high = app.slider(key="range_contrast").value
    app.slider(key="range_contrast").set_value((low, (low + high) / 2)).run()
    assert not app.exception
    number = int(texts(app).partition(" pictures. Click one")[0].rpartition("\n")[2].replace(",", ""))
    assert 0 < number < 2100


def test_explore_tells_copies_from_new_pictures_and_what_a_lookup_table_scores(app):
    open_tab(app, explore.ISSUES)
    assert "3 of the 315 test pictures look nearly the same as one in train" in texts(app)
    app.radio(key="leak_protocol").set_value("leak-free").run()
    assert "Train and test share no picture, not even a near-copy" in texts(app)
    assert "A lookup table without any learning" in texts(app)
    app.radio(key="leak_protocol").set_value("published").run()
    assert "The article reports “nearly 80 %” on this split" in texts(app)


def test_explore_counts_issues_again_when_a_slider_moves(app):
    open_tab(app, explore.ISSUES)
    assert "2,100 different pictures among 2,100 files" in texts(app)

    def count():
        table = app.dataframe[0].value
        return int(table.loc[table["issue"] == "Too bright", "pictures"].iloc[0])

    assert count() == 2
    app.slider(key="limit_max_shadows").set_value(0.3).run()
    assert not app.exception
    assert count() > 2
    app.session_state["explore_view"] = explore.GALLERY
    app.run()
    app.session_state["explore_view"] = explore.ISSUES
    app.run()
    assert app.slider(key="limit_max_shadows").value == 0.3


def test_explore_regroups_the_emotions_and_the_whole_app_follows(app):
    app.switch_page("pages/explore.py").run()
    app.pills(key="grouping").set_value(["sad"]).run()
    assert [metric.value for metric in app.metric] == ["2,100", "14%", "86%", "7"]
    app.pills(key="grouping").set_value(["angry", "fear", "happy", "neutral", "sad"]).run()
    assert ("“Always depressed” is right", "71%") in [(metric.label, metric.value) for metric in app.metric]
    app.pills(key="grouping").set_value(["sad"]).run()
    app.pills(key="grouping").set_value([]).run()
    assert "Choose at least one emotion" in texts(app)
    assert app.metric[1].value == "14%"


def test_explore_hands_the_cleaned_data_to_a_training_that_records_it(app):
    open_tab(app, explore.EXPORT)
    app.pills(key="cleaning_choice").set_value(["bright", "two_groups"]).run()
    assert "2,074 of 2,100 pictures stay" in texts(app)
    app.session_state["cleaning"] = ("bright", "two_groups")  # what the button does before it opens the page
    app.switch_page("pages/train.py").run()
    assert not app.exception
    assert "Pictures with these issues are left out: bright, two groups." in texts(app)
    app.button(key="use_all").click().run()
    assert "are left out" not in texts(app)


def test_explore_shows_average_faces_and_what_they_differ_in(app):
    open_tab(app, explore.AVERAGE_FACES)
    assert "around the mouth and chin" in texts(app)


def test_explore_looks_at_new_pictures_in_the_background(app, tmp_path):
    archive = tmp_path / "fresh.zip"
    archive.write_bytes(make_zip("happy", "sad"))
    app.switch_page("pages/explore.py").run()
    app.segmented_control(key="source_kind").set_value("folder").run()
    app.text_input(key="source_path").set_value(str(archive))
    app.button(key="FormSubmitter:path_form-Use it").click().run()
    app.session_state["explore_view"] = explore.ISSUES
    app.run()
    assert "This goes on in the background" in texts(app)
    deadline = time.monotonic() + 60
    while not is_scanned(sources.load_dataset(str(archive))):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    app.run()
    assert "24 files" in texts(app)


def test_explore_looks_for_pictures_without_a_face_when_asked(app, tmp_path):
    archive = tmp_path / "faceless.zip"
    archive.write_bytes(make_zip("happy", "sad"))
    blank = io.BytesIO()
    Image.new("L", (48, 48), 128).save(blank, "PNG")
    with zipfile.ZipFile(archive, "a") as files:
        files.writestr("happy/blank.png", blank.getvalue())
    dataset = sources.load_dataset(str(archive))
    scan_dataset(dataset)
    app.switch_page("pages/explore.py").run()
    app.segmented_control(key="source_kind").set_value("folder").run()
    app.text_input(key="source_path").set_value(str(archive))
    app.button(key="FormSubmitter:path_form-Use it").click().run()
    app.session_state["explore_view"] = explore.ISSUES
    app.run()
    assert "Without a face" not in app.dataframe[0].value["issue"].tolist()
    assert "take a second look at each, about 5 seconds here" in texts(app)
    next(button for button in app.button if button.label == "Look for pictures without a face").click().run()
    assert "This goes on in the background" in texts(app)
    app.slider(key="limit_max_shadows").set_value(0.3).run()  # the rest of the tab can be used meanwhile
    assert not app.exception
    deadline = time.monotonic() + 60
    while read_face_check(dataset) is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    app.run()
    table = app.dataframe[0].value
    assert table.loc[table["issue"] == "Without a face", "pictures"].tolist() == [1]
    assert "take a second look" not in texts(app)


def test_explore_does_not_start_a_scan_again_and_again_whose_result_cannot_be_kept(app, cache, tmp_path, monkeypatch):
    own_cache = tmp_path / "full"
    (own_cache / "decoded").parent.mkdir()
    (own_cache / "decoded").write_bytes(b"a file where the folder should be")
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(own_cache))
    archive = tmp_path / "fresh.zip"
    archive.write_bytes(make_zip("happy", "sad"))
    app.switch_page("pages/explore.py").run()
    app.segmented_control(key="source_kind").set_value("folder").run()
    app.text_input(key="source_path").set_value(str(archive))
    app.button(key="FormSubmitter:path_form-Use it").click().run()
    app.session_state["explore_view"] = explore.ISSUES
    app.run()
    assert "This goes on in the background" in texts(app)
    (job_file,) = (own_cache / "jobs").glob("audit-*.json")
    deadline = time.monotonic() + 60
    while jobs.read_job(job_file.stem).state == jobs.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    written = job_file.read_text()
    app.run()  # now the server scans and holds the result
    deadline = time.monotonic() + 60
    while not is_scanned(sources.load_dataset(str(archive))):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for _ in range(2):
        app.run()
        assert "24 files" in texts(app)
        assert "could not be kept" in texts(app)
    assert job_file.read_text() == written


def test_explore_does_not_start_work_again_and_again_whose_result_cannot_be_kept(app, tmp_path, monkeypatch):
    started = []
    archive = tmp_path / "fresh.zip"
    archive.write_bytes(make_zip("happy", "sad"))
    dataset = sources.load_dataset(str(archive))
    scan_dataset(dataset)

    def start_job(name, argv):
        started.append(argv)
        path = jobs.find_progress_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with jobs.JobWriter(path):
            pass  # it ends well and leaves nothing

    monkeypatch.setattr(jobs, "start_job", start_job)
    app.session_state["source"] = str(archive)
    app.session_state["explore_view"] = explore.MAP
    app.switch_page("pages/explore.py").run()
    for _ in range(2):
        app.run()
        assert "its result could not be kept" in texts(app)
    assert len(started) == 1
    next(button for button in app.button if button.label == "Try again").click().run()
    assert len(started) == 2


def test_explore_reads_a_folder_by_its_path_and_asks_about_unknown_folders(app, tmp_path):
    archive = tmp_path / "mine.zip"
    archive.write_bytes(make_zip("Happy", "SADNESS", "grumpy"))
    app.switch_page("pages/explore.py").run()
    app.segmented_control(key="source_kind").set_value("folder").run()
    app.text_input(key="source_path").set_value(str(archive))
    app.button(key="FormSubmitter:path_form-Use it").click().run()
    assert not app.exception
    assert app.metric[0].value == "24"
    app.selectbox(key="unknown_grumpy").set_value("angry")
    app.button(key="FormSubmitter:unknown_folders-Use these answers").click().run()
    assert app.metric[0].value == "36"


def test_explore_keeps_an_uploaded_zip_and_clears_it_when_asked(app):
    app.switch_page("pages/explore.py").run()
    app.segmented_control(key="source_kind").set_value("upload").run()
    app.file_uploader(key="source_upload").set_value([("faces.zip", make_zip("happy", "sad"), "application/zip")]).run()
    assert not app.exception
    assert app.metric[0].value == "24"
    assert sources.measure_uploads() > 0
    app.segmented_control(key="source_kind").set_value("upload").run()
    app.button(key="clear_uploads").click().run()
    assert sources.measure_uploads() == 0
    assert app.metric[0].value == "2,100"


def test_wrong_path_is_a_sentence_and_nothing_is_lost(app):
    app.switch_page("pages/explore.py").run()
    app.segmented_control(key="source_kind").set_value("folder").run()
    app.text_input(key="source_path").set_value("/no/such/folder")
    app.button(key="FormSubmitter:path_form-Use it").click().run()
    assert not app.exception
    assert "There is no folder or .zip file" in app.error[0].value
    app.switch_page("pages/explore.py").run()
    assert app.metric[0].value == "2,100"


def test_train_estimates_the_time_and_warns_of_a_leaky_split(app):
    scan_dataset(sources.load_dataset(sources.SAMPLE))
    app.switch_page("pages/train.py").run()
    assert "by its measured speed" in texts(app)
    assert not app.warning
    app.selectbox(key="protocol").set_value("published").run()
    assert not app.exception
    assert "Every score from it will carry this warning" in app.warning[0].value


def test_train_says_of_quick_how_many_pictures_the_model_it_starts_from_has_seen(app):
    scan_dataset(sources.load_dataset(sources.SAMPLE))
    app.switch_page("pages/train.py").run()
    app.radio(key="recipe").set_value("quick").run()
    assert not app.exception
    assert not app.warning
    assert "was trained on none of these 2,100 pictures" in texts(app)
    dataset = sources.load_dataset("sample")
    fingerprints = scan_dataset(dataset).fingerprints[:300]
    with (models_dir() / runs.SHIPPED_RUN / FINGERPRINTS_FILE).open("a") as file:
        file.write("\n".join(fingerprints) + "\n")
    app.run()
    assert "was trained on 300 of these 2,100 pictures" in app.warning[0].value


def test_train_offers_to_go_on_with_a_run_that_ended_early(app, monkeypatch):
    started = []
    monkeypatch.setattr(runs, "start_worker", lambda *arguments: started.append(arguments))
    config = runs.RunConfig("compact", "sample faces (drawn)", num_epochs=9, batch_size=64, learning_rate=3e-3)
    path = runs.create_run(config, "broken off")
    write_json(path / runs.STATUS_FILE, {"state": runs.FAILED, "message": "The power failed."})
    rows = [
        {"kind": "start", "num_train": 64, "num_steps": 1, "num_epochs": 9, "num_val": 1},
        {"kind": "epoch", "epoch": 1, "loss": 1, "accuracy": 0.5, "val_loss": 1, "val_accuracy": 0.5, "seconds": 1,
         "train_seconds": 1},
    ]  # fmt: skip
    (path / runs.METRICS_FILE).write_text("\n".join(map(json.dumps, rows)))
    app.switch_page("pages/train.py").run()
    app.selectbox(key="shown_run").set_value("broken off").run()
    assert not [button for button in app.button if button.key == "resume"]
    (path / runs.CHECKPOINT_FILE).touch()
    app.run()
    assert "1 of 9 epochs are done and kept" in texts(app)
    app.button(key="resume").click().run()
    assert not app.exception
    assert started == [(path, "sample")]
    assert runs.find_active_run().name == "broken off"


def test_train_refuses_a_second_start_and_stops_the_first(app):
    app.switch_page("pages/train.py").run()
    app.text_input(key="run_name").set_value("mine")
    app.button(key="start").click().run()
    try:
        assert not app.exception
        assert [run.name for run in runs.list_runs() if run.is_active] == ["mine"]
        assert not [button for button in app.button if button.key == "start"]
    finally:
        runs.stop_run(runs.read_run(models_dir() / "mine"))
        for _ in range(240):
            if not runs.find_active_run():
                break
            time.sleep(0.5)
    run = runs.read_run(models_dir() / "mine")
    assert run.state == runs.STOPPED


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


def encode_face(emotion, number):
    picture = io.BytesIO()
    Image.fromarray(sample_faces.draw_sample_face(emotion, number)).save(picture, "PNG")
    return picture.getvalue()


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


# Evaluate ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_set(app, tmp_path):
    """A data set of 30 drawn faces to which the shipped model's answers are kept, chosen in the app."""
    path = tmp_path / "small.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for emotion in ("sad", "happy", "fear"):
            for number in range(10):
                archive.writestr(f"{emotion}/{number}.png", encode_face(emotion, number))
    app.session_state["source"] = str(path)
    dataset = sources.load_dataset(str(path))
    dataset_predictions.compute_predictions(models_dir() / runs.SHIPPED_RUN, dataset)
    return dataset


def open_evaluate(app, title):
    app.session_state["evaluate_view"] = title
    app.switch_page("pages/evaluate.py").run()
    assert not app.exception
    return app


def read_sentence(app):
    return next(element.value for element in app.markdown if "Of 100 faces" in element.value)


def test_evaluate_says_in_one_sentence_how_good_a_model_is(app, small_set):
    open_evaluate(app, evaluate.OVERVIEW)
    run_dir = models_dir() / runs.SHIPPED_RUN
    scores = evaluation.evaluate_run(run_dir, small_set, EvalSubset(subset="all")).scores
    assert read_sentence(app) == f"### {sentences.describe_accuracy(scores)}"
    assert "faces it has never seen" in read_sentence(app)
    assert f"{scores['accuracy']:.1%}" in [metric.value for metric in app.metric]
    assert len(app.get("plotly_chart")) == 2
    assert list((run_dir / "scores").glob("*.json"))


def test_evaluate_counts_pictures_that_the_model_was_trained_on_and_can_leave_them_out(app, small_set):
    seen = scan_dataset(small_set).fingerprints[:6]
    path = models_dir() / runs.SHIPPED_RUN / FINGERPRINTS_FILE
    path.write_text("\n".join(seen) + "\n")
    open_evaluate(app, evaluate.OVERVIEW)
    app.selectbox(key=f"part_{runs.SHIPPED_RUN}_{small_set.name}").set_value(EvalSubset(subset="all")).run()
    assert "It was trained on **6 of these" in texts(app)
    app.toggle(key=f"unseen_{runs.SHIPPED_RUN}_{small_set.name}").set_value(True).run()
    assert "It was trained on" not in texts(app)
    assert "faces it has never seen" in read_sentence(app)


def test_evaluate_moves_the_threshold_and_keeps_it_only_when_chosen_on_val(app, small_set):
    run_dir = models_dir() / runs.SHIPPED_RUN
    open_evaluate(app, evaluate.THRESHOLD)
    slider = f"threshold:{runs.SHIPPED_RUN}"
    assert app.slider(key=slider).value == 0.5
    app.slider(key=slider).set_value(0.01).run()
    assert "would miss **0**" in texts(app)
    assert app.button(key="keep_threshold").disabled  # not on all pictures
    app.selectbox(key=f"part_{runs.SHIPPED_RUN}_{small_set.name}").set_value(EvalSubset(subset="val")).run()
    app.slider(key=slider).set_value(0.37).run()
    app.button(key="keep_threshold").click().run()
    assert decision_threshold.read_threshold(run_dir, read_card(run_dir)) == 0.37
    assert "In force: 0.37, chosen on the validation part of small.zip." in texts(app)
    assert models.load_classifier(runs.SHIPPED_RUN).threshold == 0.37  # Predict follows
    app.button(key="forget_threshold").click().run()
    assert not (run_dir / "threshold.json").exists()
    assert "In force: 0.50" in texts(app)


@pytest.mark.parametrize("name", ["scores", "confusion", "max_shadows"])
def test_run_may_be_named_like_a_widget(app, small_set, name):
    (models_dir() / runs.SHIPPED_RUN).rename(models_dir() / name)
    app.session_state["evaluated"] = name
    open_evaluate(app, evaluate.THRESHOLD)
    assert app.slider(key=f"threshold:{name}").value == 0.5


def test_evaluate_plays_a_round_of_the_game(app, small_set):
    open_evaluate(app, evaluate.GAME)
    for number in range(10):
        assert f"Face {number + 1} of 10" in app.get("progress")[0].proto.text
        app.button(key="guess_Depressed").click().run()
    assert "Of 10 faces you gave the label's answer for 5, the model for " in texts(app)
    app.button(key="play_again").click().run()
    assert "Face 1 of 10" in app.get("progress")[0].proto.text
    assert len(app.session_state.game.results) == 1


def test_evaluate_compares_with_a_run_of_which_only_the_scores_are_here(app, small_set):
    shipped, lonely = models_dir() / runs.SHIPPED_RUN, models_dir() / "lonely"
    shutil.copytree(shipped, lonely)
    prediction_cache.save_predictions_beside(shipped, small_set)
    (shipped / "predictions.npz").rename(lonely / "predictions.npz")
    (lonely / "model.keras").unlink()
    open_evaluate(app, evaluate.COMPARE)
    assert app.multiselect(key="compared").value == ["lonely"]
    assert "alone is right for 0" in texts(app)
    assert "may well be chance" in texts(app)
    app.selectbox(key="evaluated").set_value("lonely").run()
    assert not app.exception
    app.switch_page("pages/predict.py").run()
    assert not [box for box in app.selectbox if "lonely" in box.options]


def test_second_click_of_a_double_click_is_no_guess_on_the_next_face():
    current = game.Round("key", 0, np.array([3, 5]), {})
    for number in (0, 0, 1, 1):
        current.guess(number, number == 0)
    assert current.guesses == [True, False]


def test_evaluate_compares_only_on_pictures_that_no_run_has_learned_from(app, small_set):
    shutil.copytree(models_dir() / runs.SHIPPED_RUN, models_dir() / "twin")
    seen = scan_dataset(small_set).fingerprints
    (models_dir() / "twin" / FINGERPRINTS_FILE).write_text("\n".join(seen[:4]) + "\n")
    dataset_predictions.compute_predictions(models_dir() / "twin", small_set)
    open_evaluate(app, evaluate.COMPARE)
    app.multiselect(key="compared").set_value(["twin"]).run()
    assert "only 26 were learned from by none of these models" in texts(app)


def test_evaluate_says_that_a_model_learned_another_grouping(app, small_set):
    app.session_state["depressed_emotions"] = ("fear", "sad")
    open_evaluate(app, evaluate.THRESHOLD)
    assert "learned to call neutral and sad faces *depressed*; these labels mean fear and sad" in texts(app)
    app.selectbox(key=f"part_{runs.SHIPPED_RUN}_{small_set.name}").set_value(EvalSubset(subset="val")).run()
    assert app.button(key="keep_threshold").disabled
    assert "It was trained with another grouping of the emotions." in texts(app)


def test_job_of_a_page_asks_again_where_scores_are_kept_but_answers_are_gone(app, small_set):
    run_dir = models_dir() / runs.SHIPPED_RUN
    evaluation.evaluate_run(run_dir, small_set, EvalSubset(subset="all"))
    prediction_cache.find_predictions_path(run_dir, small_set).unlink()
    words = ["evaluate", "--data", small_set.source, "--subset", "all", "--like", runs.SHIPPED_RUN]
    assert main([*words, "--model", runs.SHIPPED_RUN]) == 0
    assert prediction_cache.read_predictions(run_dir, small_set).is_complete


def test_evaluate_hands_out_a_report_and_the_card(app, small_set):
    open_evaluate(app, evaluate.REPORT)
    assert {button.key for button in app.get("download_button")} == {"report", "evaluate_card"}
    assert "They contain no picture of a face" in texts(app)


@pytest.mark.parametrize("title", [evaluate.CURVES, evaluate.MISTAKES, evaluate.PROTOCOLS, evaluate.ROBUSTNESS])
def test_evaluate_shows_every_part(app, small_set, title):
    run_dir, rows = models_dir() / runs.SHIPPED_RUN, np.ones(len(small_set.samples), bool)
    robustness_run.measure_robustness(run_dir, small_set, rows)
    open_evaluate(app, title)
    num_charts = {evaluate.CURVES: 5, evaluate.MISTAKES: 1, evaluate.PROTOCOLS: 2, evaluate.ROBUSTNESS: 7}
    assert len(app.get("plotly_chart")) == num_charts[title]


@pytest.mark.parametrize("title", [evaluate.CURVES, evaluate.THRESHOLD, evaluate.MISTAKES, evaluate.PROTOCOLS])
def test_a_click_in_evaluate_neither_splits_nor_measures_again(app, small_set, title, monkeypatch):
    calls = []

    def count(module, name):
        original = getattr(module, name)

        def call(*arguments, **options):
            calls.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, call)

    count(subset_selection, "split_dataset")
    count(evaluation, "score_predictions")
    count(evaluation, "find_slices")
    count(metrics, "compute_roc_curve")
    count(protocol_comparison, "score_lookup_table")
    (models_dir() / runs.SHIPPED_RUN / FINGERPRINTS_FILE).write_text(f"{title}\n")  # so that nothing is cached yet
    open_evaluate(app, title)
    assert {"split_dataset", "score_predictions"} <= set(calls)
    num_calls = len(calls)
    for _ in range(2):
        app.run()
    assert not app.exception
    assert len(calls) == num_calls
    decision_threshold.write_threshold(models_dir() / runs.SHIPPED_RUN, 0.4)
    app.run()
    assert calls[num_calls:].count("score_predictions") >= 1


def test_shipped_model_can_be_taken_away_but_not_renamed_or_deleted(app):
    app.switch_page("pages/train.py").run()
    app.selectbox(key="shown_run").set_value(runs.SHIPPED_RUN).run()
    keys = {button.key for button in app.button}
    assert keys >= {"use_run", "evaluate_run"}
    assert not {"delete_run"} & keys
    assert not [field for field in app.text_input if field.key == f"new_name_{runs.SHIPPED_RUN}"]
