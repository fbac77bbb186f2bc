"""An honest estimate, before the start, of how long a training will take on this machine."""

import time

import numpy as np

from facedep.networks.recipes import Recipe
from facedep.runs import run_folder
from facedep.runs.progress import read_progress

_MATRIX_SIZE = 1024
_START_SECONDS = 12.0  # starting Python and TensorFlow, building the network, scoring at the end
_HEAD_START_SECONDS = 5.0  # starting Python, scoring at the end: `quick` needs no TensorFlow
_TRAINING_COST = 6  # a multiply-add is two operations; forward once, backward twice
_SCORING_COST = 2
_HEAD_SECONDS = 1.2e-5  # for one picture's features in one epoch of `quick`: 40 epochs of 2,936 take 1.4 s


def measure_speed() -> float:
    """Returns this machine's float32 matrix-product speed in operations per second; takes about 0.1 s."""
    matrix = np.random.default_rng(0).random((_MATRIX_SIZE, _MATRIX_SIZE), dtype=np.float32)
    matrix @ matrix
    seconds = []
    for _ in range(10):  # the best of them: other work comes and goes
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return 2 * _MATRIX_SIZE**3 / min(seconds)


def find_last_speed(recipe: Recipe) -> float | None:
    """Returns the training pictures a second of this recipe's newest run on this computer; None without one."""
    if recipe.pretrained:  # most of its time is spent before the first epoch
        return None
    for run in run_folder.list_runs():
        was_here = (run.path / run_folder.HEARTBEAT_FILE).exists()  # a bundle from elsewhere brings no heartbeat
        if was_here and run.config and run.config.recipe == recipe.name and not run.is_active:
            measured = read_progress(run.path)
            if measured.epochs and measured.epochs[-1]["train_seconds"]:
                return measured.num_train / measured.epochs[-1]["train_seconds"]
    return None


def estimate_training_seconds(
    recipe: Recipe,
    num_epochs: int,
    *,
    num_train: int,
    num_val: int,
    images_per_second: float | None,
    operations_per_second: float,
) -> float:
    """Returns the likely duration in seconds, from the last run's speed where there is one, else from the machine's.

    Args:
        recipe: The recipe; its `efficiency` is the share of the matrix speed that its training reaches.
        num_epochs: Passes over the training pictures.
        num_train: Training pictures.
        num_val: Validation pictures, scored after every epoch.
        images_per_second: From `find_last_speed`.
        operations_per_second: From `measure_speed`; used where there is no last run.
    """
    if recipe.pretrained:
        num_looks = 2 * num_train + num_val  # each training picture as it is and mirrored, once
        looks_per_second = operations_per_second * recipe.efficiency / (_SCORING_COST * recipe.multiply_adds)
        return _HEAD_START_SECONDS + num_looks / looks_per_second + 2 * num_epochs * num_train * _HEAD_SECONDS
    num_steps = num_epochs * (num_train + num_val * _SCORING_COST / _TRAINING_COST)  # in pictures trained
    if not images_per_second:
        images_per_second = operations_per_second * recipe.efficiency / (_TRAINING_COST * recipe.multiply_adds)
    return _START_SECONDS + num_steps / images_per_second


def describe_seconds(seconds: float) -> str:
    """Returns a duration in words, no more exact than it is known: "about 40 seconds", "about 6 minutes"."""
    if seconds < 55:
        return f"about {max(5, round(seconds / 5) * 5)} seconds"
    if seconds < 90:
        return "about a minute"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
