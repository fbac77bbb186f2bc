"""Score a run on a subset of a data set, from its answers.

Scores are kept in the run's folder, and read again from there for as long as nothing that they depend on has changed.

No network runs here: where answers are missing, `inference/dataset_predictions.py` is asked for them.
"""

import dataclasses
import hashlib
import json
import logging
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
from facedep.evaluation import metrics
from facedep.evaluation.scores import SELECTIVE_SCORES, find_depressed, score_predictions
from facedep.evaluation.slices import Slice, find_slices
from facedep.evaluation.subset_selection import Selection, select_pictures
from facedep.evaluation.training_spec import find_grouping_mismatch, find_training_spec
from facedep.files import evict_oldest, nan_to_null, null_to_nan, read_json, write_json
from facedep.inference.prediction_cache import (
    DatasetPredictions,
    find_in_training_set,
    find_predictions_key,
    has_predictions,
    read_predictions,
)
from facedep.logs import describe_error
from facedep.networks.card import CARD_FILE, FINGERPRINTS_FILE, Card, read_card
from facedep.networks.decision_threshold import find_band, read_threshold
from facedep.networks.predictions import Predictions
from facedep.paths import additions_dir, make_additions_dir
from facedep.runs import run_folder

_logger = logging.getLogger(__name__)

SCORES_DIR = "scores"
_VERSION = 4  # to be raised when what is scored or how changes
_MAX_KEPT = 50  # files of 4 kB in each run's folder
_NAN = float("nan")


class MissingPredictionsError(ModelError):
    """A run has not answered all of the pictures that are to be scored.

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
        dataset: The data set, of N pictures.
        scan: Its scan.
        subset: Which pictures are scored.
        mask: `bool` array of shape `(N,)`: these pictures, n of them.
        predictions: The answers to them.
        threshold: P(depressed) at and above which the answer is *depressed*.
        scores: All of `score_predictions`, and what was scored: `model`, `data`, `content_hash`, `protocol`,
            `subset`, `decision_threshold`, `num_in_training_set`, `num_skipped`, `num_unreadable`, `num_also_in_train`,
            `grouping_mismatch` (see `find_grouping_mismatch`). Undefined scores are NaN.
    """

    run: run_folder.Run
    dataset: Dataset
    scan: Scan
    subset: EvalSubset
    mask: np.ndarray
    predictions: Predictions
    threshold: float
    scores: dict[str, Any]

    @property
    def card(self) -> Card:
        """The run's card."""
        return self.run.card

    @property
    def band(self) -> tuple[float, float] | None:
        """Where the run calls itself uncertain, around the threshold; None where it always answers."""
        return find_band(self.run.card, self.threshold)

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
        table = measure_quality(self.samples, self.scan.select(self.mask))
        return find_slices(self.samples, table, self.is_right, self.predictions.probabilities)

    def at_threshold(self, threshold: float) -> "Evaluation":
        """Returns the same with another threshold; these scores are not kept."""
        if threshold == self.threshold:
            return self
        band = find_band(self.card, threshold)
        scores = score_predictions(self.samples, self.predictions, threshold=threshold, band=band)
        kept = {name: value for name, value in self.scores.items() if name not in SELECTIVE_SCORES}
        scores = {**kept, **scores, "decision_threshold": threshold}
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

    Where answers are missing, the network runs. Scores kept from another time are read; otherwise they are computed and
    kept. Where the run's folder cannot be written, they are computed each time.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        subset: Which pictures are scored.
        threshold: P(depressed) at and above which the answer is *depressed*; by default the one in force.
        on_progress: Called now and then with what it is at and the number of pictures done and of all.

    Raises:
        DataError: The data set has no such split or part, or nothing of it is left.
        ModelError: The folder holds no usable model; or only answers, and to other pictures.
    """
    report = on_progress or (lambda *_: None)
    scan, selection = _select(run_dir, dataset, subset, report)
    answers = read_predictions(run_dir, dataset)
    if not has_predictions(answers, scan, selection.mask):
        report("Loading the model", 0, 0)
        from facedep.inference.dataset_predictions import compute_predictions  # brings Keras, 7 s

        asking = partial(report, "Running the model")
        answers = compute_predictions(run_dir, dataset, mask=selection.mask, on_progress=asking)
    report("Counting", 0, 0)
    return _score(run_dir, dataset, subset, threshold, scan=scan, selection=selection, answers=answers)


def read_evaluation(
    run_dir: Path, dataset: Dataset, subset: EvalSubset, *, threshold: float | None = None
) -> Evaluation:
    """Returns how a run does on a subset of a data set, as `evaluate_run` does, but never runs the network.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        subset: Which pictures are scored.
        threshold: P(depressed) at and above which the answer is *depressed*; by default the one in force.

    Raises:
        MissingPredictionsError: Not all of the pictures are answered yet.
        DataError: The data set has no such split or part, or nothing of it is left.
        ModelError: The folder holds no usable model; or only answers, and to other pictures.
    """
    scan, selection = _select(run_dir, dataset, subset, lambda *_: None)
    answers = read_predictions(run_dir, dataset)
    if not has_predictions(answers, scan, selection.mask):
        message = f"{run_dir.name!r} has not answered these pictures of {dataset.name} yet. Evaluate it on them first."
        raise MissingPredictionsError(message, selection.mask)
    return _score(run_dir, dataset, subset, threshold, scan=scan, selection=selection, answers=answers)


def read_scores(
    run_dir: Path, dataset: Dataset, subset: EvalSubset, *, threshold: float | None = None
) -> dict[str, Any] | None:
    """Returns the scores that `evaluate_run` has kept, or None where there are none to these very settings.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        subset: Which pictures are scored.
        threshold: As for `evaluate_run`.

    Returns:
        What `Evaluation.scores` describes.

    Raises:
        ModelError: The folder holds neither a model of this project nor answers.
    """
    card = read_card(run_dir)
    threshold = read_threshold(run_dir, card) if threshold is None else threshold
    scores = read_json(_find_scores_path(run_dir, dataset, subset, threshold))
    if not isinstance(scores, dict) or "num_images" not in scores:
        return None
    return {
        **null_to_nan(scores),
        "model": run_dir.name,  # a run may have been renamed
        "data": dataset.name,
        "grouping_mismatch": find_grouping_mismatch(run_dir, dataset),
    }


def find_evaluation_key(
    run_dir: Path, dataset: Dataset, subset: EvalSubset | None = None, *, threshold: float | None = None
) -> str:
    """Returns 64 hex digits that name an evaluation's inputs, other ones when any of them changes.

    They are the run with its weights, card and training pictures, the data set's files and choices, the subset and the
    threshold.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        subset: Which pictures are scored; None for what does not depend on that.
        threshold: By default the one in force.

    Raises:
        ModelError: The folder holds neither a model of this project nor answers.
    """
    threshold = read_threshold(run_dir, read_card(run_dir)) if threshold is None else threshold
    inputs = _describe_inputs(run_dir, dataset, subset, threshold)
    card = hashlib.sha256((run_dir / CARD_FILE).read_bytes()).hexdigest()
    state = [str(run_dir), card, dataset.name, dataset.spec.to_argv(), inputs]
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _select(
    run_dir: Path, dataset: Dataset, subset: EvalSubset, report: Callable[[str, int, int], None]
) -> tuple[Scan, Selection]:
    read_card(run_dir)  # a folder without a usable card is refused before every picture is looked at
    scan = scan_dataset(dataset, on_progress=partial(report, "Reading every picture"))
    looking = partial(report, "Looking for faces")
    return scan, select_pictures(run_dir, dataset, scan, subset, on_progress=looking)


def _score(
    run_dir: Path,
    dataset: Dataset,
    subset: EvalSubset,
    threshold: float | None,
    *,
    scan: Scan,
    selection: Selection,
    answers: DatasetPredictions,
) -> Evaluation:  # seven parameters: what its two callers have found, each used once
    run, mask, card = run_folder.read_run(run_dir), selection.mask, read_card(run_dir)
    threshold = read_threshold(run_dir, card) if threshold is None else threshold
    predictions = answers.select(mask)
    scores = read_scores(run_dir, dataset, subset, threshold=threshold)
    if scores is None:
        scores = {
            "model": run_dir.name,
            "data": dataset.name,
            "content_hash": dataset.content_hash,
            "protocol": subset.protocol,
            "subset": subset.subset,
            "decision_threshold": threshold,
            **score_predictions(
                dataset.samples[mask], predictions, threshold=threshold, band=find_band(card, threshold)
            ),
            "num_in_training_set": int((mask & find_in_training_set(run_dir, scan.fingerprints)).sum()),
            "num_skipped": selection.num_excluded,
            "num_also_in_train": selection.num_also_in_train,
            "num_unreadable": int((~scan.is_readable).sum()),
            "grouping_mismatch": find_grouping_mismatch(run_dir, dataset),
        }
        _keep_scores(run_dir, _find_scores_path(run_dir, dataset, subset, threshold), scores)
    return Evaluation(run, dataset, scan, subset, mask, predictions, threshold, scores)


def _find_scores_path(run_dir: Path, dataset: Dataset, subset: EvalSubset, threshold: float) -> Path:
    """Returns where scores are kept: elsewhere when the answers, the labels, the settings or what was seen change."""
    inputs = _describe_inputs(run_dir, dataset, subset, threshold)
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
    return additions_dir(run_dir) / SCORES_DIR / f"{key}.json"


def _describe_inputs(run_dir: Path, dataset: Dataset, subset: EvalSubset | None, threshold: float) -> dict[str, Any]:
    """Returns what scores depend on, in values that JSON can hold."""
    card = read_card(run_dir)
    trained_on = card.data
    try:
        seen = hashlib.sha256((run_dir / FINGERPRINTS_FILE).read_bytes()).hexdigest()
    except OSError:
        seen = ""
    return {
        "version": _VERSION,
        "answers": find_predictions_key(run_dir, dataset),
        "labels": dataset.label_hash,
        "seen": seen,
        "band": find_band(card, threshold),
        "trained_on": [trained_on.content_hash, trained_on.protocol, trained_on.seed],
        "trained_with": find_training_spec(run_dir, "").to_record(),
        "cleaned": [sorted(trained_on.dropped_issues), dict(trained_on.issue_limits)],
        "subset": dataclasses.asdict(subset) if subset else None,
        "threshold": threshold,
    }


def _keep_scores(run_dir: Path, path: Path, scores: dict[str, Any]) -> None:
    """Keeps scores, and of all kept ones the newest; a folder that may only be read costs the time, not the scores."""
    try:
        make_additions_dir(run_dir)
        path.parent.mkdir(exist_ok=True)
        write_json(path, nan_to_null(scores))
        evict_oldest(path.parent, pattern="*.json", max_files=_MAX_KEPT)
    except OSError as error:
        _logger.warning("Scores could not be kept: %s", describe_error(error))
