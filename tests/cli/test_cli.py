"""The command line where no network is trained or asked: arguments, `download`, `export`, and what is printed."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kaggle_server import kaggle_environment
from tqdm import tqdm

from facedep.cli import train, train_worker
from facedep.cli.main import main
from facedep.cli.options import print_json
from facedep.data.sources import load_dataset
from facedep.files import write_json
from facedep.networks.card import CARD_FILE
from facedep.runs import lifecycle, run_config, run_folder

PROJECT_DIR = Path(__file__).resolve().parents[2]


def _start(*arguments: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "facedep", *arguments],
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: command"),
        (["dance"], "invalid choice: 'dance'"),
        (["train", "--recipe", "huge"], "invalid choice: 'huge'"),
        (["train", "--epochs", "many"], "invalid int value: 'many'"),
        (["evaluate", "--protocol", "half"], "invalid choice: 'half'"),
        (["evaluate", "--subset", "some"], "invalid choice: 'some'"),
        (["predict"], "the following arguments are required: FILE"),
        (["export"], "the following arguments are required: --out"),
    ],
)
def test_wrong_arguments_are_named_with_status_2(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    output = capsys.readouterr()
    assert (ended.value.code, output.out) == (2, "")
    assert words in output.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--epochs", "0"], "0 epochs: choose between 1 and 1000."),
        (["--batch-size", "0"], "A batch of 0 pictures: choose between 1 and 1024."),
        (["--learning-rate", "-1"], "A learning rate of -1.0: choose one above 0 and up to 1, usually 0.001."),
        (["--seed", "-1"], "The seed -1: choose a whole number from 0 to 4294967295."),
        (["--name", "../evil"], "'../evil' cannot be a run's name."),
        (["--issue-limit", "min_contrast=nan"], "--issue-limit 'min_contrast=nan': write a name and a number"),
        (["--depressed", "sad,bored"], "--depressed sad,bored: give some of angry"),
    ],
)
def test_setting_that_makes_no_sense_gives_a_sentence_and_no_run(arguments, sentence, write_pictures, capsys):
    folder = write_pictures(["happy/1.png", "happy/2.png", "sad/1.png", "sad/2.png"])
    assert main(["train", "--data", str(folder), *arguments]) == 1
    assert capsys.readouterr().err.startswith(f"facedep: {sentence}")
    assert run_folder.list_runs() == []


CONFIG = run_config.RunConfig("compact", "pictures", 2, 16, 1e-3, depressed_emotions=("angry",))


def _make_finished_run(folder: Path, config: run_config.RunConfig = CONFIG, **card: Any) -> Path:
    """A run folder as a training on the pictures in a folder leaves it, without its network."""
    run_dir = lifecycle.create_run(config, "first")
    write_json(run_dir / run_folder.STATUS_FILE, {"state": run_folder.FINISHED})
    content = {
        "recipe": config.recipe,
        "class_names": ["angry", "happy"],
        "positive_classes": ["angry"],
        "data": {"content_hash": load_dataset(str(folder)).content_hash},
        "training": {"num_epochs": 2, "kept_epoch": 1, "seconds": 1.0},
    }
    write_json(run_dir / CARD_FILE, content | card)
    return run_dir


@pytest.fixture
def planned(monkeypatch) -> list[run_config.RunConfig]:
    """The settings of the runs that the command line would train; nothing is trained."""
    configs = []

    def keep(run_dir: Path, source: str) -> int:
        configs.append(run_folder.read_run(run_dir).config)
        return 0

    monkeypatch.setattr(train, "train_in_terminal", keep)
    return configs


def test_final_fit_groups_the_emotions_as_its_run_did(write_pictures, planned):
    folder = write_pictures([f"{emotion}/{n}.png" for emotion in ("happy", "angry") for n in range(4)])
    _make_finished_run(folder)
    assert main(["train", "--data", str(folder), "--refit", "first"]) == 0
    assert planned == [dataclasses.replace(CONFIG, refit_of="first")]


@pytest.mark.parametrize(
    "option",
    ["--recipe=compact", "--epochs=3", "--batch-size=8", "--learning-rate=0.1", "--progressive-resizing-epochs=0",
     "--ema-momentum=0", "--protocol=leak-free", "--seed=0", "--devices=1", "--drop-issues=blank",
     "--issue-limit=min_contrast=0.2", "--teacher=first", "--depressed=sad,neutral"],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["--refit", "--resume"])
def test_option_that_the_runs_own_settings_overrule_is_refused(mode, option, write_pictures, planned, capsys):
    folder = write_pictures([f"{emotion}/{n}.png" for emotion in ("happy", "angry") for n in range(4)])
    run_dir = _make_finished_run(folder)
    write_json(run_dir / run_folder.STATUS_FILE, {"state": run_folder.STOPPED})
    (run_dir / run_folder.CHECKPOINT_FILE).touch()
    assert main(["train", "--data", str(folder), mode, "first", option]) == 1
    assert capsys.readouterr().err == (
        f"facedep: {mode} takes its settings from the run 'first', so {option.partition('=')[0]} would have no effect. "
        "Leave it out.\n"
    )
    assert planned == []
    assert [run.name for run in run_folder.list_runs()] == ["first"]


def test_options_without_effect_are_all_named_at_once(planned, capsys):
    assert main(["train", "--resume", "first", "--refit", "other", "--name", "mine", "--epochs", "2"]) == 1
    assert "so --epochs, --name and --refit would have no effect. Leave them out." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--protocol", "supplied"], "This data set has no test and no train folder, so it has no supplied split."),
        (["--protocol", "published"], "Too few pictures for this split: its val part has no depressed"),
        (["--teacher", "nobody"], "There is no model 'nobody'."),
        (["--recipe", "quick"], f"The model {run_folder.SHIPPED_RUN!r} does not exist."),
    ],
)
def test_what_the_names_of_the_files_rule_out_is_said_before_there_is_a_run(
    arguments, sentence, write_pictures, planned, capsys
):
    folder = write_pictures([f"{emotion}/{n}.png" for emotion in ("happy", "sad") for n in range(4)])
    assert main(["train", "--data", str(folder), *arguments]) == 1
    assert capsys.readouterr().err.startswith(f"facedep: {sentence}")
    assert (planned, run_folder.list_runs()) == ([], [])


def test_final_fit_on_other_pictures_is_refused_before_there_is_a_run(write_pictures, planned, capsys):
    _make_finished_run(write_pictures(["happy/1.png", "angry/1.png"], root="one"))
    other = write_pictures([f"{emotion}/{n}.png" for emotion in ("happy", "angry") for n in range(4)], root="other")
    assert main(["train", "--data", str(other), "--refit", "first"]) == 1
    assert "The run 'first' was trained on other pictures than these." in capsys.readouterr().err
    assert [run.name for run in run_folder.list_runs()] == ["first"]


def test_first_ctrl_c_asks_for_the_end_and_says_so_and_the_second_ends_at_once(monkeypatch, tmp_path, capfd):
    stop_path = tmp_path / run_folder.STOP_FILE
    seen = []

    def work(run_dir: Path, source: str, *, shows_progress: bool) -> int:
        signal.raise_signal(signal.SIGINT)
        seen.append((stop_path.exists(), capfd.readouterr().err))
        signal.raise_signal(signal.SIGINT)
        return 0

    monkeypatch.setattr(train_worker, "train_run_folder", work)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train_worker.train_in_terminal(tmp_path, "sample")
    ((is_stop_requested, words),) = seen
    assert is_stop_requested
    assert words.strip() == ("Stopping after this step; what was learned is kept. Press Ctrl-C again to end at once.")
    assert signal.getsignal(signal.SIGINT) is before


def test_run_ended_at_once_is_stopped_and_not_left_running(write_pictures, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    from facedep.training import train as training

    monkeypatch.setattr(training, "train_run", interrupt)
    folder = write_pictures([f"{emotion}/{n}.png" for emotion in ("happy", "sad") for n in range(4)])
    assert main(["train", "--data", str(folder), "--name", "cut"]) == 130
    assert run_folder.read_run(run_folder.models_dir() / "cut").state == run_folder.STOPPED


def test_second_training_while_one_runs_is_refused_with_a_sentence(write_pictures, capsys):
    lifecycle.create_run(run_config.RunConfig("compact", "faces.zip", 1, 16, 0.001), "first")
    assert main(["train", "--data", str(write_pictures(["happy/1.png", "happy/2.png", "sad/1.png", "sad/2.png"]))]) == 1
    assert "The training 'first' is still starting." in capsys.readouterr().err
    assert [run.name for run in run_folder.list_runs()] == ["first"]


def test_missing_data_gives_a_sentence(tmp_path, capsys):
    assert main(["train", "--data", str(tmp_path / "nowhere.zip")]) == 1
    assert "There is no folder or .zip file at" in capsys.readouterr().err


def test_unknown_folders_are_named_on_standard_error_and_left_out(write_pictures, tmp_path, capsys):
    folder = write_pictures(["happy/1.png", "sad/1.png", "Tired/1.png", "Tired/2.png"])
    assert main(["export", "--data", str(folder), "--out", str(tmp_path / "out")]) == 0
    output = capsys.readouterr()
    assert output.err == "facedep: folder 'Tired' names no known class: 2 pictures left out\n"
    assert output.out == f"{tmp_path / 'out'}: 1 non_depressed, 1 depressed\n"


def test_export_writes_the_two_folders_of_the_article_byte_for_byte(write_pictures, tmp_path):
    folder = write_pictures(["train/Happy/1.png", "train/Surprize/1.png", "val/Sad/2.png", "test/Neutral/3.png"])
    assert main(["export", "--data", str(folder), "--out", str(tmp_path / "out")]) == 0
    written = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*.png")}
    expected = {
        "non_depressed/train_Happy_1.png": "train/Happy/1.png",
        "non_depressed/train_Surprize_1.png": "train/Surprize/1.png",
        "depressed/val_Sad_2.png": "val/Sad/2.png",
        "depressed/test_Neutral_3.png": "test/Neutral/3.png",
    }
    assert set(written) == set(expected)
    for name, source in expected.items():
        assert written[name].read_bytes() == (folder / source).read_bytes()


def test_export_into_a_folder_in_use_is_refused_and_touches_nothing(write_pictures, tmp_path, capsys):
    folder = write_pictures(["happy/1.png", "sad/1.png"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert main(["export", "--data", str(folder), "--out", str(tmp_path / "out")]) == 1
    assert "is not an empty folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_export_into_the_data_set_itself_is_refused(write_pictures, capsys):
    folder = write_pictures(["happy/1.png", "sad/1.png"])
    assert main(["export", "--data", str(folder), "--out", str(folder / "happy" / "new")]) == 1
    assert "is inside the data set itself" in capsys.readouterr().err
    assert not (folder / "happy" / "new").exists()


def test_no_model_named_is_not_the_default_one(write_pictures, capsys):
    folder = write_pictures(["happy/1.png"])
    assert main(["predict", str(folder / "happy" / "1.png"), "--model", ""]) == 1
    assert capsys.readouterr().err.startswith("facedep: ")


def test_fetch_without_a_network_gives_a_sentence(tmp_path):
    environment = os.environ | kaggle_environment(tmp_path, 9)  # nothing listens there
    process = _start("download", env=environment)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (1, "")
    assert errors.splitlines()[-1].startswith("facedep: ")
    assert "Kaggle" in errors.splitlines()[-1]
    assert "Traceback" not in errors


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "face.png"]])
def test_without_any_model_a_sentence_says_how_to_get_one(command, write_pictures, capsys):
    arguments = ["--data", str(write_pictures(["happy/1.png", "sad/1.png"]))] if command == ["evaluate"] else []
    assert main([*command, *arguments, "--json"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "There is no trained model yet. Train one" in output.err


def test_unknown_model_is_refused_with_those_that_exist(capsys):
    assert main(["predict", "--model", "nobody", "face.png"]) == 1
    assert "There is no model 'nobody'. Known models: none yet." in capsys.readouterr().err


def test_run_without_settings_gives_a_sentence(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["train", "--run", str(tmp_path / "empty"), "--data", "sample"]) == 1
    assert "holds no settings of a run" in capsys.readouterr().err


def test_reader_that_goes_away_early_causes_no_complaint(write_pictures, tmp_path):
    folder = write_pictures(["happy/1.png", "sad/1.png"])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = _start("export", "--data", str(folder), "--out", str(tmp_path / "out"), env=environment)
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == ""
    assert process.wait(timeout=30) == 1


def test_json_has_null_for_every_undefined_number_and_is_ascii(capsys):
    print_json({"a": float("nan"), "b": [float("inf"), 0.5, "é\udcff"], "c": {"d": None, "e": True}})
    expected = (
        '{\n "a": null,\n "b": [\n  null,\n  0.5,\n  "\\u00e9\\udcff"\n ],\n "c": {\n  "d": null,\n  "e": true\n }\n}\n'
    )
    assert capsys.readouterr().out == expected


def test_progress_bar_survives_a_loss_that_is_no_number():
    with tqdm(disable=True) as bar:
        train_worker._show_metrics(bar, {"kind": "start", "num_steps": 4, "num_epochs": 2})
        train_worker._show_metrics(bar, {"kind": "step", "epoch": 1, "step": 3, "loss": None, "accuracy": None})
        train_worker._show_metrics(
            bar, {"kind": "epoch", "epoch": 1, "loss": None, "accuracy": 0.5, "val_loss": None, "val_accuracy": 0.25}
        )
        assert bar.postfix == "epoch 1: loss undefined, accuracy 0.500, validation undefined, 0.250"
