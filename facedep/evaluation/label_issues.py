"""Which labels a model doubts most: confident learning.

The package `cleanlab` (Apache licence since 2.9), by the method's authors, finds the same pictures on FER2013; it is
left out because its import brings scikit-learn into the page's own process, 1.7 s, for what is forty lines here.
A hint says that picture and label look unlike each other to this model, never that the label is wrong.

Reference: Northcutt, Jiang & Chuang 2021, arXiv 1911.00068, section 3.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from facedep import emotions
from facedep.inference.prediction_cache import DatasetPredictions

# A network that is equally sure of a whole class is not to miss its own mean by the last digit.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class LabelIssues:
    """How a model finds each picture's given label, in the order of the data set's samples.

    Attributes:
        class_names: The labels that were compared: the model's emotions, or the two groups.
        given: Column of each picture's label in `class_names`: `int64`, shape `(n,)`; -1 where it is not judged: a
            damaged picture, or a label that the model does not know.
        suggested: Column of the label that the model would give, likewise.
        self_confidence: Its probability of the given label: `float64`, shape `(n,)`, 0..1, low is suspicious; NaN where
            it is not judged.
        thresholds: Mean self-confidence of each class's pictures: `float64`, shape `(classes,)`, 0..1; NaN for a class
            without pictures.
        confident_joint: How many pictures of a given label (row) are confidently counted to a label (column): `int64`,
            shape `(classes, classes)`.
        is_suspicious: `bool`, shape `(n,)`: confidently counted to another label than the given one.
        in_training_set: `bool`, shape `(n,)`: the model was trained on it with this label, and is too sure of that.
    """

    class_names: tuple[str, ...]
    given: np.ndarray
    suggested: np.ndarray
    self_confidence: np.ndarray
    thresholds: np.ndarray
    confident_joint: np.ndarray
    is_suspicious: np.ndarray
    in_training_set: np.ndarray

    @property
    def ranking(self) -> np.ndarray:
        """Positions of the suspicious pictures, the least likely label first: `int64`, shape `(number of them,)`."""
        indices = np.nonzero(self.is_suspicious)[0]
        return indices[np.argsort(self.self_confidence[indices], kind="stable")]


def find_label_issues(
    predictions: DatasetPredictions, samples: pd.DataFrame, *, in_training_set: np.ndarray | None = None
) -> LabelIssues:
    """Returns which labels the model doubts: emotions where it and most of the pictures name them, else the groups.

    Args:
        predictions: The model's predictions for these pictures.
        samples: The data set's samples table.
        in_training_set: `bool` array of shape `(n,)` from `find_in_training_set`: which the model was trained on.

    Reference: as above; a picture is suspicious where it is off the confident joint's diagonal (the paper's method
    "C confident joint"), but never where its given label is the most probable one.
    """
    class_names, probabilities, labels = _choose_labels(predictions, samples)
    columns = {name: column for column, name in enumerate(class_names)}
    given = np.array([columns.get(label, -1) for label in labels], np.int64)
    given[~predictions.is_predicted] = -1
    is_judged = given >= 0

    self_confidence = np.full(len(given), np.nan)
    self_confidence[is_judged] = probabilities[is_judged, given[is_judged]]
    thresholds = np.full(len(class_names), np.nan)
    for column in np.unique(given[is_judged]):
        thresholds[column] = self_confidence[given == column].mean()

    is_confident = probabilities >= thresholds - _TOLERANCE  # never for a class without pictures
    confident_class = np.where(is_confident, probabilities, -1.0).argmax(axis=1)
    is_counted = is_judged & is_confident.any(axis=1)
    confident_joint = np.zeros((len(class_names), len(class_names)), np.int64)
    np.add.at(confident_joint, (given[is_counted], confident_class[is_counted]), 1)

    most_probable = probabilities.argmax(axis=1)
    suggested = np.where(is_counted, confident_class, most_probable)
    suggested[~is_judged] = -1
    return LabelIssues(
        class_names=tuple(class_names),
        given=given,
        suggested=suggested,
        self_confidence=self_confidence,
        thresholds=thresholds,
        confident_joint=confident_joint,
        is_suspicious=is_counted & (confident_class != given) & (most_probable != given),
        in_training_set=np.zeros(len(given), bool) if in_training_set is None else in_training_set,
    )


def _choose_labels(
    predictions: DatasetPredictions, samples: pd.DataFrame
) -> tuple[tuple[str, ...], np.ndarray, list[str]]:
    """Returns the classes to compare, their probabilities as `float64` of shape `(n, classes)`, and the labels."""
    if samples["emotion"].isin(predictions.class_names).mean() > 0.5:
        return tuple(predictions.class_names), predictions.outputs.astype(np.float64), samples["emotion"].tolist()
    depressed = predictions.probabilities
    by_group = {emotions.DEPRESSED: depressed, emotions.NON_DEPRESSED: 1 - depressed}
    return emotions.GROUPS, np.stack([by_group[group] for group in emotions.GROUPS], axis=1), samples["label"].tolist()
