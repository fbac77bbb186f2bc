"""The Explore page, as a visitor sees it. Without a browser, through `streamlit_app.py`."""

import io
import time
import zipfile

from app_tools import make_zip, texts
from PIL import Image

from facedep.app.explore import tabs as explore
from facedep.audit.face_check import read_face_check
from facedep.data import sources
from facedep.data.scan import is_scanned, scan_dataset
from facedep.runs import jobs


def open_tab(app, title):
    """Opens the Explore page at one of its tabs; the sample faces are scanned."""
    scan_dataset(sources.load_dataset(sources.SAMPLE))
    app.switch_page("pages/explore.py").run()
    app.session_state["explore_view"] = title
    app.run()
    assert not app.exception


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


def test_explore_distinguishes_copies_from_new_pictures_and_says_what_a_lookup_table_scores(app):
    open_tab(app, explore.ISSUES)
    assert "3 of the 315 test pictures look nearly the same as one in train" in texts(app)
    app.radio(key="leak_protocol").set_value("leak-free").run()
    assert "Train and test share no picture, not even a near-copy" in texts(app)
    assert "A lookup table without any learning" in texts(app)
    app.radio(key="leak_protocol").set_value("published").run()
    assert "The article reports “nearly 80%” on this split" in texts(app)


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


def open_issues_of(archive, app):
    """Chooses an archive as the visitor's data and opens its issues."""
    app.switch_page("pages/explore.py").run()
    app.segmented_control(key="source_kind").set_value("folder").run()
    app.text_input(key="source_path").set_value(str(archive))
    app.button(key="FormSubmitter:path_form-Use it").click().run()
    app.session_state["explore_view"] = explore.ISSUES
    app.run()


def test_explore_looks_at_new_pictures_in_the_background(app, tmp_path):
    archive = tmp_path / "fresh.zip"
    archive.write_bytes(make_zip("happy", "sad"))
    open_issues_of(archive, app)
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
    open_issues_of(archive, app)
    assert "Without a face" not in app.dataframe[0].value["issue"].tolist()
    assert "takes a second look at each, about 5 seconds here" in texts(app)
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
    assert "a second look" not in texts(app)


def test_explore_does_not_start_a_scan_again_and_again_whose_result_cannot_be_kept(app, cache, tmp_path, monkeypatch):
    own_cache = tmp_path / "full"
    (own_cache / "decoded").parent.mkdir()
    (own_cache / "decoded").write_bytes(b"a file where the folder should be")
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(own_cache))
    archive = tmp_path / "fresh.zip"
    archive.write_bytes(make_zip("happy", "sad"))
    open_issues_of(archive, app)
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
