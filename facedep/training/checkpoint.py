"""What a run needs to go on after its process has ended: `checkpoint.npz`, written after each whole epoch."""

import zipfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from facedep.errors import RunError
from facedep.files import write_atomically
from facedep.runs.run_folder import CHECKPOINT_FILE


@dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch, from which the next one gives what it would have given without the break.

    Attributes:
        data_hash: Of the data set, so that a run is resumed on the pictures it began with.
        num_epochs_done: Whole epochs.
        best_epoch: The one with the lowest validation loss; 0 before there is one.
        best_loss: Its validation loss; infinite before there is one.
        seconds: Spent on the fit so far.
        variables: Of the network and its optimizer, random states and the optimizer's position among them.
        best_weights: Those of the best epoch, where the recipe keeps the best; else empty.
    """

    data_hash: str
    num_epochs_done: int
    best_epoch: int
    best_loss: float
    seconds: float
    variables: list[np.ndarray] = field(repr=False)
    best_weights: list[np.ndarray] = field(repr=False)


_NUMBERS = [entry.name for entry in fields(Checkpoint) if entry.name not in ("variables", "best_weights")]


def has_checkpoint(run_dir: Path) -> bool:
    """Whether a run can go on from a whole epoch."""
    return (run_dir / CHECKPOINT_FILE).is_file()


def write_checkpoint(run_dir: Path, checkpoint: Checkpoint) -> None:
    """Replaces a run's checkpoint in one step."""
    path = run_dir / CHECKPOINT_FILE
    arrays: dict[str, Any] = {name: getattr(checkpoint, name) for name in _NUMBERS}
    arrays["num_best"] = len(checkpoint.best_weights)
    arrays |= {f"variable_{i}": values for i, values in enumerate(checkpoint.variables)}
    arrays |= {f"best_{i}": values for i, values in enumerate(checkpoint.best_weights)}
    with write_atomically(path) as partial:
        np.savez(partial, **arrays)


def read_checkpoint(run_dir: Path, *, data_hash: str) -> Checkpoint:
    """Returns a run's checkpoint.

    Args:
        run_dir: The run's folder.
        data_hash: Of the data set that the run goes on with.

    Raises:
        RunError: The checkpoint is damaged, or the run began with other pictures.
    """
    try:
        checkpoint = _read(run_dir)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise build_damage_error(run_dir) from error
    if checkpoint.data_hash != data_hash:
        raise RunError(
            f"The run {run_dir.name!r} began with other pictures than these. Give it the data that it was started with."
        )
    return checkpoint


def build_damage_error(run_dir: Path) -> RunError:
    """Returns the error for a checkpoint that cannot be read or does not fit the network."""
    return RunError(f"{CHECKPOINT_FILE} of {run_dir.name!r} is damaged. Start a new training.")


def count_kept_epochs(run_dir: Path) -> int:
    """Returns how many whole epochs a run's checkpoint holds; 0 if there is none or it is damaged."""
    try:
        with (run_dir / CHECKPOINT_FILE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return int(arrays["num_epochs_done"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return 0


def _read(run_dir: Path) -> Checkpoint:
    with (run_dir / CHECKPOINT_FILE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        num_variables = sum(name.startswith("variable_") for name in arrays.files)
        return Checkpoint(
            **{name: arrays[name].item() for name in _NUMBERS},
            variables=[arrays[f"variable_{i}"] for i in range(num_variables)],
            best_weights=[arrays[f"best_{i}"] for i in range(int(arrays["num_best"]))],
        )
