"""A run is a folder: its settings, its progress, and at the end the model. This is the reader's and the app's side.

    config.json     what was asked for                      written once, by whoever creates the run
    status.json     running, finished, stopped, failed      written by the training process (`runs/writer.py`)
    heartbeat       touched every 2 s while it lives        written by the training process
    metrics.jsonl   one object per measurement              written by the training process
    log.txt         what the training process printed       written by the training process
    model.keras, card.json, trained_on.txt                  written by the training process at the end
    checkpoint.npz  to go on from the last whole epoch      written by the training process, gone at the end
    scores/         what it scored on parts of data sets    written by whatever evaluates it
    predictions.npz     answers to one data set, which can be scored where the model is not there
    threshold.json  the threshold chosen here               written by the app
    stop            asks the training process to end        written by the app

Of a run inside the installed package, `scores/` and `threshold.json` lie in `paths.additions_dir` instead.

Files are the only channel between the two, so a run goes on when the page or the server is closed, and every tab, and
tomorrow's server, sees the same thing.
"""

import contextlib
import dataclasses
import math
import os
import re
import shlex
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from facedep import emotions, processes
from facedep.audit.issues import ISSUE_NAMES, IssueLimits
from facedep.data.splits import PROTOCOLS
from facedep.dataset_spec import DatasetSpec
from facedep.errors import ModelError, RunError
from facedep.files import read_json, write_json
from facedep.networks.card import CARD_FILE, MODEL_FILE, Card, read_card
from facedep.networks.recipes import RECIPES
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
    start_python,
)

SHIPPED_RUN = "real-faces-compact"  # the model that comes with the project, the default everywhere
SHIPPED_SCORES = ("article-published", "article-leak-free")  # come with it too, without their networks
CONFIG_FILE, STATUS_FILE, METRICS_FILE, LOG_FILE = "config.json", "status.json", "metrics.jsonl", "log.txt"
HEARTBEAT_FILE, STOP_FILE, CHECKPOINT_FILE = "heartbeat", "stop", "checkpoint.npz"

ACTIVE_STATES = (STARTING, RUNNING, STOPPING)

_OLD_SETTINGS = {  # until version 0.1
    "split": "protocol",
    "refit_of": "refit_of",
    "num_progressive_resizing_epochs": "num_progressive_resizing_epochs",
    "left_out": "drop_issues",
    "thresholds": "issue_limits",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}")
MAX_EPOCHS, MAX_BATCH_SIZE, MAX_DEVICES = 1000, 1024, 64


@dataclass(frozen=True)
class RunConfig:
    """The settings of one training.

    Attributes:
        recipe: Name of a recipe.
        data_name: What the data set is called; never a path. Where it lies is told to the process, not kept.
        num_epochs: Passes over the training pictures.
        batch_size: Pictures per step.
        learning_rate: The (highest) step size.
        protocol: How the pictures are cut, one of `splits.PROTOCOLS`.
        seed: Seed of the split, the first weights and the order of pictures.
        depressed_emotions: The emotions that count as *depressed*.
        folder_choices: What the user said about folders of unknown name.
        teacher: Name of a run whose answers to the training pictures are mixed into their labels; "" for none.
        refit_of: Name of a finished run of the same settings: this one trains on its train and val pictures
            together, for as many epochs as that one kept, and takes over its temperature and band; "" for none.
        num_devices: Devices that share each batch; see `training/devices.py`.
        num_progressive_resizing_epochs: Epochs at the start on smaller, plain pictures; see `Recipe`.
        ema_momentum: Of the running mean of the weights; see `Recipe`.
        drop_issues: Names of issues (`issues.find_issues`) whose pictures are cleaned away before the split.
        issue_limits: Those of `issues.IssueLimits` that are not the default ones.
    """

    recipe: str
    data_name: str
    num_epochs: int
    batch_size: int
    learning_rate: float
    protocol: str = "leak-free"
    seed: int = 0
    depressed_emotions: tuple[str, ...] = emotions.DEPRESSED_EMOTIONS
    folder_choices: dict[str, str] = field(default_factory=dict)
    teacher: str = ""
    refit_of: str = ""
    num_devices: int = 1
    num_progressive_resizing_epochs: int = 0
    ema_momentum: float = 0.0
    drop_issues: tuple[str, ...] = ()
    issue_limits: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Any) -> "RunConfig":
        """Returns the settings that the content of a `config.json` makes, under today's names or older ones.

        Raises:
            RunError: A setting is missing, unknown, of the wrong kind or makes no sense.
        """
        try:
            named = {_OLD_SETTINGS.get(name, name): value for name, value in values.items()}
            for name in {"depressed_emotions", "drop_issues"} & named.keys():
                named[name] = tuple(named[name])
            config = cls(**named)
            config.check()
        except (TypeError, AttributeError) as error:
            raise RunError(f"{CONFIG_FILE} is damaged: {error}. Start the training again.") from None
        if not isinstance(config.folder_choices, dict) or not isinstance(config.issue_limits, dict):
            raise RunError(f"{CONFIG_FILE} is damaged: what has to be a table is none. Start the training again.")
        return config

    def build_dataset_spec(self, source: str) -> DatasetSpec:
        """Returns the data that it is trained on.

        Args:
            source: Where the pictures lie, which is not kept.
        """
        return DatasetSpec(source, self.folder_choices, self.depressed_emotions)

    def check(self) -> None:
        """Raises `RunError` for the first setting that makes no sense, with what is allowed."""
        if self.recipe not in RECIPES:
            raise RunError(f"There is no recipe {self.recipe!r}. Choose one of: {', '.join(RECIPES)}.")
        if self.protocol not in PROTOCOLS:
            raise RunError(f"There is no split {self.protocol!r}. Choose one of: {', '.join(PROTOCOLS)}.")
        if unknown := set(self.depressed_emotions) - set(emotions.EMOTIONS):
            raise RunError(f"{', '.join(map(repr, sorted(unknown)))}: choose among {', '.join(emotions.EMOTIONS)}.")
        counts = (self.num_epochs, self.batch_size, self.seed, self.num_devices, self.num_progressive_resizing_epochs)
        if not all(isinstance(number, int) for number in counts):
            raise RunError("Epochs, batch size, seed, devices and early epochs: give whole numbers.")
        if not 1 <= self.num_epochs <= MAX_EPOCHS:
            raise RunError(f"{self.num_epochs} epochs: choose between 1 and {MAX_EPOCHS}.")
        if not 1 <= self.batch_size <= MAX_BATCH_SIZE:
            raise RunError(f"A batch of {self.batch_size} pictures: choose between 1 and {MAX_BATCH_SIZE}.")
        if not 1 <= self.num_devices <= MAX_DEVICES:
            raise RunError(f"{self.num_devices} devices: choose between 1 and {MAX_DEVICES}.")
        if self.batch_size % self.num_devices:
            raise RunError(
                f"A batch of {self.batch_size} pictures cannot be shared equally by {self.num_devices} devices. "
                f"Choose a multiple of {self.num_devices}."
            )
        if not 0 < self.learning_rate <= 1:
            raise RunError(f"A learning rate of {self.learning_rate}: choose one above 0 and up to 1, usually 0.001.")
        if not 0 <= self.num_progressive_resizing_epochs < self.num_epochs:
            raise RunError(
                f"{self.num_progressive_resizing_epochs} early epochs: choose between 0 and {self.num_epochs - 1}."
            )
        if self.num_progressive_resizing_epochs and not RECIPES[self.recipe].progressive_resizing_size_px:
            raise RunError(f"The recipe {self.recipe!r} has no early epochs. Choose 0, or another recipe.")
        if not 0 <= self.ema_momentum < 1:
            raise RunError(f"An average of weights with {self.ema_momentum}: choose one from 0 up to, not with, 1.")
        if unknown := set(self.drop_issues) - set(ISSUE_NAMES):
            raise RunError(f"{', '.join(map(repr, sorted(unknown)))}: choose among {', '.join(ISSUE_NAMES)}.")
        if unknown := set(self.issue_limits) - {field.name for field in dataclasses.fields(IssueLimits)}:
            raise RunError(f"There is no threshold {', '.join(sorted(unknown))}.")
        if not 0 <= self.seed < 2**32:
            raise RunError(f"The seed {self.seed}: choose a whole number from 0 to {2**32 - 1}.")


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
        """Whether its model is not here, only its card: it can be compared with others, and asked for no picture."""
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
    """Whether a name may be a run's: at most 60 letters, digits, ".", "_", "-" and spaces, a letter or digit first."""
    return bool(_NAME.fullmatch(name)) and not name.endswith((".", " "))


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
    """Returns the name of the model used where none is chosen: the shipped one, else the newest.

    Raises:
        RunError: There is no model at all.
    """
    names = [run.name for run in list_runs() if run.has_model]
    if not names:
        raise RunError("There is no trained model yet. Train one on the Train page or with `python -m facedep train`.")
    return names[0]


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
            active = find_active_run()
            if active:
                raise RunError(
                    f"The training {active.name!r} is still {active.state}. Stop it or wait for its end first."
                )
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
        active = find_active_run()
        if active:
            raise RunError(f"The training {active.name!r} is still {active.state}. Stop it or wait for its end first.")
        if not run.can_resume:
            why = "it is finished" if run.state == FINISHED else "no whole epoch of it was kept"
            raise RunError(f"The run {run.name!r} cannot be continued: {why}. Start a new training.")
        for file in (STOP_FILE, STATUS_FILE):
            (run.path / file).unlink(missing_ok=True)
        (run.path / HEARTBEAT_FILE).touch()  # until the process beats itself
    return run.path


def describe_command(config: RunConfig, name: str) -> str:
    """Returns the command line that makes such a run, the data given by its name."""
    words = ["python", "-m", "facedep", "train"]
    if config.refit_of:
        words += ["--data", config.data_name, "--refit", config.refit_of]
    else:
        words += config.build_dataset_spec(config.data_name).to_argv()
        recipe = RECIPES[config.recipe]
        words += ["--recipe", config.recipe, "--protocol", config.protocol, "--epochs", str(config.num_epochs)]
        if config.batch_size != recipe.batch_size:
            words += ["--batch-size", str(config.batch_size)]
        if config.learning_rate != recipe.learning_rate:
            words += ["--learning-rate", f"{config.learning_rate:g}"]
        if config.num_progressive_resizing_epochs != recipe.count_progressive_resizing_epochs(config.num_epochs):
            words += ["--progressive-resizing-epochs", str(config.num_progressive_resizing_epochs)]
        if config.ema_momentum != recipe.ema_momentum:
            words += ["--ema-momentum", f"{config.ema_momentum:g}"]
        if config.drop_issues:
            words += ["--drop-issues", ",".join(config.drop_issues)]
            words += [
                word for name, value in config.issue_limits.items() for word in ("--issue-limit", f"{name}={value:g}")
            ]
        words += ["--seed", str(config.seed)]
        if config.teacher:
            words += ["--teacher", config.teacher]
        if config.num_devices > 1:
            words += ["--devices", str(config.num_devices)]
    return shlex.join([*words, "--name", name])


def _write_new_run(path: Path, config: RunConfig) -> None:
    path.mkdir()
    try:
        write_json(path / CONFIG_FILE, dataclasses.asdict(config))
    except OSError:
        shutil.rmtree(path, ignore_errors=True)
        raise


def start_worker(run_dir: Path, source: str) -> None:
    """Starts the training process of a created run; it outlives this process.

    Args:
        run_dir: From `create_run`.
        source: The data source, as `data.load_dataset` takes it.

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


def check_card_writable(run_dir: Path) -> None:
    """Raises `RunError` for a run of the installed package: its card and the files beside it stay as they came."""
    if is_in_package(run_dir):
        raise RunError(
            f"{run_dir.name!r} is part of the installed package, and nothing is added to its card. Copy its folder "
            f"{run_dir} to {models_dir()} under another name, and choose the copy."
        )


def _check_changeable(run: Run, what: str) -> None:
    if not run.path.is_dir():
        raise RunError(f"There is no run {run.name!r} any more. It was renamed or deleted meanwhile.")
    run = read_run(run.path)
    if run.is_shipped:
        raise RunError(f"{run.name!r} came with the app and cannot be {what}.")
    if run.is_active:
        raise RunError(f"{run.name!r} is still {run.state} and cannot be {what}. Stop it first.")


def read_log_tail(run: Run, num_lines: int = 30) -> str:
    """Returns the last lines that a run's process printed."""
    return processes.read_log_tail(run.path / LOG_FILE, num_lines)


def _read_config(path: Path) -> RunConfig | None:
    try:
        return RunConfig.from_json(read_json(path / CONFIG_FILE))
    except RunError:
        return None
