"""One run scored on differently chosen pictures, beside a lookup table that only remembers the training pictures.

No network runs here: scores come from predictions that are kept.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facedep.audit.neighbors import build_appearance, score_lookup_table
from facedep.data.eval_subset import ALL, EvalSubset
from facedep.data.scan import Scan, scan_dataset
from facedep.data.sources import Dataset
from facedep.data.splits import LEAK_FREE, PUBLISHED, SUPPLIED
from facedep.errors import DataError, ModelError
from facedep.evaluation.intervals import compute_wilson_interval
from facedep.evaluation.metrics import compute_accuracy
from facedep.evaluation.scores import find_depressed
from facedep.evaluation.subset_selection import select_pictures, split_like_training
from facedep.inference.prediction_cache import find_in_training_set, has_predictions, read_predictions
from facedep.networks.card import Card, read_card
from facedep.networks.decision_threshold import read_threshold
from facedep.networks.majority_baseline import MajorityBaseline, find_majority_baseline

_NAN = float("nan")
_PROTOCOLS = {
    EvalSubset(PUBLISHED, "val"): "As published: the validation part of the published split",
    EvalSubset(SUPPLIED, "test"): "The test part that the data set brings along",
    EvalSubset(LEAK_FREE, "test"): "A test part without any copy of a train picture",
}


@dataclass(frozen=True)
class ProtocolScore:
    """One score of a run, and what there is to be known before it is believed.

    Attributes:
        what: In words, how the pictures were chosen.
        data_name: The data set's name.
        subset: Which pictures were scored.
        num_images: Pictures in the subset.
        accuracy: Share of right predictions, 0..1, high is good; NaN if some of the pictures have no prediction yet.
        interval: Low and high end of its 95 % Wilson interval.
        majority_baseline: What always answering these pictures' larger group gets.
        lookup_accuracy: What a table gets that only remembers the train pictures, 0..1; see `audit/neighbors.py`.
        num_in_train: Pictures that are, pixel for pixel, also among those which that table remembers.
        num_in_training_set: Pictures that this very run was trained on.
    """

    what: str
    data_name: str
    subset: EvalSubset
    num_images: int
    accuracy: float
    interval: tuple[float, float]
    majority_baseline: MajorityBaseline
    lookup_accuracy: float
    num_in_train: int
    num_in_training_set: int


def compare_protocols(run_dir: Path, dataset: Dataset, *, others: Sequence[Dataset] = ()) -> list[ProtocolScore]:
    """Returns a run's scores from the most flattering way of choosing the pictures to the most honest record.

    The published split's val, the supplied test, the leak-free test, and other data sets as a whole; those that a data
    set does not have are skipped. A leak-free test is honest only for a run that was trained on that split's train
    subset, so if it was trained on some of the pictures, the score on the others follows. Last come the scores on other
    data sets that the run's card holds. It takes kept predictions and runs no network: `evaluation.evaluate_run` with
    the subset "all" gives what is missing.

    Args:
        run_dir: The run folder.
        dataset: The data set that is split. A table that remembers its train pictures is scored beside the run.
        others: Other data sets; there the table remembers all of `dataset`.

    Raises:
        ModelError: The folder holds neither a model of this project nor predictions.
    """
    card, scan = read_card(run_dir), scan_dataset(dataset)
    appearance, is_depressed = build_appearance(scan.thumbnails), find_depressed(dataset.samples)
    scores = []
    for subset, what in _PROTOCOLS.items():
        try:
            subsets = split_like_training(run_dir, dataset, scan, subset.protocol)
        except DataError:
            continue
        mask = subsets == subset.subset
        if not mask.any():
            continue
        table = _Table(appearance, is_depressed, scan.fingerprints, subsets == "train")
        scored = _Scored(what, dataset, scan, subset, mask)
        scores.append(_score(run_dir, scored, table))
        if subset.protocol == LEAK_FREE:
            scores += _score_unseen(run_dir, scored, table)
    table = _Table(appearance, is_depressed, scan.fingerprints, scan.is_readable)
    for other in others:
        other_scan, subset = scan_dataset(other), EvalSubset(LEAK_FREE, ALL)
        mask = select_pictures(run_dir, other, other_scan, subset).mask
        scored = _Scored("Pictures of another data set", other, other_scan, subset, mask)
        scores += [_score(run_dir, scored, table), *_score_unseen(run_dir, scored, table)]
    known = {dataset.content_hash, *(other.content_hash for other in others)}
    return scores + _list_recorded(card, known)


def _list_recorded(card: Card, known: set[str]) -> list[ProtocolScore]:
    """Returns the scores on other data sets that a run's card holds; what a lookup table gets there was not kept."""
    scores = []
    for record in card.evaluations:
        if record.content_hash in known or not record.scores.majority_baseline.is_known:
            continue
        accuracy, num_images = record.scores.accuracy, record.scores.num_images
        scores.append(
            ProtocolScore(
                what=f"Another data set, {record.data}, as its card says",
                data_name=record.data,
                subset=EvalSubset(record.protocol, record.subset),
                num_images=num_images,
                accuracy=accuracy,
                # Of the share itself: earlier cards hold a bootstrap interval, and one share has one interval.
                interval=compute_wilson_interval(round(accuracy * num_images), num_images),
                majority_baseline=record.scores.majority_baseline,
                lookup_accuracy=_NAN,
                num_in_train=0,
                num_in_training_set=record.num_in_training_set,
            )
        )
    return scores


@dataclass(frozen=True)
class _Table:
    """A data set as a lookup table knows it, and which of its pictures it remembers."""

    appearance: np.ndarray
    is_depressed: np.ndarray
    fingerprints: np.ndarray
    remembers: np.ndarray


@dataclass(frozen=True)
class _Scored:
    """Pictures to be scored, and in words how they were chosen."""

    what: str
    dataset: Dataset
    scan: Scan
    subset: EvalSubset
    mask: np.ndarray


def _score_unseen(run_dir: Path, scored: _Scored, table: _Table) -> list[ProtocolScore]:
    """Returns the score on those of the pictures that the run was not trained on, where these are some and not all."""
    is_in_training_set = find_in_training_set(run_dir, scored.scan.fingerprints)
    unseen = scored.mask & ~is_in_training_set
    if not unseen.any() or not (scored.mask & is_in_training_set).any():
        return []
    without = dataclasses.replace(
        scored,
        what="The same, without the pictures that this run was trained on",
        subset=dataclasses.replace(scored.subset, excludes_training_images=True),
        mask=unseen,
    )
    return [_score(run_dir, without, table)]


def _score(run_dir: Path, scored: _Scored, table: _Table) -> ProtocolScore:
    dataset, scan, mask = scored.dataset, scored.scan, scored.mask
    is_depressed = find_depressed(dataset.samples)[mask]
    accuracy, interval = _NAN, (_NAN, _NAN)
    try:
        predictions = read_predictions(run_dir, dataset)
    except ModelError:  # a run with predictions for other pictures only
        predictions = None
    if predictions is not None and has_predictions(predictions, scan, mask):
        threshold = read_threshold(run_dir, read_card(run_dir))
        accuracy = compute_accuracy(is_depressed, predictions.probabilities[mask], threshold)
        interval = compute_wilson_interval(round(accuracy * len(is_depressed)), len(is_depressed))
    remembered = np.nonzero(table.remembers)[0]
    lookup = score_lookup_table(
        np.concatenate([table.appearance[remembered], build_appearance(scan.thumbnails[mask])]),
        np.concatenate([table.is_depressed[remembered], is_depressed]),
        np.repeat(["train", "test"], [len(remembered), len(is_depressed)]),
    )
    return ProtocolScore(
        what=scored.what,
        data_name=dataset.name,
        subset=scored.subset,
        num_images=len(is_depressed),
        accuracy=accuracy,
        interval=interval,
        majority_baseline=find_majority_baseline(is_depressed),
        lookup_accuracy=lookup.accuracy if lookup else _NAN,
        num_in_train=int(np.isin(scan.fingerprints[mask], table.fingerprints[remembered]).sum()),
        num_in_training_set=int((mask & find_in_training_set(run_dir, scan.fingerprints)).sum()),
    )
