"""An honest estimate, before the start, of how long a training will take on this machine."""

import time

import numpy as np

from facedep.recipes import Recipe

_MATRIX_SIZE = 1024
_START_SECONDS = 12.0  # starting Python and TensorFlow, building the network, scoring at the end
_TRAINING_COST = 6  # a multiply-add is two operations; forward once, backward twice
_SCORING_COST = 2


def measure_speed() -> float:
    """Returns this machine's float32 matrix-product speed in operations per second; takes about 0.1 s."""
    matrix = np.random.default_rng(0).random((_MATRIX_SIZE, _MATRIX_SIZE), dtype=np.float32)
    matrix @ matrix
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return 2 * _MATRIX_SIZE**3 / min(seconds)


def estimate_training_seconds(
    recipe: Recipe, num_epochs: int, *, num_train: int, num_val: int, operations_per_second: float
) -> float:
    """Returns the likely duration in seconds, usually right within a factor of 1.5.

    Args:
        recipe: The recipe; its `efficiency` is the share of the matrix speed that its training reaches.
        num_epochs: Passes over the training pictures.
        num_train: Training pictures.
        num_val: Validation pictures, scored after every epoch.
        operations_per_second: From `measure_speed`.
    """
    operations = recipe.multiply_adds * num_epochs * (_TRAINING_COST * num_train + _SCORING_COST * num_val)
    return _START_SECONDS + operations / (operations_per_second * recipe.efficiency)


def describe_seconds(seconds: float) -> str:
    """Returns a duration in words, no more exact than it is known: "about 40 seconds", "about 6 minutes"."""
    if seconds < 55:
        return f"about {max(5, round(seconds / 5) * 5)} seconds"
    if seconds < 90:
        return "about a minute"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
