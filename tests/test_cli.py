"""The command line where no network is trained or asked: arguments, `fetch`, `export`, and what is printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kaggle_server import kaggle_environment
from tqdm import tqdm

from facedep import __main__ as cli
from facedep import runs
from facedep.__main__ import main

PROJECT_DIR = Path(__file__).resolve().parent.parent


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
        (["evaluate", "--split", "half"], "invalid choice: 'half'"),
        (["evaluate", "--part", "some"], "invalid choice: 'some'"),
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
        (["--depressed", "sad,bored"], "--depressed sad,bored: give some of angry"),
    ],
)
def test_setting_that_makes_no_sense_gives_a_sentence_and_no_run(arguments, sentence, write_pictures, capsys):
    folder = write_pictures(["happy/1.png", "sad/1.png"])
    assert main(["train", "--data", str(folder), *arguments]) == 1
    assert capsys.readouterr().err.startswith(f"facedep: {sentence}")
    assert runs.list_runs() == []


def test_second_training_while_one_runs_is_refused_with_a_sentence(write_pictures, capsys):
    runs.create_run(runs.RunConfig("compact", "faces.zip", 1, 16, 0.001), "first")
    assert main(["train", "--data", str(write_pictures(["happy/1.png", "sad/1.png"]))]) == 1
    assert "The training 'first' is still starting." in capsys.readouterr().err
    assert [run.name for run in runs.list_runs()] == ["first"]


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


def test_fetch_without_a_network_gives_a_sentence(tmp_path):
    environment = os.environ | kaggle_environment(tmp_path, 9)  # nothing listens there
    process = _start("fetch", env=environment)
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
    cli._print_json({"a": float("nan"), "b": [float("inf"), 0.5, "é\udcff"], "c": {"d": None, "e": True}})
    expected = (
        '{\n "a": null,\n "b": [\n  null,\n  0.5,\n  "\\u00e9\\udcff"\n ],\n "c": {\n  "d": null,\n  "e": true\n }\n}\n'
    )
    assert capsys.readouterr().out == expected


def test_progress_bar_survives_a_loss_that_is_no_number():
    with tqdm(disable=True) as bar:
        cli._show_metrics(bar, {"kind": "start", "num_steps": 4, "num_epochs": 2})
        cli._show_metrics(bar, {"kind": "step", "epoch": 1, "step": 3, "loss": None, "accuracy": None})
        cli._show_metrics(
            bar, {"kind": "epoch", "epoch": 1, "loss": None, "accuracy": 0.5, "val_loss": None, "val_accuracy": 0.25}
        )
        assert bar.postfix == "epoch 1: loss undefined, accuracy 0.500, validation undefined, 0.250"
