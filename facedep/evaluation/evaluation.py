"""Score a run on a subset of a data set, from its predictions.

Scores are kept in the run's folder, and read again from there for as long as nothing that they depend on has changed.
No network runs here: `inference/dataset_predictions.py` computes predictions that are missing.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facedep.audit.quality import measure_quality
from facedep.data.eval_subset import EvalSubset
from facedep.data.scan import Scan, scan_dataset
from facedep.data.sources import Dataset
from facedep.errors import ModelError
from facedep.evaluation.curves import (
    Curve,
    compute_average_precision,
    compute_precision_recall_curve,
    compute_roc_curve,
)
from facedep.evaluation.metrics import Confusion, count_confusion, count_emotion_confusion
from facedep.evaluation.reliability import Reliability, compute_reliability
from facedep.evaluation.score_cache import read_scores, write_scores
from facedep.evaluation.scores import SELECTIVE_SCORES, find_depressed, score_predictions
from facedep.evaluation.slices import Slice, find_slices
from facedep.evaluation.subset_selection import Selection, select_pictures
from facedep.evaluation.training_spec import find_grouping_mismatch
from facedep.inference.dataset_predictions import compute_predictions
from facedep.inference.prediction_cache import (
    DatasetPredictions,
    find_in_training_set,
    has_predictions,
    read_predictions,
)
from facedep.networks.card import Card, read_card
from facedep.networks.card_scores import RecordedEvaluation
from facedep.networks.decision_threshold import find_band, read_threshold
from facedep.networks.predictions import Predictions
from facedep.runs import run_folder


class MissingPredictionsError(ModelError):
    """Some of the pictures that are to be scored have no prediction yet.

    Args:
        message: What to do.
        mask: `bool` array of shape `(n,)`: the pictures that are to be scored.
    """

    def __init__(self, message: str, mask: np.ndarray):
        super().__init__(message)
        self.mask = mask


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How one run does on one subset of a data set: what a page, a report and the command line show.

    Curves, reliability and slices are computed when they are first needed, and once.

    Attributes:
        run: The run.
        card: Its card.
        dataset: The data set, of N pictures.
        scan: Its scan.
        subset: Which pictures are scored.
        mask: `bool` array of shape `(N,)`: these pictures, n of them.
        predictions: The predictions for them.
        threshold: P(depressed) at and above which the prediction is *depressed*.
        scores: All of `score_predictions`, and what was scored: `model`, `data`, `content_hash`, `protocol`, `subset`,
            `decision_threshold`, `num_in_training_set`, `num_skipped`, `num_unreadable`, `num_also_in_train`,
            `grouping_mismatch` (see `find_grouping_mismatch`). Undefined scores are NaN. The same with types: `record`.
    """

    run: run_folder.Run
    card: Card
    dataset: Dataset
    scan: Scan
    subset: EvalSubset
    mask: np.ndarray
    predictions: Predictions
    threshold: float
    scores: dict[str, Any]

    @cached_property
    def record(self) -> RecordedEvaluation:
        """The scores and what was scored, as a card records them."""
        return RecordedEvaluation.from_json(self.scores)

    @property
    def band(self) -> tuple[float, float] | None:
        """The abstention band around the threshold; None for a model without one."""
        return find_band(self.card, self.threshold)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The pictures' rows of the samples table."""
        return self.dataset.samples[self.mask]

    @cached_property
    def indices(self) -> np.ndarray:
        """The pictures' positions in the data set: `int` array of shape `(n,)`."""
        return np.nonzero(self.mask)[0]

    @cached_property
    def is_depressed(self) -> np.ndarray:
        """The pictures' labels: `bool` array of shape `(n,)`."""
        return find_depressed(self.samples)

    @cached_property
    def is_right(self) -> np.ndarray:
        """Whether each prediction is the label's group: `bool` array of shape `(n,)`."""
        return self.is_depressed == (self.predictions.probabilities >= self.threshold)

    @property
    def has_both_groups(self) -> bool:
        """Whether there are pictures of both groups, so that curves are defined."""
        return bool(self.is_depressed.any()) and not self.is_depressed.all()

    @cached_property
    def confusion(self) -> Confusion:
        """Which group got which prediction."""
        return count_confusion(self.is_depressed, self.predictions.probabilities, self.threshold)

    @cached_property
    def roc_curve(self) -> Curve:
        """See `curves.compute_roc_curve`."""
        return compute_roc_curve(self.is_depressed, self.predictions.probabilities)

    @cached_property
    def precision_recall_curve(self) -> Curve:
        """See `curves.compute_precision_recall_curve`."""
        return compute_precision_recall_curve(self.is_depressed, self.predictions.probabilities)

    @cached_property
    def average_precision(self) -> float:
        """See `curves.compute_average_precision`: 0..1, high is good."""
        return compute_average_precision(self.is_depressed, self.predictions.probabilities)

    @cached_property
    def reliability(self) -> Reliability:
        """See `reliability.compute_reliability`."""
        return compute_reliability(self.is_depressed, self.predictions.probabilities)

    @property
    def roc_point(self) -> tuple[float, float] | None:
        """False positive and true positive rate at the threshold, 0..1; None if a group has no pictures."""
        return (self.confusion.false_alarm_rate, 1 - self.confusion.miss_rate) if self.has_both_groups else None

    @property
    def precision_recall_point(self) -> tuple[float, float] | None:
        """Recall and precision at the threshold, 0..1; None if these are undefined."""
        num_called = self.confusion.num_true_depressed + self.confusion.num_false_alarms
        if not self.has_both_groups or not num_called:
            return None
        return 1 - self.confusion.miss_rate, self.confusion.num_true_depressed / num_called

    @cached_property
    def emotion_confusion(self) -> tuple[np.ndarray, list[str]] | None:
        """The matrix of `metrics.count_emotion_confusion` and its emotions; None if labels or model name none."""
        true_emotions = self.samples["emotion"].to_numpy(dtype=str)
        likeliest = self.predictions.likeliest_emotions
        if likeliest is None or not self.predictions.emotions or not (true_emotions != "").any():
            return None
        names = list(self.predictions.emotions[0])
        is_named = np.isin(true_emotions, names)
        return count_emotion_confusion(true_emotions[is_named], likeliest[is_named], names), names

    @cached_property
    def slices(self) -> list[Slice]:
        """See `slices.find_slices`."""
        quality = measure_quality(self.samples, self.scan.select(self.mask))
        return find_slices(self.samples, quality, self.is_right, self.predictions.probabilities)

    def at_threshold(self, threshold: float) -> "Evaluation":
        """Returns the same with another threshold; these scores are not kept."""
        if threshold == self.threshold:
            return self
        band = find_band(self.card, threshold)
        scores = score_predictions(self.samples, self.predictions, threshold=threshold, band=band)
        others = {name: value for name, value in self.scores.items() if name not in SELECTIVE_SCORES}
        scores = {**others, **scores, "decision_threshold": threshold}
        return dataclasses.replace(self, threshold=threshold, scores=scores)


def evaluate_run(
    run_dir: Path,
    dataset: Dataset,
    subset: EvalSubset,
    *,
    threshold: float | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Evaluation:
    """Returns how a run does on a subset of a data set, each picture taken as one face.

    The network runs for predictions that are missing. Scores kept from another time are read; otherwise they are
    computed and kept. If the run's folder cannot be written, they are computed each time.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        subset: Which pictures are scored.
        threshold: P(depressed) at and above which the prediction is *depressed*; by default the one in force.
        on_progress: Called now and then with what it is at and the number of pictures done and of all.

    Raises:
        DataError: The data set has no such protocol or subset, or nothing of it remains.
        ModelError: The folder holds no usable model; or only predictions, and for other pictures.
    """
    report = on_progress or (lambda *_: None)
    request = _prepare(run_dir, dataset, subset, threshold, report)
    predictions = read_predictions(run_dir, dataset)
    if predictions is None or not has_predictions(predictions, request.scan, request.mask):
        report("Loading the model", 0, 0)
        on_batch = partial(report, "Running the model")
        predictions = compute_predictions(run_dir, dataset, mask=request.mask, on_progress=on_batch)
    report("Counting", 0, 0)
    return _score(request, predictions)


def read_evaluation(
    run_dir: Path, dataset: Dataset, subset: EvalSubset, *, threshold: float | None = None
) -> Evaluation:
    """Returns how a run does on a subset of a data set, as `evaluate_run` does, but never runs the network.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        subset: Which pictures are scored.
        threshold: P(depressed) at and above which the prediction is *depressed*; by default the one in force.

    Raises:
        MissingPredictionsError: Some of the pictures have no prediction yet.
        DataError: The data set has no such protocol or subset, or nothing of it remains.
        ModelError: The folder holds no usable model; or only predictions, and for other pictures.
    """
    request = _prepare(run_dir, dataset, subset, threshold, lambda *_: None)
    predictions = read_predictions(run_dir, dataset)
    if predictions is None or not has_predictions(predictions, request.scan, request.mask):
        message = f"{run_dir.name!r} has not answered these pictures of {dataset.name} yet. Evaluate it on them first."
        raise MissingPredictionsError(message, request.mask)
    return _score(request, predictions)


@dataclass(frozen=True, eq=False)
class _Request:
    """What is to be scored: a run on chosen pictures, with a threshold."""

    run_dir: Path
    card: Card
    dataset: Dataset
    scan: Scan
    subset: EvalSubset
    selection: Selection
    threshold: float

    @property
    def mask(self) -> np.ndarray:
        return self.selection.mask


def _prepare(
    run_dir: Path,
    dataset: Dataset,
    subset: EvalSubset,
    threshold: float | None,
    report: Callable[[str, int, int], None],
) -> _Request:
    card = read_card(run_dir)  # a folder without a usable card is refused before every picture is read
    scan = scan_dataset(dataset, on_progress=partial(report, "Reading every picture"))
    on_faces = partial(report, "Looking for faces")
    selection = select_pictures(run_dir, dataset, scan, subset, on_progress=on_faces)
    threshold = read_threshold(run_dir, card) if threshold is None else threshold
    return _Request(run_dir, card, dataset, scan, subset, selection, threshold)


def _score(request: _Request, dataset_predictions: DatasetPredictions) -> Evaluation:
    run_dir, dataset, scan, subset = request.run_dir, request.dataset, request.scan, request.subset
    predictions = dataset_predictions.select(request.mask)
    scores = read_scores(run_dir, dataset, subset, threshold=request.threshold)
    if scores is None:
        scores = {
            "model": run_dir.name,
            "data": dataset.name,
            "content_hash": dataset.content_hash,
            "protocol": subset.protocol,
            "subset": subset.subset,
            "decision_threshold": request.threshold,
            **score_predictions(
                dataset.samples[request.mask],
                predictions,
                threshold=request.threshold,
                band=find_band(request.card, request.threshold),
            ),
            "num_in_training_set": int((request.mask & find_in_training_set(run_dir, scan.fingerprints)).sum()),
            "num_skipped": request.selection.num_excluded,
            "num_also_in_train": request.selection.num_also_in_train,
            "num_unreadable": int((~scan.is_readable).sum()),
            "grouping_mismatch": find_grouping_mismatch(run_dir, dataset),
        }
        write_scores(run_dir, dataset, subset, threshold=request.threshold, scores=scores)
    run = run_folder.read_run(run_dir)
    return Evaluation(
        run=run,
        card=request.card,
        dataset=dataset,
        scan=scan,
        subset=subset,
        mask=request.mask,
        predictions=predictions,
        threshold=request.threshold,
        scores=scores,
    )
