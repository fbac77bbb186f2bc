"""What changes a run folder as a whole: to create, start, resume, stop, rename and delete a run."""

import contextlib
import dataclasses
import os
import shutil
import time
from pathlib import Path

from facedep.errors import RunError
from facedep.files import write_json
from facedep.paths import models_dir
from facedep.processes import FINISHED, start_python
from facedep.runs.run_config import CONFIG_FILE, RunConfig
from facedep.runs.run_folder import (
    CHECKPOINT_FILE,
    HEARTBEAT_FILE,
    LOG_FILE,
    STATUS_FILE,
    STOP_FILE,
    Run,
    check_name,
    find_active_run,
    find_run_dir,
    lock_names,
    read_run,
)


def create_run(config: RunConfig, name: str | None = None) -> Path:
    """Makes a run's folder with its settings and returns it. The training process is started next.

    Args:
        config: The settings.
        name: The run's name; by default the recipe and the time.

    Raises:
        RunError: A setting makes no sense, the name is taken, another training is running, or the disk is full.
    """
    config.check()
    folder = models_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock_names():  # two starts at the same moment: the second finds the first one's folder
            _check_idle()
            if name is not None:
                name = check_name(name)
            else:
                stem = f"{config.recipe} {time.strftime('%Y-%m-%d %H.%M.%S')}"
                name = stem if not (folder / stem).exists() else f"{stem} {os.getpid()}"
            _write_new_run(folder / name, config)
    except OSError as error:
        raise RunError(
            f"The run's folder could not be made in {folder} ({error.strerror}). Free some space there, or see that "
            "you may write to it."
        ) from None
    return folder / name


def reopen_run(name: str) -> Path:
    """Makes a run that ended before its time ready to go on, and returns its folder. The process is started next.

    Raises:
        RunError: There is no such run, it has nothing to go on from, or another training is running.
    """
    run = read_run(find_run_dir(name))
    with lock_names():
        _check_idle()
        if not run.can_resume:
            why = "it is finished" if run.state == FINISHED else "no whole epoch of it was kept"
            raise RunError(f"The run {run.name!r} cannot be continued: {why}. Start a new training.")
        for file in (STOP_FILE, STATUS_FILE):
            (run.path / file).unlink(missing_ok=True)
        (run.path / HEARTBEAT_FILE).touch()  # until the process beats itself
    return run.path


def start_worker(run_dir: Path, source: str) -> None:
    """Starts the training process of a created run; it outlives this process.

    Args:
        run_dir: From `create_run`.
        source: The data source, as `DatasetSpec.source`.

    Raises:
        RunError: The process cannot be started.
    """
    try:
        start_python(["facedep", "train", "--run", str(run_dir), "--data", source], run_dir / LOG_FILE)
    except OSError as error:
        if not (run_dir / CHECKPOINT_FILE).exists():  # a new run: nothing is lost
            shutil.rmtree(run_dir, ignore_errors=True)
        raise RunError(
            f"The training process could not be started ({error}). Close other programs and retry."
        ) from None


def stop_run(run: Run) -> None:
    """Asks a run's process to end; what it has learned is kept."""
    with contextlib.suppress(FileNotFoundError):  # the run has been deleted meanwhile, in another tab
        (run.path / STOP_FILE).touch()


def rename_run(run: Run, new_name: str) -> None:
    """Gives a run another name.

    Raises:
        RunError: It is in training or the shipped one, or the name cannot be used.
    """
    _check_changeable(run, "renamed")
    try:
        with lock_names():
            run.path.rename(models_dir() / check_name(new_name))
    except OSError as error:  # on Windows: a file of it is open
        raise RunError(f"{run.name!r} could not be renamed ({error.strerror}). Retry in a moment.") from None


def delete_run(run: Run) -> None:
    """Deletes a run with its model.

    Raises:
        RunError: It is in training or the shipped one.
    """
    _check_changeable(run, "deleted")
    try:
        shutil.rmtree(run.path)
    except OSError as error:
        raise RunError(f"{run.name!r} could not be deleted as a whole ({error.strerror}). Retry in a moment.") from None


def _check_idle() -> None:
    """Raises `RunError` while a run is in training; hold the lock of `lock_names`."""
    active = find_active_run()
    if active:
        raise RunError(f"The training {active.name!r} is still {active.state}. Stop it or wait for its end first.")


def _check_changeable(run: Run, action: str) -> None:
    if not run.path.is_dir():
        raise RunError(f"There is no run {run.name!r} any more. It was renamed or deleted meanwhile.")
    run = read_run(run.path)
    if run.is_shipped:
        raise RunError(f"{run.name!r} came with the app and cannot be {action}.")
    if run.is_active:
        raise RunError(f"{run.name!r} is still {run.state} and cannot be {action}. Stop it first.")


def _write_new_run(path: Path, config: RunConfig) -> None:
    path.mkdir()
    try:
        write_json(path / CONFIG_FILE, dataclasses.asdict(config))
    except OSError:
        shutil.rmtree(path, ignore_errors=True)
        raise
