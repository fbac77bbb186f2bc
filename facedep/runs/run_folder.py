"""A run is a folder: its settings, its progress, and at the end the model. Here is what it holds, and how it is read.

    config.json     what was asked for                      written once, by whoever creates the run
    status.json     running, finished, stopped, failed      written by the training process (`runs/writer.py`)
    heartbeat       touched every 2 s while it lives        written by the training process
    metrics.jsonl   one object per measurement              written by the training process
    log.txt         what the training process printed       written by the training process
    model.keras, card.json, trained_on.txt                  written by the training process at the end
    checkpoint.npz  to go on from the last whole epoch      written by the training process, gone at the end
    scores/         its scores on subsets of data sets      written by whoever evaluates it
    predictions.npz predictions for one data set, to score a run that comes without its model
    threshold.json  the decision threshold chosen here      written by the app
    stop            asks the training process to end        written by the app

Of a run inside the installed package, `scores/` and `threshold.json` lie in `paths.additions_dir` instead.

`runs/lifecycle.py` changes such a folder as a whole. Files are the only channel between app and training, so a run goes
on when the page or the server is closed, and every tab, and tomorrow's server, sees the same thing.
"""

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from facedep import processes
from facedep.errors import ModelError, RunError
from facedep.files import read_json
from facedep.networks.card import CARD_FILE, MODEL_FILE, Card, read_card
from facedep.paths import is_in_package, models_dir, runs_dirs
from facedep.processes import (
    FAILED,
    FINISHED,
    LOST,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    find_last_change,
    is_lost,
)
from facedep.runs.run_config import CONFIG_FILE, RunConfig

SHIPPED_RUN = "real-faces-compact"  # the model that comes with the project, the default everywhere
SHIPPED_SCORES = ("article-published", "article-leak-free")  # come with it too, without their networks
STATUS_FILE, METRICS_FILE, LOG_FILE = "status.json", "metrics.jsonl", "log.txt"
HEARTBEAT_FILE, STOP_FILE, CHECKPOINT_FILE = "heartbeat", "stop", "checkpoint.npz"

ACTIVE_STATES = (STARTING, RUNNING, STOPPING)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}")
_DEVICE_NAMES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}


@dataclass(frozen=True)
class Run:
    """What the files of one run say.

    Attributes:
        name: The folder's name.
        path: The folder.
        state: `starting`, `running`, `stopping`, `finished`, `stopped`, `failed` or `lost`.
        stage: While active: "loading", "training" or "scoring", else "".
        message: A sentence for the user, mostly empty.
        config: The settings; None where `config.json` is missing or unreadable.
        card: Its card; None where there is none, or a damaged one.
        has_model: Whether there is a model to predict with.
        created: Seconds since 1970.
    """

    name: str
    path: Path
    state: str
    stage: str
    message: str
    config: RunConfig | None
    card: Card | None
    has_model: bool
    created: float

    @property
    def is_active(self) -> bool:
        """Whether a process is (or was just) at work on it."""
        return self.state in ACTIVE_STATES

    @property
    def can_resume(self) -> bool:
        """Whether it ended before its time and can go on from its last whole epoch."""
        ended_early = self.state in (STOPPED, FAILED, LOST)
        return ended_early and self.config is not None and (self.path / CHECKPOINT_FILE).is_file()

    @property
    def is_scores_only(self) -> bool:
        """Whether its model is not here, only its card: it can be compared with others, but predicts nothing."""
        return self.card is not None and not self.has_model

    @property
    def is_shipped(self) -> bool:
        """Whether it came with the project; such a run is never changed."""
        return self.name in (SHIPPED_RUN, *SHIPPED_SCORES)


def find_run_dir(name: str) -> Path:
    """Returns the folder of a run given by name, or by the path of its folder.

    Raises:
        RunError: There is no such run.
    """
    if is_valid_name(name) and has_run(name):
        return locate_run(name)
    if {os.sep, os.altsep} & set(name) and Path(name).is_dir():
        return Path(name)
    known = ", ".join(run.name for run in list_runs() if run.has_model) or "none yet"
    raise RunError(f"There is no model {name!r}. Known models: {known}.")


def locate_run(name: str) -> Path:
    """Returns the folder of a run of that name; of a run that does not exist, where it would be."""
    return next((folder / name for folder in runs_dirs() if (folder / name).is_dir()), models_dir() / name)


def has_run(name: str) -> bool:
    """Whether a name is taken: a run's, or that of anything else in the folder of runs."""
    return any((folder / name).exists() for folder in runs_dirs())


def is_valid_name(name: str) -> bool:
    """Whether a name may be a run's: at most 60 letters, digits, ".", "_", "-" and spaces, a letter or digit first.

    Names that Windows keeps for devices, like "con" and "nul.txt", are none: no folder can have them there.
    """
    is_device = name.partition(".")[0].strip().upper() in _DEVICE_NAMES
    return bool(_NAME.fullmatch(name)) and not name.endswith((".", " ")) and not is_device


def check_name(name: str) -> str:
    """Returns the name without outer spaces.

    Raises:
        RunError: It may not be a run's name, or another run has it.
    """
    name = name.strip()
    if not is_valid_name(name):
        raise RunError(
            f"{name!r} cannot be a run's name. Use up to 60 letters, digits, spaces, dots, dashes and underscores, "
            "starting with a letter or digit."
        )
    if has_run(name):
        raise RunError(f"There is already a run named {name!r}. Choose another name.")
    return name


def lock_names() -> FileLock:
    """Returns the lock to hold while a free name is looked for and taken, so that no two runs get the same one."""
    return FileLock(models_dir() / ".start.lock")


def read_run(path: Path) -> Run:
    """Returns what the files of a run folder say now; damaged ones are reported, never raised."""
    config = _read_config(path)
    status = read_json(path / STATUS_FILE)
    status = status if isinstance(status, dict) else {}
    card = None
    if (path / CARD_FILE).exists():
        try:
            card = read_card(path)
        except ModelError as error:
            status = {**status, "message": str(error)}
    state, message = status.get("state"), str(status.get("message", ""))
    if state not in (RUNNING, FINISHED, STOPPED, FAILED):
        is_only_a_card = card is not None and not any((path / name).exists() for name in (STATUS_FILE, MODEL_FILE))
        state = FINISHED if is_only_a_card else STARTING
    if state in (STARTING, RUNNING):
        is_no_run = config is None and state == STARTING
        if is_no_run or is_lost(path / HEARTBEAT_FILE, path / CONFIG_FILE):
            state = LOST
            message = "The training process ended without a word (was the computer shut down?). Start it again."
        elif (path / STOP_FILE).exists():
            state = STOPPING
    created = status.get("created")
    if not isinstance(created, int | float) or not math.isfinite(created):
        created = find_last_change(path / CONFIG_FILE)
    return Run(
        name=path.name,
        path=path,
        state=state,
        stage=str(status.get("stage", "")) if state in ACTIVE_STATES else "",
        message=message,
        config=config,
        card=card,
        has_model=(path / MODEL_FILE).is_file() and card is not None,
        created=float(created),
    )


def list_runs() -> list[Run]:
    """Returns all runs: the shipped one, then the newest first, then those of which only the scores are here."""
    paths: dict[str, Path] = {}
    for folder in filter(Path.is_dir, runs_dirs()):
        for path in folder.iterdir():
            if path.is_dir() and is_valid_name(path.name):
                paths.setdefault(path.name, path)
    return sorted(
        map(read_run, paths.values()),
        key=lambda run: (run.name != SHIPPED_RUN, run.is_scores_only, -run.created, run.name),
    )


def find_active_run() -> Run | None:
    """Returns the run that is in training now, or None."""
    return next((run for run in list_runs() if run.is_active), None)


def find_default_model() -> str:
    """Returns the name of the model used if none is chosen: the shipped one, else the newest.

    Raises:
        RunError: There is no model at all.
    """
    names = [run.name for run in list_runs() if run.has_model]
    if not names:
        raise RunError("There is no trained model yet. Train one on the Train page or with `python -m facedep train`.")
    return names[0]


def check_card_writable(run_dir: Path) -> None:
    """Raises `RunError` for a run of the installed package: its card and the files beside it stay as they came."""
    if is_in_package(run_dir):
        raise RunError(
            f"{run_dir.name!r} is part of the installed package, and nothing is added to its card. Copy its folder "
            f"{run_dir} to {models_dir()} under another name, and choose the copy."
        )


def read_log_tail(run: Run, num_lines: int = 30) -> str:
    """Returns the last lines that a run's process printed."""
    return processes.read_log_tail(run.path / LOG_FILE, num_lines)


def _read_config(path: Path) -> RunConfig | None:
    try:
        return RunConfig.from_json(read_json(path / CONFIG_FILE))
    except RunError:
        return None
