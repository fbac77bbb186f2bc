"""What a report is about: one run, its predictions for one part of a data set, and its scores there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facedep import emotions, metrics
from facedep.answers import find_seen, has_answers, read_answers
from facedep.cards import MODEL_FILE, read_card
from facedep.data import Dataset
from facedep.errors import ModelError
from facedep.evaluation import choose_rows, evaluate_run
from facedep.predictions import Predictions
from facedep.scan import Scan, scan_dataset
from facedep.thresholds import read_threshold


@dataclass(frozen=True)
class ReportedRun:
    """One run on one part of a data set; n pictures are scored.

    Attributes:
        run_dir: The run's folder.
        card: The content of its `card.json`.
        dataset: The data set.
        scan: Its scan.
        split: One of `splits.SPLIT_KINDS`.
        part: "train", "val", "test" or "all".
        leaves_out_seen: Whether pictures that the run was trained on are left out.
        rows: `bool` array over the data set's pictures: which are scored, n of them.
        predictions: For the n pictures.
        is_depressed: `bool` array of shape `(n,)`, the data set's label.
        threshold: P(depressed) at and above which the answer is *depressed*.
        scores: From `evaluation.evaluate_run`.
    """

    run_dir: Path
    card: dict[str, Any]
    dataset: Dataset
    scan: Scan
    split: str
    part: str
    leaves_out_seen: bool
    rows: np.ndarray
    predictions: Predictions
    is_depressed: np.ndarray
    threshold: float
    scores: dict[str, Any]

    @property
    def index(self) -> pd.DataFrame:
        """The scored pictures' rows of the index table."""
        return self.dataset.index[self.rows]

    @property
    def confusion(self) -> metrics.Confusion:
        """The counts at the threshold."""
        return metrics.count_confusion(self.is_depressed, self.predictions.probabilities, self.threshold)

    @property
    def has_both_groups(self) -> bool:
        """Whether there is anything to tell apart."""
        return bool(self.is_depressed.any()) and not self.is_depressed.all()

    @property
    def has_network(self) -> bool:
        """Whether the network itself is there, and not its answers only."""
        return (self.run_dir / MODEL_FILE).is_file()


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
    rows = choose_rows(dataset, scan, card, split=split, part=part)
    if leaves_out_seen:
        rows &= ~find_seen(run_dir, scan.fingerprints)
    answers = read_answers(run_dir, dataset)
    if rows.any() and not has_answers(answers, scan, rows):
        raise ModelError(
            f"{run_dir.name!r} has not answered these pictures of {dataset.name} yet. Evaluate it on them first."
        )
    threshold = read_threshold(run_dir, card)
    scores = evaluate_run(
        run_dir, dataset, split=split, part=part, threshold=threshold, leaves_out_seen=leaves_out_seen
    )
    predictions = answers.select(rows)
    if np.isnan(predictions.probabilities).any():
        raise ModelError(f"{run_dir.name!r} answers with no number to some of these pictures. Choose another model.")
    return ReportedRun(
        run_dir=run_dir,
        card=card,
        dataset=dataset,
        scan=scan,
        split=split,
        part=part,
        leaves_out_seen=leaves_out_seen,
        rows=rows,
        predictions=predictions,
        is_depressed=(dataset.index["label"] == emotions.DEPRESSED).to_numpy(dtype=bool)[rows],
        threshold=threshold,
        scores=scores,
    )
