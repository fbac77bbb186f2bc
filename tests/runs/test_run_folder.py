"""The run folder with a fake worker: real files and real processes, but no TensorFlow."""

import dataclasses
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from facedep.cli.main import _build_parser
from facedep.cli.train import _plan_run
from facedep.errors import RunError
from facedep.files import write_json
from facedep.networks.card import CARD_FILE, MODEL_FILE
from facedep.runs import lifecycle, run_config, run_folder
from facedep.runs.progress import read_progress
from facedep.runs.run_config import RunConfig
from facedep.runs.writer import RunWriter

PROJECT_DIR = Path(__file__).resolve().parents[2]
CONFIG = RunConfig(recipe="compact", data_name="faces.zip", num_epochs=3, batch_size=16, learning_rate=1e-3)

# Stands where the Python interpreter would: `start_worker` starts it with the arguments of a real training.
FAKE_PYTHON = """#!{python}
import sys, time
sys.path.insert(0, {project!r})
from pathlib import Path
from facedep.runs import lifecycle, run_config, run_folder
from facedep.runs.writer import RunWriter

run_dir = Path(sys.argv[sys.argv.index("--run") + 1])
print("arguments:", sys.argv[1:])
with RunWriter(run_dir) as writer:
    writer.write_metrics(kind="start", num_train=64, num_val=16, num_steps=1000, num_epochs=1)
    writer.write_status(run_folder.RUNNING, stage="training")
    for step in range(1, 1001):
        writer.write_metrics(kind="step", epoch=1, step=step, loss=1 / step, accuracy=0.5, seconds=step / 20)
        if writer.is_stop_requested:
            writer.write_status(run_folder.STOPPED)
            break
        time.sleep(0.05)
"""

PARENT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a shell's background
sys.executable = {fake!r}
from facedep.runs import lifecycle, run_config, run_folder

run_dir = lifecycle.create_run(run_config.RunConfig("compact", "faces.zip", 1, 16, 0.001), "orphan")
lifecycle.start_worker(run_dir, "some folder")
print("started", flush=True)
time.sleep(60)
"""

STARTER = """
import sys, time
from pathlib import Path
from facedep.runs import lifecycle, run_config, run_folder
from facedep.errors import RunError

print("ready", flush=True)
while not Path(sys.argv[1]).exists():
    time.sleep(0.001)
try:
    lifecycle.create_run(run_config.RunConfig("compact", "faces.zip", 1, 16, 0.001), sys.argv[2] or None)
    print("made")
except RunError as error:
    print(error)
"""


@pytest.fixture(autouse=True)
def models_dir(tmp_path, monkeypatch):
    """An empty folder of runs, for this process and its children."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("FACEDEP_MODELS_DIR", str(folder))
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_DIR))
    return folder


def _age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def _make_ended_run(name: str, *, created: float = 1.0, has_model: bool = True) -> Path:
    path = lifecycle.create_run(CONFIG, name)
    write_json(path / run_folder.STATUS_FILE, {"state": "finished", "created": created})
    if has_model:
        (path / MODEL_FILE).write_bytes(b"weights")
        card = {"recipe": "compact", "class_names": ["depressed"], "positive_classes": ["depressed"]}
        write_json(path / CARD_FILE, card)
    return path


def _wait_until(is_so, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


# States


def test_new_run_is_starting():
    run = run_folder.read_run(lifecycle.create_run(CONFIG, "a"))
    assert (run.state, run.stage, run.message, run.is_active) == ("starting", "", "", True)
    assert (run.name, run.card, run.has_model) == ("a", None, False)
    assert abs(run.created - time.time()) < 10


def test_entered_writer_makes_the_run_running_and_says_the_stage():
    path = lifecycle.create_run(CONFIG, "a")
    with RunWriter(path) as writer:
        assert (run_folder.read_run(path).state, run_folder.read_run(path).stage) == ("running", "loading")
        writer.write_status(run_folder.RUNNING, stage="training", message="on it")
        run = run_folder.read_run(path)
        assert (run.state, run.stage, run.message, run.is_active) == ("running", "training", "on it", True)


@pytest.mark.parametrize("state", [run_folder.FINISHED, run_folder.STOPPED, run_folder.FAILED])
def test_ended_run_keeps_its_state_and_message_however_old_it_gets(state):
    path = lifecycle.create_run(CONFIG, "a")
    with RunWriter(path) as writer:
        writer.write_status(state, stage="training", message="Why.")
    for name in (run_folder.HEARTBEAT_FILE, run_folder.CONFIG_FILE):
        _age(path / name, 1e6)
    (path / run_folder.STOP_FILE).touch()
    run = run_folder.read_run(path)
    assert (run.state, run.stage, run.message, run.is_active) == (state, "", "Why.", False)


def test_stop_file_makes_a_live_run_stopping():
    path = lifecycle.create_run(CONFIG, "a")
    lifecycle.stop_run(run_folder.read_run(path))
    assert run_folder.read_run(path).state == "stopping"
    with RunWriter(path) as writer:
        assert writer.is_stop_requested
        run = run_folder.read_run(path)
        assert (run.state, run.is_active) == ("stopping", True)


@pytest.mark.parametrize(("age", "state"), [(20, "running"), (31, "lost")])
def test_run_is_lost_when_its_heartbeat_is_older_than_30_seconds(age, state):
    path = lifecycle.create_run(CONFIG, "a")
    with RunWriter(path):
        pass
    for name in (run_folder.HEARTBEAT_FILE, run_folder.CONFIG_FILE):
        _age(path / name, age)
    run = run_folder.read_run(path)
    assert (run.state, run.is_active) == (state, state == "running")
    assert ("ended without a word" in run.message) == (state == "lost")


def test_run_whose_worker_never_began_is_lost_after_30_seconds():
    path = lifecycle.create_run(CONFIG, "a")
    _age(path / run_folder.CONFIG_FILE, 31)
    assert run_folder.read_run(path).state == "lost"


def test_lost_run_does_not_block_the_next_start():
    _age(lifecycle.create_run(CONFIG, "a") / run_folder.CONFIG_FILE, 31)
    assert lifecycle.create_run(CONFIG, "b").name == "b"


def test_heartbeat_goes_on_while_the_writer_is_entered_and_ends_with_it():
    path = lifecycle.create_run(CONFIG, "a")
    with RunWriter(path):
        _wait_until((path / run_folder.HEARTBEAT_FILE).exists)
        _age(path / run_folder.HEARTBEAT_FILE, 1000)
        _wait_until(lambda: time.time() - (path / run_folder.HEARTBEAT_FILE).stat().st_mtime < 10, seconds=5)
    assert not [thread for thread in threading.enumerate() if "_beat" in thread.name]


# Damaged files


DAMAGED = ["", "{", "[1, 2]", '"running"', "null", "7", "[" * 100_000, '{"state": ["running"], "created": [1]}',
           '{"created": 1e999, "message": null}']  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED)
@pytest.mark.parametrize("name", [run_folder.CONFIG_FILE, run_folder.STATUS_FILE, CARD_FILE])
def test_damaged_file_is_reported_and_never_raised(name, content):
    path = _make_ended_run("a")
    (path / name).write_text(content)
    run = run_folder.read_run(path)
    assert [run.name for run in run_folder.list_runs()] == ["a"]
    assert math.isfinite(run.created)
    if name == run_folder.CONFIG_FILE:
        assert (run.config, run.state) == (None, "finished")
    if name == run_folder.STATUS_FILE:
        assert run.state == "starting"
    if name == CARD_FILE and not content.startswith("{"):
        assert (run.card, run.has_model) == (None, False)
    if name == CARD_FILE and content == "{":
        assert (run.card, run.has_model) == (None, False)


@pytest.mark.parametrize("name", [run_folder.CONFIG_FILE, run_folder.STATUS_FILE, CARD_FILE, run_folder.METRICS_FILE])
def test_binary_rubbish_in_a_file_is_never_raised(name):
    path = _make_ended_run("a")
    (path / name).write_bytes(b"\xff\xfe\x00\x80" * 100)
    assert run_folder.list_runs()[0].name == "a"
    assert read_progress(path).epochs == []


def test_folder_without_any_file_is_no_active_run(models_dir):
    (models_dir / "stray").mkdir(parents=True)
    run = run_folder.read_run(models_dir / "stray")
    assert (run.state, run.is_active, run.config, run.created) == ("lost", False, None, 0.0)


def test_damaged_config_of_a_live_run_does_not_make_it_look_dead():
    path = lifecycle.create_run(CONFIG, "a")
    with RunWriter(path):
        _wait_until((path / run_folder.HEARTBEAT_FILE).exists)
        (path / run_folder.CONFIG_FILE).write_text("{")
        run = run_folder.read_run(path)
    assert (run.state, run.config) == ("running", None)


def test_torn_last_line_of_the_measurements_is_left_out():
    path = lifecycle.create_run(CONFIG, "a")
    with RunWriter(path) as writer:
        writer.write_metrics(kind="start", num_train=64, num_val=16, num_steps=4, num_epochs=2)
        writer.write_metrics(kind="step", epoch=1, step=2, loss=0.5, accuracy=0.75, seconds=1.0)
        writer.write_metrics(kind="step", epoch=1, step=3, loss=0.25, accuracy=0.75, seconds=1.5)
    whole = (path / run_folder.METRICS_FILE).read_bytes()
    last_line = whole.splitlines(keepends=True)[-1]
    for length in range(1, len(last_line) - 1):
        (path / run_folder.METRICS_FILE).write_bytes(whole[: len(whole) - len(last_line) + length])
        assert [row["loss"] for row in read_progress(path).steps] == [0.5]
    (path / run_folder.METRICS_FILE).write_bytes(whole)
    assert [row["position"] for row in read_progress(path).steps] == [0.5, 0.75]


def test_measurements_are_readable_at_once_one_object_a_line_with_null_for_no_number():
    path, told = lifecycle.create_run(CONFIG, "a"), []
    with RunWriter(path, on_metrics=told.append) as writer:
        writer.write_metrics(kind="epoch", epoch=1, loss=float("nan"), val_loss=float("inf"), accuracy=0.5)
        lines = (path / run_folder.METRICS_FILE).read_text().splitlines()
    expected = {"kind": "epoch", "epoch": 1, "loss": None, "val_loss": None, "accuracy": 0.5}
    assert [json.loads(line) for line in lines] == [expected]
    assert told == [expected]


# Settings


def test_config_comes_back_as_it_was_written():
    config = dataclasses.replace(
        CONFIG,
        protocol="published",
        seed=7,
        depressed_emotions=("sad",),
        folder_choices={"Müde": "sad", "x": "leave out"},
        num_progressive_resizing_epochs=1,
        ema_momentum=0.9,
        drop_issues=("blank", "leak"),
        issue_limits={"min_contrast": 0.3},
    )
    path = lifecycle.create_run(config, "a")
    assert run_folder.read_run(path).config == config
    assert json.loads((path / run_folder.CONFIG_FILE).read_text("utf-8"))["data_name"] == "faces.zip"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"recipe": "huge"}, "There is no recipe 'huge'. Choose one of: "),
        ({"protocol": "half"}, "There is no split 'half'."),
        ({"num_epochs": 0}, "0 epochs: choose between 1 and 1000."),
        ({"num_epochs": 1001}, "1001 epochs"),
        ({"num_epochs": 2.5}, "whole numbers"),
        ({"batch_size": 0}, "A batch of 0 pictures"),
        ({"learning_rate": 0.0}, "A learning rate of 0.0"),
        ({"learning_rate": 1.5}, "A learning rate of 1.5"),
        ({"learning_rate": float("nan")}, "A learning rate of nan"),
        ({"seed": -1}, "The seed -1"),
        ({"seed": 2**32}, "The seed"),
        ({"depressed_emotions": ("sad", "bored")}, "'bored': choose among angry"),
        ({"num_progressive_resizing_epochs": 3}, "3 early epochs: choose between 0 and 2"),
        ({"recipe": "article", "num_progressive_resizing_epochs": 1}, "The recipe 'article' has no early epochs"),
        ({"ema_momentum": 1.0}, "An average of weights with 1.0"),
        ({"drop_issues": ("blank", "ugly")}, "'ugly': choose among damaged, no_face"),
        ({"issue_limits": {"max_beauty": 1}}, "There is no issue limit max_beauty"),
        ({"augmentation": "beauty"}, "There is no augmentation 'beauty'. Choose none, standard, camera."),
        ({"recipe": "quick", "augmentation": "camera"}, "The recipe 'quick' sees each picture once"),
        ({"recipe": "quick", "num_devices": 2}, "several devices would have no effect"),
        ({"recipe": "quick", "ema_momentum": 0.9}, "a mean of weights would have no effect"),
        ({"logit_adjustment": 1.5}, "A logit adjustment of 1.5: choose one from 0 to 1."),
        ({"repeat_threshold": 2}, "A repeat threshold of 2: choose a share from 0 to 1."),
        ({"num_drawn_faces": -1}, "-1 drawn faces: choose a whole number from 0 to 20,000."),
    ],
)
def test_setting_that_makes_no_sense_is_refused_and_leaves_no_folder(changes, sentence, models_dir):
    with pytest.raises(RunError, match=re.escape(sentence)):
        lifecycle.create_run(dataclasses.replace(CONFIG, **changes), "a")
    assert not (models_dir / "a").exists()


def test_command_of_a_run_is_parsed_back_into_its_settings():
    config = dataclasses.replace(
        CONFIG,
        learning_rate=2e-3,
        num_epochs=8,
        num_progressive_resizing_epochs=1,
        ema_momentum=0.5,
        depressed_emotions=("fear", "sad"),
        folder_choices={"Müde": "sad"},
        drop_issues=("blank", "dark"),
        issue_limits={"min_contrast": 0.3, "min_entropy": 5.0},
        augmentation="camera",
        logit_adjustment=0.7,
        repeat_threshold=0.1,
        num_drawn_faces=900,
    )
    words = shlex.split(run_config.describe_command(config, "mine"))
    options = _build_parser().parse_args(words[3:])
    assert _plan_run(options, "faces.zip") == config
    assert options.name == "mine"


# Names


BAD_NAMES = [
    "",
    "   ",
    ".",
    "..",
    "../evil",
    "a/b",
    "a\\b",
    "/tmp/x",
    ".hidden",
    "-x",
    "a" * 61,
    "a\nb",
    "name.",
    "con",
    "NUL",
    "aux.2",
    "Com1",
    "ä",
    "a:b",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_name_is_refused_for_a_new_run_and_for_an_old_one(name, models_dir):
    with pytest.raises(RunError, match="cannot be a run's name"):
        lifecycle.create_run(CONFIG, name)
    path = _make_ended_run("good")
    with pytest.raises(RunError, match="cannot be a run's name"):
        lifecycle.rename_run(run_folder.read_run(path), name)
    assert [path.name for path in models_dir.iterdir() if path.is_dir()] == ["good"]


@pytest.mark.parametrize("name", ["a", "A run", "7 up", "console", "com10", "a" * 60, "x.y_z-1"])
def test_good_name_is_taken_without_its_outer_spaces(name):
    assert lifecycle.create_run(CONFIG, f" {name} ").name == name


def test_name_that_exists_is_refused():
    path = _make_ended_run("a")
    with pytest.raises(RunError, match="There is already a run named 'a'"):
        lifecycle.create_run(CONFIG, "a")
    _make_ended_run("b")
    with pytest.raises(RunError, match="There is already a run named 'b'"):
        lifecycle.rename_run(run_folder.read_run(path), "b")
    assert (path / MODEL_FILE).read_bytes() == b"weights"


def test_run_without_a_name_is_called_after_its_recipe_and_the_time():
    assert lifecycle.create_run(CONFIG).name.startswith(f"compact {time.strftime('%Y-%m-')}")


def test_rename_moves_everything():
    path = _make_ended_run("a")
    lifecycle.rename_run(run_folder.read_run(path), " better ")
    assert not path.exists()
    run = run_folder.read_run(path.with_name("better"))
    assert (run.state, run.has_model, run.config) == ("finished", True, CONFIG)


def test_delete_removes_the_folder():
    path = _make_ended_run("a")
    lifecycle.delete_run(run_folder.read_run(path))
    assert not path.exists()
    assert run_folder.list_runs() == []


@pytest.mark.parametrize("change", [lifecycle.delete_run, lambda run: lifecycle.rename_run(run, "other")])
def test_shipped_run_is_neither_renamed_nor_deleted(change):
    path = _make_ended_run(run_folder.SHIPPED_RUN)
    with pytest.raises(RunError, match=f"'{run_folder.SHIPPED_RUN}' came with the app and cannot be"):
        change(run_folder.read_run(path))
    assert (path / MODEL_FILE).exists()


@pytest.mark.parametrize("change", [lifecycle.delete_run, lambda run: lifecycle.rename_run(run, "other")])
def test_run_in_training_is_neither_renamed_nor_deleted_even_if_the_page_still_shows_it_ended(change):
    path = _make_ended_run("a")
    shown = run_folder.read_run(path)
    with RunWriter(path):
        with pytest.raises(RunError, match=r"'a' is still running and cannot be \w+\. Stop it first"):
            change(shown)
        lifecycle.stop_run(shown)
        with pytest.raises(RunError, match="'a' is still stopping"):
            change(shown)
    assert path.exists()


@pytest.mark.parametrize("change", [lifecycle.delete_run, lambda run: lifecycle.rename_run(run, "other")])
def test_change_of_a_run_that_is_gone_gives_a_sentence(change):
    run = run_folder.read_run(_make_ended_run("a"))
    lifecycle.delete_run(run)
    with pytest.raises(RunError, match="There is no run 'a' any more"):
        change(run)


def test_stop_of_a_run_that_is_gone_does_nothing(models_dir):
    run = run_folder.read_run(_make_ended_run("a"))
    lifecycle.delete_run(run)
    lifecycle.stop_run(run)
    assert not (models_dir / "a").exists()


# Finding runs


def test_list_has_the_shipped_run_first_then_the_newest(models_dir):
    _make_ended_run("old", created=100.0)
    _make_ended_run(run_folder.SHIPPED_RUN, created=1.0)
    _make_ended_run("new", created=200.0)
    (models_dir / "README.md").write_text("no run")
    (models_dir / ".hidden").mkdir()
    assert [run.name for run in run_folder.list_runs()] == [run_folder.SHIPPED_RUN, "new", "old"]


def test_run_with_a_card_and_no_model_is_listed_and_never_the_default():
    path = _make_ended_run("only scores", created=300.0)
    (path / MODEL_FILE).unlink()
    _make_ended_run("old", created=100.0)
    other, run = run_folder.list_runs()  # last, though it is newer
    assert (run.name, run.state, run.has_model, run.is_scores_only) == ("only scores", "finished", False, True)
    assert (other.has_model, other.is_scores_only) == (True, False)
    assert run_folder.find_default_model() == "old"
    (path / run_folder.STATUS_FILE).unlink()  # the card alone says that the training has ended
    run = run_folder.read_run(path)
    assert (run.state, run.is_active, run.message) == ("finished", False, "")
    (path / run_folder.CONFIG_FILE).unlink()
    assert run_folder.read_run(path).state == "finished"


def test_default_model_is_the_shipped_one_else_the_newest_that_has_a_model():
    with pytest.raises(RunError, match="There is no trained model yet"):
        run_folder.find_default_model()
    _make_ended_run("newest but unfinished", created=300.0, has_model=False)
    with pytest.raises(RunError, match="There is no trained model yet"):
        run_folder.find_default_model()
    _make_ended_run("old", created=100.0)
    _make_ended_run("new", created=200.0)
    assert run_folder.find_default_model() == "new"
    _make_ended_run(run_folder.SHIPPED_RUN, created=1.0)
    assert run_folder.find_default_model() == run_folder.SHIPPED_RUN


def test_run_is_found_by_name_and_by_folder(tmp_path):
    path = _make_ended_run("a")
    assert run_folder.find_run_dir("a") == path
    assert run_folder.find_run_dir(str(path)) == path
    assert run_folder.find_run_dir(f"{path}/") == path


@pytest.mark.parametrize("name", ["b", "", "..", "../b", "no/such/folder"])
def test_unknown_model_is_named_with_those_that_exist(name):
    _make_ended_run("a")
    with pytest.raises(RunError, match=r"There is no model .*Known models: a\."):
        run_folder.find_run_dir(name)


# One at a time


def test_second_start_while_one_runs_is_refused_with_a_sentence(models_dir):
    path = lifecycle.create_run(CONFIG, "first")
    with pytest.raises(RunError, match="The training 'first' is still starting"):
        lifecycle.create_run(CONFIG, "second")
    with RunWriter(path) as writer:
        with pytest.raises(RunError, match=r"'first' is still running\. Stop it or wait for its end first"):
            lifecycle.create_run(CONFIG, "second")
        assert run_folder.find_active_run().name == "first"
        writer.write_status(run_folder.FINISHED)
    assert run_folder.find_active_run() is None
    assert not (models_dir / "second").exists()
    assert lifecycle.create_run(CONFIG, "second").exists()


@pytest.mark.parametrize("names", [("a", "b", "c", "d"), ("", "", "", "")])
def test_of_four_starts_at_the_same_moment_exactly_one_wins(names, tmp_path, models_dir):
    go = tmp_path / "go"
    starters = [
        subprocess.Popen([sys.executable, "-c", STARTER, str(go), name], stdout=subprocess.PIPE, text=True)
        for name in names
    ]
    for starter in starters:
        assert starter.stdout.readline() == "ready\n"
    go.touch()
    answers = [starter.communicate(timeout=30)[0].strip() for starter in starters]
    assert answers.count("made") == 1
    assert sum("is still starting. Stop it or wait for its end first." in answer for answer in answers) == 3
    assert len([path for path in models_dir.iterdir() if path.is_dir()]) == 1


def test_folder_that_cannot_be_written_gives_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FACEDEP_MODELS_DIR", str(tmp_path / "file"))
    with pytest.raises(RunError, match=r"The run's folder could not be made in .*file"):
        lifecycle.create_run(CONFIG, "a")


# The process


def test_worker_outlives_its_parent_and_ctrl_c_and_ends_at_the_stop_file(tmp_path, models_dir):
    fake = tmp_path / "fake_python"
    fake.write_text(FAKE_PYTHON.format(python=sys.executable, project=str(PROJECT_DIR)))
    fake.chmod(0o755)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(fake=str(fake))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout.readline() == "started\n"
    path = models_dir / "orphan"
    _wait_until(lambda: run_folder.read_run(path).state == "running")
    os.killpg(parent.pid, signal.SIGINT)  # what Ctrl-C in the server's terminal does
    parent.communicate(timeout=10)
    num_steps = len(read_progress(path).steps)
    _wait_until(lambda: len(read_progress(path).steps) >= num_steps + 10)
    assert run_folder.find_active_run().name == "orphan"
    log = run_folder.read_log_tail(run_folder.read_run(path))
    assert log == f"arguments: {['-m', 'facedep', 'train', '--run', str(path), '--data', 'some folder']}"
    lifecycle.stop_run(run_folder.read_run(path))
    _wait_until(lambda: run_folder.read_run(path).state == "stopped")
    assert run_folder.find_active_run() is None


def test_worker_that_cannot_be_started_leaves_a_sentence_and_no_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no such python"))
    path = lifecycle.create_run(CONFIG, "a")
    with pytest.raises(RunError, match="The training process could not be started"):
        lifecycle.start_worker(path, "sample")
    assert not path.exists()


def test_worker_killed_at_once_is_lost_and_its_measurements_stay(tmp_path, monkeypatch, models_dir):
    fake = tmp_path / "fake_python"
    fake.write_text(FAKE_PYTHON.format(python=sys.executable, project=str(PROJECT_DIR)))
    path = lifecycle.create_run(CONFIG, "a")
    worker = subprocess.Popen(
        [sys.executable, str(fake), "--run", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _wait_until(lambda: len(read_progress(path).steps) >= 3)
    worker.kill()
    worker.wait(timeout=10)
    assert run_folder.read_run(path).state == "running"  # nobody knows yet
    for name in (run_folder.HEARTBEAT_FILE, run_folder.CONFIG_FILE):
        _age(path / name, 31)
    run = run_folder.read_run(path)
    assert (run.state, run.is_active) == ("lost", False)
    assert len(read_progress(path).steps) >= 3
    lifecycle.delete_run(run)


def test_log_tail_is_the_last_lines_and_empty_without_a_log():
    path = _make_ended_run("a")
    run = run_folder.read_run(path)
    assert run_folder.read_log_tail(run) == ""
    (path / run_folder.LOG_FILE).write_bytes(b"one\ntwo\nthr\xffee\n")
    assert run_folder.read_log_tail(run, 2) == "two\nthr\ufffdee"


def test_reader_never_sees_half_a_status_file():
    path, problems = _make_ended_run("a"), []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            try:
                json.loads((path / run_folder.STATUS_FILE).read_text("utf-8"))
            except ValueError as error:
                problems.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(300):
        write_json(path / run_folder.STATUS_FILE, {"state": "finished", "message": "x" * (number * 40)})
    ended.set()
    reader.join()
    assert problems == []
    assert not list(path.glob("*.part*"))
