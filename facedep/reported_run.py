"""What a report is about: one run, its predictions for one part of a data set, and its scores there."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facedep import emotions, metrics, runs
from facedep.answers import find_seen, has_answers, read_answers
from facedep.cards import Card, read_card
from facedep.data import Dataset
from facedep.errors import ModelError
from facedep.evaluation import choose_rows, evaluate_run
from facedep.predictions import Predictions
from facedep.quality import measure_quality
from facedep.scan import Scan, scan_dataset
from facedep.slices import Slice, find_slices
from facedep.thresholds import find_band, read_threshold


@dataclass(frozen=True, eq=False)
class ReportedRun:
    """One run on one part of a data set; n pictures are scored.

    Attributes:
        run: The run.
        dataset: The data set.
        scan: Its scan.
        split: One of `splits.SPLIT_KINDS`.
        part: "train", "val", "test" or "all".
        leaves_out_seen: Whether pictures that the run was trained on are left out.
        mask: `bool` array over the data set's pictures: which are scored, n of them.
        predictions: For the n pictures.
        threshold: P(depressed) at and above which the answer is *depressed*.
        scores: From `evaluation.evaluate_run`.
    """

    run: runs.Run
    dataset: Dataset
    scan: Scan
    split: str
    part: str
    leaves_out_seen: bool
    mask: np.ndarray
    predictions: Predictions
    threshold: float
    scores: dict[str, Any]

    @property
    def card(self) -> Card:
        """The content of the run's card."""
        return self.run.card

    @property
    def band(self) -> tuple[float, float] | None:
        """Where the run calls itself uncertain, around the threshold; None where it always answers."""
        return find_band(self.run.card, self.threshold)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The pictures' rows of the index table."""
        return self.dataset.index[self.mask]

    @cached_property
    def is_depressed(self) -> np.ndarray:
        """The pictures' labels: `bool` array of shape `(n,)`."""
        return (self.samples["label"] == emotions.DEPRESSED).to_numpy(dtype=bool)

    @cached_property
    def is_right(self) -> np.ndarray:
        """Whether each answer is the label's group: `bool` array of shape `(n,)`."""
        return self.is_depressed == (self.predictions.probabilities >= self.threshold)

    @property
    def has_both_groups(self) -> bool:
        """Whether there are pictures of both groups, so that curves are defined."""
        return bool(self.is_depressed.any()) and not self.is_depressed.all()

    @cached_property
    def confusion(self) -> metrics.Confusion:
        """Which group got which answer."""
        return metrics.count_confusion(self.is_depressed, self.predictions.probabilities, self.threshold)

    @cached_property
    def roc_curve(self) -> metrics.Curve:
        """See `metrics.compute_roc_curve`."""
        return metrics.compute_roc_curve(self.is_depressed, self.predictions.probabilities)

    @cached_property
    def precision_recall_curve(self) -> metrics.Curve:
        """See `metrics.compute_precision_recall_curve`."""
        return metrics.compute_precision_recall_curve(self.is_depressed, self.predictions.probabilities)

    @cached_property
    def average_precision(self) -> float:
        """See `metrics.compute_average_precision`: 0..1, high is good."""
        return metrics.compute_average_precision(self.is_depressed, self.predictions.probabilities)

    @cached_property
    def reliability(self) -> metrics.Reliability:
        """See `metrics.compute_reliability`."""
        return metrics.compute_reliability(self.is_depressed, self.predictions.probabilities)

    @property
    def roc_point(self) -> tuple[float, float] | None:
        """False positive and true positive rate at the threshold, 0..1; None where a group has no pictures."""
        return (self.confusion.false_alarm_rate, 1 - self.confusion.miss_rate) if self.has_both_groups else None

    @property
    def precision_recall_point(self) -> tuple[float, float] | None:
        """Recall and precision at the threshold, 0..1; None where these are undefined."""
        num_called = self.confusion.num_true_depressed + self.confusion.num_false_alarms
        if not self.has_both_groups or not num_called:
            return None
        return 1 - self.confusion.miss_rate, self.confusion.num_true_depressed / num_called

    @cached_property
    def emotion_confusion(self) -> tuple[np.ndarray, list[str]] | None:
        """The matrix of `metrics.count_emotion_confusion` and its emotions; None where labels or model name none."""
        true_emotions = self.samples["emotion"].to_numpy(dtype=str)
        if not self.predictions.emotions or not (true_emotions != "").any():
            return None
        names = list(self.predictions.emotions[0])
        is_named = np.isin(true_emotions, names)
        likeliest = self.predictions.likeliest_emotions[is_named]
        return metrics.count_emotion_confusion(true_emotions[is_named], likeliest, names), names

    @cached_property
    def slices(self) -> list[Slice]:
        """See `slices.find_slices`."""
        table = measure_quality(self.dataset.index, self.scan)[self.mask]
        return find_slices(self.samples, table, self.is_right, self.predictions.probabilities)


def read_reported_run(run_dir: Path, dataset: Dataset, *, split: str, part: str, leaves_out_seen: bool) -> ReportedRun:
    """Returns a run with its kept predictions for a part of a data set; no network runs.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        split: One of `splits.SPLIT_KINDS`.
        part: "train", "val", "test" or "all", as for `evaluation.evaluate_run`.
        leaves_out_seen: Whether the pictures that the run was trained on are left out.

    Raises:
        DataError: The data set has no such split or part, or nothing of it is left.
        ModelError: The folder holds neither a model nor answers, or the part is not answered yet, or not with numbers.
    """
    card, scan = read_card(run_dir), scan_dataset(dataset)
    mask = choose_rows(dataset, scan, card, split=split, part=part)
    if leaves_out_seen:
        mask &= ~find_seen(run_dir, scan.fingerprints)
    answers = read_answers(run_dir, dataset)
    if mask.any() and not has_answers(answers, scan, mask):
        raise ModelError(
            f"{run_dir.name!r} has not answered these pictures of {dataset.name} yet. Evaluate it on them first."
        )
    threshold = read_threshold(run_dir, card)
    scores = evaluate_run(
        run_dir, dataset, split=split, part=part, threshold=threshold, leaves_out_seen=leaves_out_seen
    )
    predictions = answers.select(mask)
    if np.isnan(predictions.probabilities).any():
        raise ModelError(f"{run_dir.name!r} answers with no number to some of these pictures. Choose another model.")
    return ReportedRun(
        run=runs.read_run(run_dir),
        dataset=dataset,
        scan=scan,
        split=split,
        part=part,
        leaves_out_seen=leaves_out_seen,
        mask=mask,
        predictions=predictions,
        threshold=threshold,
        scores=scores,
    )
