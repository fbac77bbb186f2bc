"""A model's predictions for a number of faces, and the part of them that counts as *depressed*. No Keras here."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for a number of faces.

    Attributes:
        probabilities: P(depressed): `float64` array of shape `(n,)`, 0..1.
        emotions: One dictionary per face from emotion to probability; None for a model that knows only the two groups.
    """

    probabilities: np.ndarray
    emotions: list[dict[str, float]] | None

    @property
    def likeliest_emotions(self) -> np.ndarray | None:
        """The most probable emotion of each face: `str` array of shape `(n,)`; None if it knows only the groups."""
        if self.emotions is None:
            return None
        return np.array([max(shares, key=shares.__getitem__) for shares in self.emotions], dtype=str)


def sum_depressed(outputs: np.ndarray, class_names: list[str], positive_classes: list[str]) -> np.ndarray:
    """Returns P(depressed): `float64` array of shape `(n,)`, 0..1, the sum over the classes that count as *depressed*.

    Args:
        outputs: A network's probabilities: `float` array of shape `(n, classes)`; a NaN among them gives NaN.
        class_names: What each column means; `["depressed"]` for a network with one output.
        positive_classes: The names that count as *depressed*.
    """
    columns = [class_names.index(name) for name in positive_classes if name in class_names]
    return np.clip(outputs[:, columns].astype(np.float64).sum(axis=1), 0.0, 1.0)
