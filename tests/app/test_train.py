"""The Train page and its list of models, as a visitor sees them. Without a browser, through `streamlit_app.py`."""

import json
import time

from app_tools import texts

from facedep.data import sources
from facedep.data.scan import scan_dataset
from facedep.files import write_json
from facedep.networks.card import FINGERPRINTS_FILE
from facedep.paths import models_dir
from facedep.runs import lifecycle, run_config
from facedep.runs import run_folder as runs


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
    monkeypatch.setattr(lifecycle, "start_worker", lambda *arguments: started.append(arguments))
    config = run_config.RunConfig("compact", "sample faces (drawn)", num_epochs=9, batch_size=64, learning_rate=3e-3)
    path = lifecycle.create_run(config, "broken off")
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
        lifecycle.stop_run(runs.read_run(models_dir() / "mine"))
        for _ in range(240):
            if not runs.find_active_run():
                break
            time.sleep(0.5)
    run = runs.read_run(models_dir() / "mine")
    assert run.state == runs.STOPPED


def test_shipped_model_can_be_taken_away_but_not_renamed_or_deleted(app):
    app.switch_page("pages/train.py").run()
    app.selectbox(key="shown_run").set_value(runs.SHIPPED_RUN).run()
    keys = {button.key for button in app.button}
    assert keys >= {"use_run", "evaluate_run"}
    assert not {"delete_run"} & keys
    assert not [field for field in app.text_input if field.key == f"new_name_{runs.SHIPPED_RUN}"]
