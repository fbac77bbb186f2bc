"""Where runs lie: in a checkout in `models/`; of an installed package in the package and among the user's data."""

import shutil
from pathlib import Path

import platformdirs
import pytest

from facedep import paths
from facedep.errors import RunError
from facedep.networks.card import read_card
from facedep.networks.decision_threshold import forget_threshold, read_threshold, write_threshold
from facedep.paths import PROJECT_DIR, additions_dir, models_dir
from facedep.reporting.model_card import record_evaluation
from facedep.runs import lifecycle, run_config, run_folder


@pytest.fixture
def package_runs(tmp_path, monkeypatch) -> Path:
    """The folder of runs of an installed package, with the runs that come with the project."""
    folder = tmp_path / "package" / "shipped_models"
    for name in (run_folder.SHIPPED_RUN, *run_folder.SHIPPED_SCORES):
        ignored = shutil.ignore_patterns("scores", "threshold.json")
        shutil.copytree(PROJECT_DIR / "models" / name, folder / name, ignore=ignored)
    monkeypatch.setattr(paths, "SHIPPED_MODELS_DIR", folder)
    return folder


def test_checkout_keeps_runs_in_its_models_folder(monkeypatch):
    monkeypatch.delenv("FACEDEP_MODELS_DIR")
    assert not paths.is_installed()
    assert models_dir() == PROJECT_DIR / "models"
    assert paths.runs_dirs() == [PROJECT_DIR / "models"]


def test_installed_package_keeps_new_runs_among_the_users_data(package_runs, monkeypatch):
    monkeypatch.delenv("FACEDEP_MODELS_DIR")
    assert models_dir() == Path(platformdirs.user_data_dir("facedep", appauthor=False)) / "models"
    monkeypatch.setenv("FACEDEP_MODELS_DIR", "/elsewhere")
    assert models_dir() == Path("/elsewhere")


def test_list_has_the_runs_of_the_package_and_the_users(package_runs):
    assert run_folder.list_runs()[0].name == run_folder.SHIPPED_RUN  # before there is any folder of the user's
    path = lifecycle.create_run(run_config.RunConfig("compact", "faces.zip", 1, 16, 0.001), "mine")
    assert [run.name for run in run_folder.list_runs()] == [
        run_folder.SHIPPED_RUN,
        "mine",
        *sorted(run_folder.SHIPPED_SCORES),
    ]
    assert path == models_dir() / "mine"
    assert run_folder.find_run_dir("mine") == path
    assert run_folder.find_run_dir(run_folder.SHIPPED_RUN) == package_runs / run_folder.SHIPPED_RUN
    assert run_folder.find_default_model() == run_folder.SHIPPED_RUN


def test_users_run_hides_the_packages_of_the_same_name(package_runs):
    own = shutil.copytree(package_runs / run_folder.SHIPPED_RUN, models_dir() / run_folder.SHIPPED_RUN)
    assert run_folder.find_run_dir(run_folder.SHIPPED_RUN) == own
    assert [run.path for run in run_folder.list_runs() if run.name == run_folder.SHIPPED_RUN] == [own]
    assert additions_dir(own) == own


def test_new_run_may_not_have_the_name_of_one_in_the_package(package_runs):
    with pytest.raises(RunError, match="There is already a run named"):
        lifecycle.create_run(run_config.RunConfig("compact", "faces.zip", 1, 16, 0.001), run_folder.SHIPPED_RUN)


def test_threshold_of_a_run_in_the_package_is_kept_beside_the_users_runs(package_runs):
    run_dir = package_runs / run_folder.SHIPPED_RUN
    before, card = sorted(path.name for path in run_dir.iterdir()), read_card(run_dir)
    own = read_threshold(run_dir, card)
    assert not (models_dir() / ".shipped").exists()  # reading makes no folder
    write_threshold(run_dir, 0.37, chosen_on="some pictures")
    assert read_threshold(run_dir, card) == 0.37
    assert sorted(path.name for path in run_dir.iterdir()) == before
    assert [run.name for run in run_folder.list_runs() if run.path.parent == models_dir()] == []
    forget_threshold(run_dir)
    assert read_threshold(run_dir, card) == own


def test_card_of_a_run_in_the_package_takes_no_scores(package_runs):
    run_dir = package_runs / run_folder.SHIPPED_RUN
    before = (run_dir / "card.json").read_bytes()
    with pytest.raises(RunError, match="part of the installed package"):
        record_evaluation(run_dir, {"content_hash": "0", "split": "leak-free", "part": "all"})
    assert (run_dir / "card.json").read_bytes() == before
